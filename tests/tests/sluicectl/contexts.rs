//! Named brokers.

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
    }
}
