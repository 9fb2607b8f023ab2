//! Each place overrides the one before, on a broker that runs.

use sluice_proto::v2::Code;
use sluice_tests::process::Setup;

use crate::first_use;

const VARIABLE: &str = "SLUICE_AUTO_CREATE_TOPICS";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flag_overrides_a_variable_and_that_the_file() {
    let file = || Setup::new().config("autoCreateTopics: false\n");
    for (what, setup, expected) in [
        ("none of them", Setup::new(), Code::Ok),
        ("the file", file(), Code::TopicNotFound),
        (
            "an empty variable",
            file().environment(VARIABLE, ""),
            Code::TopicNotFound,
        ),
        ("the variable", file().environment(VARIABLE, "true"), Code::Ok),
        (
            "the flag",
            file()
                .environment(VARIABLE, "true")
                .flag("--auto-create-topics", "false"),
            Code::TopicNotFound,
        ),
    ] {
        let broker = setup.start().unwrap();
        assert_eq!(first_use(&broker, "orders").await, Some(expected), "{what}");
    }
}

#[test]
fn a_broker_can_be_told_everything_by_a_file_that_a_variable_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sluice.yaml");
    std::fs::write(&path, "brokerName: of-file\nsegmentSize: 1MiB\nlogFormat: json\n").unwrap();
    let named = path.display().to_string();
    let broker = Setup::new().environment("SLUICE_CONFIG", &named).start().unwrap();
    assert!(broker.data_dir().join("of-file/log").is_dir());
    assert!(broker.log().unwrap().starts_with('{'));
}

#[test]
fn the_variables_of_others_are_left_alone() {
    // What Kubernetes gives a pod beside a service that is called sluice.
    let setup = Setup::new()
        .environment("SLUICE_ADMIN", "127.0.0.1:8082")
        .environment(&format!("{}_SERVICE_HOST", "SLUICE"), "10.0.0.1")
        .environment(&format!("{}_PORT", "SLUICE"), "tcp://10.0.0.1:8081");
    assert!(setup.start().unwrap().is_ready().unwrap());
}
