//! A disk that is full to the last byte, with the marks turned off.

use sluice_proto::v2::Code;
use sluice_tests::process::Setup;
use sluice_tests::small_disk::SmallDisk;

use crate::stage::{Sent, Stage, setup};

/// Less than what is there.
const LESS: &str = "retentionBytes: 2MiB\n";
const FULL: &str = "the broker's disk is full: messages are taken again when there is room on it";

pub fn is_refused(refusal: (Code, String)) {
    assert_eq!(refusal, (Code::TooManyRequests, FULL.to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_the_broker_fills_to_the_last_byte_drains_and_lower_retention_makes_room_again() {
    let mut stage = Stage::new(&[]).await;
    is_refused(stage.send_until_refused().await);
    assert!(
        stage.disk.free().unwrap() < 1 << 20,
        "the disk is full in earnest"
    );
    assert!(stage.refusals("disk_full") >= 1.0);
    let sent = stage.acknowledged.len();
    assert!(stage.consume(sent / 2).await >= sent / 2);
    stage.kill_and_restart();
    is_refused(stage.send_until_refused().await);
    stage.drain().await;

    stage.broker.rewrite_config(LESS).unwrap();
    stage.send_until_taken().await;
    stage.drain().await;
    // Where the log can begin may be far apart: then size waits until more has come.
    stage
        .go_on_until("sluice_log_size_bytes", |bytes| bytes < f64::from(8 << 20))
        .await;
    stage.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_another_process_fills_to_the_last_byte_leaves_everything_but_sends_going_on() {
    let mut stage = Stage::new(&[]).await;
    for _ in 0..100 {
        assert_eq!(stage.send().await, Sent::Acknowledged);
    }
    stage.disk.fill().unwrap();
    is_refused(stage.send_until_refused().await);
    assert_eq!(stage.consume(48).await, 48);
    stage.kill_and_restart();
    is_refused(stage.send_until_refused().await);
    stage.drain().await;
    stage.broker.stop().unwrap();
    stage.broker.restart().unwrap();
    is_refused(stage.send_until_refused().await);

    // The log gives up what it has, and the checkpoint for that fits into the reserve.
    let taken_from_disk = stage.disk.free().unwrap();
    stage.broker.rewrite_config(LESS).unwrap();
    stage.send_until_taken().await;
    assert!(
        taken_from_disk < 64 << 10,
        "{taken_from_disk} bytes were free before"
    );
    stage.disk.empty().unwrap();
    stage.wait_for("sluice_data_disk_full", |full| full == 0.0);
    stage.drain().await;
}

#[test]
fn a_new_broker_on_a_full_disk_says_what_is_wrong() {
    let disk = SmallDisk::new(16).unwrap();
    disk.fill().unwrap();
    let mut broker = setup(&disk).spawn().unwrap();
    assert_eq!(broker.wait_for_end().unwrap().code(), Some(1));
    let log = broker.log().unwrap();
    assert!(log.contains("No space left on device"), "{log}");
    disk.empty().unwrap();
    drop(Setup::start(setup(&disk)).unwrap());
}
