//! Named brokers.

use sluice_tests::ports;
use sluice_tests::sluicectl::Sluicectl;

fn file(sluicectl: &Sluicectl) -> String {
    std::fs::read_to_string(sluicectl.home().join(".config/sluice/config.yaml")).unwrap()
}

#[test]
fn contexts_are_made_chosen_shown_changed_and_deleted() {
    let sluicectl = Sluicectl::new().unwrap();
    assert!(
        sluicectl
            .ok(&["context", "list"])
            .unwrap()
            .contains("no contexts")
    );
    sluicectl
        .ok(&["context", "set", "lab", "--admin", "lab:8082"])
        .unwrap();
    let more = [
        "--admin",
        "prod:8082",
        "--token-file",
        "token",
        "--ca",
        "/etc/ca.pem",
    ];
    sluicectl
        .ok(&[&["context", "set", "prod"][..], &more].concat())
        .unwrap();

    // The first one is in use until another is chosen.
    let list = sluicectl.json(&["context", "list"]).unwrap();
    assert_eq!(
        (&list[0]["name"], &list[0]["current"]),
        (&"lab".into(), &true.into())
    );
    sluicectl.ok(&["context", "use", "prod"]).unwrap();
    let shown = sluicectl.json(&["context", "show"]).unwrap();
    assert_eq!(
        (&shown["name"], &shown["admin"]),
        (&"prod".into(), &"prod:8082".into())
    );
    assert_eq!(
        shown["tokenFile"],
        sluicectl.home().join("token").to_str().unwrap()
    );
    let table = sluicectl.ok(&["context", "list"]).unwrap();
    assert!(
        table
            .lines()
            .any(|line| line.starts_with('*') && line.contains("prod:8082")),
        "{table}"
    );

    // A change leaves the rest.
    sluicectl
        .ok(&["context", "set", "prod", "--endpoint", "prod:8081"])
        .unwrap();
    let shown = sluicectl.json(&["context", "show", "prod"]).unwrap();
    assert_eq!(
        (&shown["admin"], &shown["endpoint"]),
        (&"prod:8082".into(), &"prod:8081".into())
    );
    assert!(file(&sluicectl).contains("current: prod"));

    sluicectl.ok(&["context", "delete", "prod"]).unwrap();
    let said = sluicectl.run(&["context", "show"]).unwrap();
    assert_eq!(said.code, 3, "{said:?}");
    assert_eq!(
        sluicectl
            .json(&["context", "list"])
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_context_that_is_not_there_is_not_found_and_the_others_are_named() {
    let sluicectl = Sluicectl::new().unwrap();
    sluicectl
        .ok(&["context", "set", "lab", "--admin", "lab:8082"])
        .unwrap();
    for arguments in [
        &["context", "use", "moon"][..],
        &["context", "show", "moon"],
        &["context", "delete", "moon"],
        &["topic", "list", "--context", "moon"],
    ] {
        let said = sluicectl.run(arguments).unwrap();
        assert_eq!(said.code, 3, "{said:?}");
        assert!(
            said.stderr.contains("no context 'moon'") && said.stderr.contains("there are: lab"),
            "{said:?}"
        );
    }
}

#[test]
fn a_file_of_contexts_that_is_none_is_refused_by_name() {
    let sluicectl = Sluicectl::new()
        .unwrap()
        .environment("SLUICECTL_CONFIG", "broken.yaml");
    std::fs::write(
        sluicectl.home().join("broken.yaml"),
        "contexts: {lab: {adress: x}}",
    )
    .unwrap();
    for arguments in [&["context", "list"][..], &["topic", "list"]] {
        let said = sluicectl.run(arguments).unwrap();
        assert_eq!(said.code, 2, "{said:?}");
        assert!(
            said.stderr.contains("broken.yaml") && said.stderr.contains("adress"),
            "{said:?}"
        );
        // What is advised can be followed: `context set` would fail for the same reason.
        assert!(
            said.stderr.contains("hint: mend broken.yaml, or remove it"),
            "{said:?}"
        );
    }
}

#[test]
fn a_file_of_contexts_that_cannot_be_read_stands_against_nothing_where_an_address_is_given() {
    let address = format!("127.0.0.1:{}", ports::free().unwrap());
    // A folder is no file.
    let sluicectl = Sluicectl::new().unwrap().environment("SLUICECTL_CONFIG", ".");
    let said = sluicectl.run(&["broker", "status"]).unwrap();
    assert_eq!(said.code, 2, "{said:?}");
    assert!(
        said.stderr
            .contains("hint: name another file with SLUICECTL_CONFIG; with --admin"),
        "{said:?}"
    );
    let said = sluicectl.run(&["broker", "status", "--admin", &address]).unwrap();
    assert_eq!(said.code, 5, "only the broker is missing: {said:?}");
    let said = sluicectl
        .run(&["broker", "status", "--admin", &address, "--context", "lab"])
        .unwrap();
    assert_eq!(said.code, 2, "a context is asked for: {said:?}");

    let homeless = Sluicectl::new().unwrap().environment("HOME", "/dev/null");
    assert_eq!(homeless.ok(&["context", "list"]).unwrap().lines().count(), 1);
    let said = homeless.run(&["context", "set", "lab"]).unwrap();
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.stderr.contains("hint: name a file that you may write"),
        "{said:?}"
    );
}

#[test]
fn contexts_that_are_set_at_the_same_time_are_all_kept() {
    let sluicectl = Sluicectl::new().unwrap();
    let names: Vec<String> = (0..12).map(|number| format!("c{number}")).collect();
    let set = |name: &String| {
        sluicectl
            .run(&["context", "set", name, "--admin", "lab:8082"])
            .unwrap()
    };
    let said: Vec<_> = std::thread::scope(|scope| {
        let commands: Vec<_> = names.iter().map(|name| scope.spawn(|| set(name))).collect();
        commands
            .into_iter()
            .map(|command| command.join().unwrap())
            .collect()
    });
    for (name, said) in names.iter().zip(&said) {
        assert_eq!(said.code, 0, "{said:?}");
        assert!(
            said.stdout.starts_with(&format!("context {name} made")),
            "{said:?}"
        );
    }
    let first = said.iter().filter(|said| said.stdout.contains("and in use"));
    assert_eq!(first.count(), 1, "one was the first: {said:?}");
    let list = sluicectl.json(&["context", "list"]).unwrap();
    assert_eq!(list.as_array().unwrap().len(), names.len(), "{list}");
    let left: Vec<_> = std::fs::read_dir(sluicectl.home().join(".config/sluice"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != "config.yaml" && name != "config.yaml.lock")
        .collect();
    assert!(left.is_empty(), "{left:?} were left behind");
}
