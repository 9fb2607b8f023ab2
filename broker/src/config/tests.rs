//! Layers, checks and what is printed, from the outside.

use super::*;
use crate::init::Init;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn check(flags: &[&str]) -> Result<Config, AskError> {
    Config::of_flags(flags)
}

fn said(error: AskError) -> String {
    format!("{:#}", anyhow::Error::new(error))
}

/// What flags, variables (without their prefix) and a file come to.
fn layers(flags: &[&str], variables: &[(&str, &str)], file: &Path) -> Result<Layers, AskError> {
    let path = file.display().to_string();
    let mut all = vec!["sluice-broker", "--config", &path];
    all.extend(flags);
    let (_, flags) = command::read(all)?;
    let variables = variables.iter();
    let variables = variables.map(|(name, value)| (format!("SLUICE_{name}").into(), (*value).into()));
    Ok(Layers::read(flags, variables)?)
}

fn written(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn the_flags_are_consistent() {
    command().debug_assert();
}

#[test]
fn defaults_are_those_of_the_manual() {
    let config = check(&[]).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("./sluice-data"));
    assert_eq!(
        (config.broker_name.as_str(), config.cluster_name.as_str()),
        ("broker-a", "DefaultCluster")
    );
    for (listen, address) in [
        (config.grpc_listen, "127.0.0.1:8081"),
        (config.http_listen, "127.0.0.1:5557"),
        (config.admin_listen, "127.0.0.1:8082"),
    ] {
        assert_eq!(listen, address.parse().unwrap());
    }
    assert_eq!((config.advertise, config.tls), (None, None));
    assert_eq!((config.admin_token_file, config.admin_client_ca), (None, None));
    assert_eq!(config.init, Init::default());
    assert_eq!(config.flush, FlushMode::Sync);
    assert_eq!(config.segment_bytes, 1 << 30);
    let live = config.live.values();
    assert!(live.auto_create_topics && !live.queue_metrics);
    assert_eq!(live.retention, Duration::from_secs(72 * 3600));
    assert_eq!(live.retention_bytes, None);
    assert_eq!(live.checkpoint_bytes, 512 << 20);
    assert_eq!(live.checkpoint_every, Duration::from_secs(30));
    assert_eq!(live.scrub_bytes_per_second, 8 << 20);
}

#[test]
fn what_cannot_work_is_refused_with_a_reason() {
    for (flags, part) in [
        (["--segment-size", "1000000"], "multiple of 4096"),
        (["--segment-size", "4KiB"], "256KiB"),
        (["--segment-size", "3GiB"], "2GiB"),
        (["--checkpoint-bytes", "1"], "64KiB"),
        (["--checkpoint-bytes", "65GiB"], "at most 64GiB"),
        (["--checkpoint-seconds", "86401"], "at most 86400"),
        (["--checkpoint-seconds", "18446744073709551615"], "at most 86400"),
        (["--checkpoint-seconds", "0"], "at least 1"),
        (["--checkpoint-seconds", "often"], "no whole number"),
        (
            ["--retention-hours", "72h"],
            "'72h' is no whole number: write digits alone, without a unit",
        ),
        (["--scrub-bytes-per-second", "1"], "at least 64KiB, or 0"),
        (["--scrub-bytes-per-second", "2TiB"], "at most 1TiB"),
        (
            ["--retention-bytes", "99999999999TiB"],
            "more than can be counted",
        ),
        (
            ["--max-clients", "99999999999999999999"],
            "more than can be counted",
        ),
        (["--broker-name", "../x"], "letters"),
        (["--broker-name", ""], "letters"),
        (["--cluster-name", "a b"], "letters"),
        (["--data-dir", ""], "--data-dir is not usable: the path is empty"),
        (["--grpc-listen", "8081"], "IP:PORT"),
        (["--http-listen", "nowhere"], "IP:PORT"),
        (["--advertise", "host"], "port is missing"),
        (["--advertise", "host:0"], "1 to 65535"),
        (["--advertise", "0.0.0.0:8081"], "unspecified"),
        (["--advertise", "[::]:8081"], "unspecified"),
        (["--advertise", "a/b:8081"], "neither"),
        (["--flush", "sometimes"], "[possible values: sync, async]"),
        (["--otlp-endpoint", "localhost:4317"], "http://"),
        (
            ["--otlp-endpoint", "http://me:secret@host:4317"],
            "name or password",
        ),
        (["--otlp-endpoint", "http:///x"], "a host and a port"),
        (
            ["--otlp-endpoint", "https://host:4317"],
            "'https://host:4317' asks for TLS, and spans are sent in plaintext alone: write one such as http://",
        ),
        (["--log", "loud"], "'loud' is neither a level"),
        (
            ["--tls-cert", "a.pem"],
            "tlsCert is given without tlsKey: give tlsKey too, as --tls-key",
        ),
        (["--tls-key", "a.pem"], "--tls-cert"),
        (
            ["--config", "/no/such/file.yaml"],
            "cannot read /no/such/file.yaml: No such file",
        ),
        (
            ["--init", "/no/such/file.yaml"],
            "cannot read /no/such/file.yaml: No such file",
        ),
    ] {
        let error = said(check(&flags).unwrap_err());
        assert!(error.contains(part), "{flags:?}: {error}");
        assert!(error.matches("os error").count() <= 1, "said once: {error}");
    }
}

