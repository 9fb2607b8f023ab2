//! `config print` and `config check`, which start nothing.

use serde_json::Value;

use crate::{run, text};

/// The entry of a key in what `config print -o json` shows.
fn entry(arguments: &[&str], variables: &[(&str, &str)], key: &str) -> Value {
    let all = [&["config", "print", "-o", "json"], arguments].concat();
    let output = run(&all, variables);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let entries: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let found = entries.into_iter().find(|entry| entry["key"] == key);
    found.unwrap_or_else(|| panic!("no key {key}"))
}

#[test]
fn print_shows_each_value_with_its_source_and_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("sluice.yaml"), folder.path().join("data"));
    std::fs::write(&file, "brokerName: of-file\nclusterName: of-file\nflush: async\n").unwrap();
    let (file, data) = (file.display().to_string(), data.display().to_string());
    let flags = ["--config", &file, "--data-dir", &data, "--flush", "sync"];
    let variables = [
        ("SLUICE_CLUSTER_NAME", "of-environment"),
        ("SLUICE_FLUSH", "async"),
    ];
    for (key, value, source, place) in [
        (
            "brokerName",
            "of-file",
            "file",
            Some(format!("{file}: brokerName")),
        ),
        (
            "clusterName",
            "of-environment",
            "environment",
            Some("SLUICE_CLUSTER_NAME".to_owned()),
        ),
        ("flush", "sync", "flag", Some("--flush".to_owned())),
        ("segmentSize", "1GiB", "default", None),
    ] {
        let entry = entry(&flags, &variables, key);
        assert_eq!(
            (&entry["value"], &entry["source"]),
            (&value.into(), &source.into()),
            "{key}"
        );
        assert_eq!(entry["place"].as_str(), place.as_deref(), "{key}");
    }
    assert!(!std::path::Path::new(&data).exists(), "a broker was started");

    let table = text(&run(&[&["config", "print"], &flags[..]].concat(), &variables).stdout);
    let line = table.lines().find(|line| line.starts_with("clusterName "));
    let words: Vec<_> = line.unwrap().split_whitespace().collect();
    assert_eq!(
        words,
        [
            "clusterName",
            "of-environment",
            "no",
            "environment",
            "(SLUICE_CLUSTER_NAME)"
        ]
    );
}

#[test]
fn what_is_printed_as_yaml_is_a_file_that_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sluice.yaml");
    let flags = [
        "--profile",
        "container",
        "--log",
        "info,sluice_store=debug",
        "--queue-metrics",
        "true",
    ];
    let printed = run(&[&["config", "print", "-o", "yaml"], &flags[..]].concat(), &[]);
    std::fs::write(&file, &printed.stdout).unwrap();
    let file = file.display().to_string();
    let again = run(&["config", "print", "-o", "yaml", "--config", &file], &[]);
    let values = |yaml: &[u8]| -> Vec<String> {
        let lines = text(yaml);
        let lines = lines.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.split("  #").next().unwrap().to_owned())
            .collect()
    };
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert_eq!(values(&printed.stdout), values(&again.stdout));
    assert!(text(&again.stdout).contains("grpcListen: 0.0.0.0:8081  # file ("));
}

#[test]
fn the_container_listens_on_all_interfaces_and_with_the_admin_api_once_that_is_guarded() {
    let container = ["--profile", "container"];
    for (key, value) in [
        ("grpcListen", "0.0.0.0:8081"),
        ("httpListen", "0.0.0.0:5557"),
        ("logFormat", "json"),
    ] {
        let entry = entry(&container, &[], key);
        assert_eq!(
            (&entry["value"], &entry["source"]),
            (&value.into(), &"profile".into())
        );
    }
    for (variables, address) in [
        (&[][..], "127.0.0.1:8082"),
        (&[("SLUICE_ADMIN_TOKEN_FILE", "token")], "0.0.0.0:8082"),
        (&[("SLUICE_ADMIN_CLIENT_CA", "ca.pem")], "0.0.0.0:8082"),
    ] {
        assert_eq!(entry(&container, variables, "adminListen")["value"], address);
    }
}

#[test]
fn check_says_whether_a_broker_could_start() {
    for (flags, status) in [
        (&["--segment-size", "1MiB"][..], 0),
        (&["--segment-size", "1000000"], 2),
        (&["--admin-listen", "0.0.0.0:8082"], 2),
        (&["--tls-cert", "only.pem"], 2),
        (
            &[
                "--tls-cert",
                "/no/such/file.pem",
                "--tls-key",
                "/no/such/file.pem",
            ],
            2,
        ),
        (&["--init", "/no/such/file.yaml"], 2),
        (&["--admin-token-file", "/no/such/tokens"], 2),
        (&["--admin-client-ca", "/no/such/ca.pem"], 2),
    ] {
        let output = run(&[&["config", "check"], flags].concat(), &[]);
        assert_eq!(
            output.status.code(),
            Some(status),
            "{flags:?}: {}",
            text(&output.stderr)
        );
    }
}

#[test]
fn check_says_of_a_file_that_says_nothing_that_every_key_has_its_default() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sluice.yaml");
    let named = path.display().to_string();
    for (content, is_told) in [
        ("", true),
        ("# log: debug\n", true),
        ("{}\n", false),
        ("log: debug\n", false),
    ] {
        std::fs::write(&path, content).unwrap();
        let output = run(&["config", "check", "--config", &named], &[]);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{content:?}: {said}");
        assert!(said.starts_with("a broker can start"), "{said}");
        let told = said.contains(&format!(
            "{named} is empty, or has remarks alone: every key has its default"
        ));
        assert_eq!(told, is_told, "{content:?}: {said}");
    }
}

#[test]
fn the_help_has_every_key_with_its_variable() {
    let help = text(&run(&["--help"], &[]).stdout);
    let keys: Vec<Value> =
        serde_json::from_slice(&run(&["config", "print", "-o", "json"], &[]).stdout).unwrap();
    assert!(keys.len() > 20);
    for key in keys {
        let name = key["key"].as_str().unwrap();
        let words = name.chars().fold(String::new(), |words, letter| match letter {
            'A'..='Z' => format!("{words}-{}", letter.to_ascii_lowercase()),
            _ => format!("{words}{letter}"),
        });
        let variable = words.to_uppercase().replace('-', "_");
        assert!(help.contains(&format!("--{words} <")), "{words}");
        assert!(help.contains(&format!("[env: SLUICE_{variable}]")), "{variable}");
    }
}
