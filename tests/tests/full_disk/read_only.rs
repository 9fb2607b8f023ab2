//! Folders in which nothing can be made any more, and a disk that the system makes read-only because it is damaged.

use serde_json::json;
use sluice_proto::v2::Code;
use sluice_tests::process::Setup;
use sluice_tests::sluicectl::Sluicectl;

use crate::stage::{MARKS, Sent, Stage, setup};

const CLOSED: &str = "the broker may not make or write files in its data folder (mode, owner, or an attribute as by chattr +i): messages are taken again when that is put right";

fn is_refused(refusal: (Code, String)) {
    assert_eq!(refusal, (Code::TooManyRequests, CLOSED.to_owned()));
}

/// What the operator is shown is the reason too, and not a full disk.
fn says_why(stage: &Stage) {
    let sluicectl = Sluicectl::of(&stage.broker).unwrap();
    let status = sluicectl.json(&["broker", "status"]).unwrap();
    let disk = &status["disk"];
    assert_eq!(
        (&disk["refusing_sends"], &disk["refusing_reason"]),
        (&json!(true), &json!("not_permitted")),
        "{disk}"
    );
    let cause = disk["refusing_cause"].as_str().unwrap();
    assert!(
        cause.contains("/log/") && cause.contains("Operation not permitted"),
        "{cause}"
    );
    let shown = sluicectl.ok(&["broker", "status"]).unwrap();
    assert!(shown.contains("may not make or write files"), "{shown}");
    let refuses = |reason: &str| {
        let metric = stage
            .broker
            .metric_of("sluice_data_refuses_messages", "reason", reason);
        metric.unwrap()
    };
    assert_eq!((refuses("not_permitted"), refuses("disk_full")), (1.0, 0.0));
    assert_eq!(stage.broker.metric("sluice_data_disk_full").unwrap(), 0.0);
    assert!(stage.refusals("not_permitted") >= 1.0 && stage.refusals("disk_full") == 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_turns_read_only_takes_no_messages_drains_and_takes_them_again_by_itself() {
    let mut stage = Stage::new(&MARKS).await;
    for _ in 0..50 {
        assert_eq!(stage.send().await, Sent::Acknowledged);
    }
    let data = stage.disk.path().join("data");
    stage.disk.close_folders(&data, true).unwrap();
    is_refused(stage.send_until_refused().await);
    stage.drain().await;
    let log = stage.broker.log().unwrap();
    assert!(
        log.contains("Operation not permitted")
            && log.contains("closed to the process")
            && !log.contains("disk of the log is full"),
        "{log}"
    );
    is_refused(stage.send_until_refused().await);
    says_why(&stage);

    stage.disk.close_folders(&data, false).unwrap();
    stage.send_until_taken().await;
    stage.wait_for("sluice_data_refuses_messages", |refuses| refuses == 0.0);
    for _ in 0..50 {
        assert_eq!(stage.send().await, Sent::Acknowledged);
    }
    stage.kill_and_restart();
    stage.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_turns_read_only_ends_the_process_and_nothing_acknowledged_is_lost() {
    let mut stage = Stage::new(&MARKS).await;
    for _ in 0..50 {
        assert_eq!(stage.send().await, Sent::Acknowledged);
    }
    stage.disk.turn_read_only().unwrap();
    // Whatever is sent from here on is not acknowledged.
    while stage.broker.runs().unwrap() {
        assert_ne!(stage.send().await, Sent::Acknowledged);
    }
    assert_eq!(stage.broker.wait_for_end().unwrap().code(), Some(3));
    // What was under way is an error of the medium; what comes later, one of the file system.
    let log = stage.broker.log().unwrap();
    assert!(log.contains("the store has failed: the process ends"), "{log}");

    let mut again = setup(&stage.disk).spawn().unwrap();
    assert_eq!(again.wait_for_end().unwrap().code(), Some(1));
    let log = again.log().unwrap();
    assert!(
        log.contains("Read-only file system") && log.contains("data"),
        "{log}"
    );

    stage.disk.mend().unwrap();
    drop(again);
    let healthy = Setup::start(setup(&stage.disk)).unwrap();
    stage.client = sluice_tests::client::Client::new(&healthy.endpoint()).unwrap();
    stage.broker = healthy;
    stage.drain().await;
    assert_eq!(stage.send().await, Sent::Acknowledged);
    stage.drain().await;
}