#[test]
fn a_certificate_and_its_key_may_be_given_in_two_places() {
    let file = written("tlsKey: b.pem\n");
    let layers = layers(&[], &[("TLS_CERT", "a.pem")], file.path()).unwrap();
    let files = Config::of(layers).unwrap().tls.unwrap();
    assert_eq!(files.cert, PathBuf::from("a.pem"));
    assert_eq!(files.key, PathBuf::from("b.pem"));
}

#[test]
fn an_advertised_address_is_a_name_or_an_ip() {
    for (text, host, port) in [
        ("broker.example.org:80", "broker.example.org", 80),
        ("10.0.0.1:8081", "10.0.0.1", 8081),
        ("[::1]:9", "::1", 9),
    ] {
        let config = check(&["--advertise", text]).unwrap();
        let host = host.to_owned();
        assert_eq!(config.advertise, Some(HostPort { host, port }));
    }
}

#[test]
fn each_place_overrides_the_one_before() {
    let file = written("profile: container\nbrokerName: of-file\nclusterName: of-file\nlog: warn\n");
    let variables = [("CLUSTER_NAME", "of-environment"), ("LOG", "debug")];
    let layers = layers(&["--log", "error"], &variables, file.path()).unwrap();
    for (name, value, source) in [
        ("dataDir", Some("./sluice-data"), Source::Default),
        ("advertise", None, Source::Default),
        ("grpcListen", Some("0.0.0.0:8081"), Source::Profile),
        ("brokerName", Some("of-file"), Source::File),
        ("clusterName", Some("of-environment"), Source::Environment),
        ("log", Some("error"), Source::Flag),
    ] {
        let entry = layers.entries().into_iter().find(|entry| entry.key.name == name);
        let entry = entry.unwrap();
        assert_eq!((entry.value.as_deref(), entry.source), (value, source), "{name}");
    }
}

#[test]
fn a_wrong_value_is_refused_though_another_place_overrides_it() {
    let file = written("log: loud\n");
    let error = said(layers(&["--log", "info"], &[], file.path()).unwrap_err());
    assert!(error.contains(": log is not usable: 'loud'"), "{error}");
    let file = written("");
    let error = said(layers(&["--log", "info"], &[("LOG", "loud")], file.path()).unwrap_err());
    assert!(error.contains("SLUICE_LOG is not usable: 'loud'"), "{error}");
}

#[test]
fn the_container_opens_the_admin_api_only_where_it_asks_who_calls() {
    for (flags, address) in [
        (&[][..], "127.0.0.1:8082"),
        (&["--admin-token-file", "token"], "0.0.0.0:8082"),
        (&["--admin-client-ca", "ca.pem"], "0.0.0.0:8082"),
        (
            &["--admin-token-file", "token", "--admin-listen", "127.0.0.1:9"],
            "127.0.0.1:9",
        ),
    ] {
        let config = check(&[&["--profile", "container"], flags].concat()).unwrap();
        assert_eq!(config.admin_listen, address.parse().unwrap(), "{flags:?}");
        assert_eq!(config.grpc_listen, "0.0.0.0:8081".parse().unwrap());
        assert_eq!(config.http_listen, "0.0.0.0:5557".parse().unwrap());
    }
}

#[test]
fn an_admin_api_that_anyone_could_call_is_refused() {
    for (address, fits) in [
        ("0.0.0.0:8082", false),
        ("[::]:8082", false),
        ("192.0.2.1:8082", false),
        ("127.0.0.1:8082", true),
        ("127.1.2.3:0", true),
        ("[::1]:8082", true),
        ("[::ffff:127.0.0.1]:8082", true),
    ] {
        match check(&["--admin-listen", address]) {
            Ok(_) => assert!(fits, "{address}"),
            Err(error) => {
                let error = said(error);
                assert!(!fits, "{error}");
                let parts = [
                    address,
                    "--admin-token-file",
                    "--admin-client-ca",
                    "127.0.0.1:8082",
                ];
                assert!(parts.iter().all(|part| error.contains(part)), "{error}");
            }
        }
        assert!(check(&["--admin-listen", address, "--admin-token-file", "t"]).is_ok());
    }
}

