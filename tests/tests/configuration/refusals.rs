//! What cannot be followed ends the start with 2, and names place and key.

use std::process::ExitStatus;

use sluice_tests::process::Setup;

/// How a start ended, and what it said.
fn ended(setup: Setup) -> (ExitStatus, String) {
    let mut broker = setup.spawn().unwrap();
    let status = broker.wait_for_end().unwrap();
    (status, broker.log().unwrap())
}

fn assert_refused(setup: Setup, parts: &[&str]) {
    let (status, log) = ended(setup);
    assert_eq!(status.code(), Some(2), "{log}");
    for part in parts {
        assert!(log.contains(part), "should say {part:?}: {log}");
    }
}

#[test]
fn a_key_that_is_not_known_is_refused_with_the_nearest() {
    for (yaml, parts) in [
        (
            "autoCreateTopic: true",
            ["sluice.yaml: autoCreateTopic is not known", "'autoCreateTopics'"],
        ),
        (
            "checkpoint-seconds: 5",
            ["sluice.yaml: checkpoint-seconds", "'checkpointSeconds'"],
        ),
        ("color: red", ["sluice.yaml: color is not known", "config print"]),
    ] {
        assert_refused(Setup::new().config(yaml), &parts);
    }
    let misspelt = format!("{}_LOGFORMAT", "SLUICE");
    let parts = [&*misspelt, "did you mean 'SLUICE_LOG_FORMAT'?"];
    assert_refused(Setup::new().environment(&misspelt, "json"), &parts);
}

#[test]
fn a_value_of_a_wrong_type_is_refused_with_file_and_key() {
    for (yaml, parts) in [
        (
            "autoCreateTopics: 'yes'",
            ["sluice.yaml: autoCreateTopics is not usable", "true or false"],
        ),
        (
            "checkpointSeconds: soon",
            ["sluice.yaml: checkpointSeconds", "whole number"],
        ),
        (
            "checkpointBytes: 12parsecs",
            ["sluice.yaml: checkpointBytes", "12parsecs"],
        ),
        ("log: [info]", ["sluice.yaml: log", "a list"]),
        ("flush: sometimes", ["sluice.yaml: flush", "sync or async"]),
        (
            "advertise: nowhere",
            ["sluice.yaml: advertise", "port is missing"],
        ),
        ("log: ''", ["sluice.yaml: log is not usable", "PACKAGE=LEVEL"]),
        ("log: [", ["sluice.yaml", "line 2"]),
    ] {
        assert_refused(Setup::new().config(yaml), &parts);
    }
    let setup = Setup::new().environment("SLUICE_CHECKPOINT_SECONDS", "0");
    assert_refused(setup, &["SLUICE_CHECKPOINT_SECONDS is not usable", "at least 1"]);
    let setup = Setup::new().flag("--log", "");
    assert_refused(setup, &["--log is not usable", "PACKAGE=LEVEL"]);
    let setup = Setup::new().flag("--config", "/no/such/file.yaml");
    assert_refused(
        setup,
        &["cannot read /no/such/file.yaml: No such file or directory"],
    );
}

#[test]
fn an_admin_api_that_anyone_could_call_is_refused() {
    let address = format!("0.0.0.0:{}", sluice_tests::ports::free().unwrap());
    let open = || Setup::new().instead("--admin-listen", &address);
    assert_refused(
        open(),
        &[&address, "--admin-token-file", "--admin-client-ca", "127.0.0.1"],
    );

    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "a-token-of-more-than-thirty-two-characters\n").unwrap();
    let token = token.display().to_string();
    let guarded = open().flag("--admin-token-file", &token).start().unwrap();
    assert!(guarded.is_ready().unwrap());
}