/// What a command prints.
fn shown(arguments: &[&str]) -> String {
    let all = [&["sluice-broker"], arguments].concat();
    match read(all, []).unwrap() {
        Asked::Show(text) => text,
        Asked::Run(_) => panic!("{arguments:?} starts a broker"),
    }
}

#[test]
fn flags_may_stand_before_a_command_and_behind_it() {
    for arguments in [
        ["--log", "debug", "config", "print"],
        ["config", "--log", "debug", "print"],
        ["config", "print", "--log", "debug"],
    ] {
        let table = shown(&arguments);
        let line = table.lines().find(|line| line.starts_with("log "));
        assert!(line.unwrap().ends_with("flag (--log)"), "{table}");
    }
    assert!(shown(&["config", "check"]).contains("can start"));
}

#[test]
fn what_is_printed_as_yaml_is_a_file_with_the_same_configuration() {
    let flags = [
        "--broker-name",
        "7",
        "--log",
        "info,sluice_store=debug",
        "--auto-create-topics",
        "false",
    ];
    let yaml = shown(&[&flags[..], &["config", "print", "-o", "yaml"]].concat());
    assert!(
        yaml.contains("log: info,sluice_store=debug  # flag (--log)"),
        "{yaml}"
    );
    let file = written(&yaml);
    let again = layers(&[], &[], file.path()).unwrap();
    for entry in again.entries().into_iter().filter(|entry| entry.value.is_some()) {
        if entry.key.name != "config" {
            assert_eq!(entry.source, Source::File, "{}", entry.key.name);
        }
    }
    let config = Config::of(again).unwrap();
    assert_eq!(config.broker_name, "7");
    assert!(!config.live.values().auto_create_topics);
}

#[test]
fn what_is_printed_as_json_has_value_and_source_of_each_key() {
    let text = shown(&["--http-listen", "127.0.0.1:1", "config", "print", "-o", "json"]);
    let all: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let http = all.iter().find(|entry| entry["key"] == "httpListen").unwrap();
    let expected = serde_json::json!({
        "key": "httpListen",
        "value": "127.0.0.1:1",
        "source": "flag",
        "place": "--http-listen",
        "live": false,
    });
    assert_eq!(http, &expected);
    let advertise = all.iter().find(|entry| entry["key"] == "advertise").unwrap();
    assert!(advertise["value"].is_null() && advertise["place"].is_null());
}

mod changes {
    use super::*;
    use crate::config::live::Live;

    fn change(key: &str, value: Option<&str>) -> (String, Option<String>) {
        (key.to_owned(), value.map(str::to_owned))
    }

    #[test]
    fn a_live_key_is_changed_shown_and_taken_back() {
        let live = Live::default();
        let mut changes = live.subscribe();
        let changed = live.set(&[
            change("autoCreateTopics", Some("false")),
            change("log", Some("debug")),
        ]);
        let shown = changed.unwrap();
        assert_eq!(shown[0].value.as_deref(), Some("false"));
        assert!(shown.iter().all(|entry| entry.source == Source::Live));
        assert!(changes.has_changed().unwrap() && !live.values().auto_create_topics);
        changes.mark_unchanged();

        let shown = live.set(&[change("autoCreateTopics", None)]).unwrap();
        assert_eq!(shown[0].source, Source::Default);
        assert!(live.values().auto_create_topics && changes.has_changed().unwrap());
        assert_eq!(live.get("log").unwrap().value.as_deref(), Some("debug"));
    }

    #[test]
    fn of_changes_of_which_one_is_wrong_none_is_made() {
        let live = Live::default();
        for (wrong, part) in [
            (change("logs", Some("debug")), "did you mean 'log'?"),
            (change("grpcListen", Some("127.0.0.1:1")), "restart"),
            (change("queueMetrics", Some("maybe")), "write true or false"),
            (change("log", Some("loud")), "'loud'"),
        ] {
            let error = live.set(&[change("autoCreateTopics", Some("false")), wrong]);
            let error = error.unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(live.entries().iter().all(|entry| entry.source == Source::Default));
        assert!(live.values().auto_create_topics);
        assert!(live.get("colour").is_err());
    }
}
