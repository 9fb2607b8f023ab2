//! A disk that fills, seen before it is full.

use std::collections::BTreeSet;
use std::time::Instant;

use sluice_proto::v2::Code;

use crate::stage::{GROUP, MARKS, SOON, Sent, Stage, TOPIC};

const NEARLY_FULL: &str = "the broker's disk is nearly full: messages are taken again when retention or somebody else has made room on it";

/// The share of the log's bound with which `SluiceUnreadOutgrown` fires, in `monitoring/alerting-rules.yaml`.
const OUTGROWN: f64 = 0.6;
const MIB: f64 = 1_048_576.0;
const EXPIRED: &str = "sluice_consumer_expired_unconsumed_messages_total";

/// The group's unread depth and what the alert compares it with, while nothing has expired.
struct Depth {
    unread: f64,
    bound: f64,
}

impl Depth {
    /// `None` once something has expired, all by one scrape.
    fn of(stage: &Stage) -> Option<Self> {
        let samples = stage.broker.metrics().unwrap();
        let of = |name: &str| {
            let found = samples.iter().find(|sample| {
                let is_ours = |(label, ours)| sample.labels.get(label).is_none_or(|value| value == ours);
                sample.name == name
                    && [("consumer_group", GROUP), ("topic", TOPIC)]
                        .into_iter()
                        .all(is_ours)
            });
            found.unwrap_or_else(|| panic!("there is no {name}")).value
        };
        (of(EXPIRED) == 0.0).then(|| Self {
            unread: of("sluice_consumer_unread_depth_bytes"),
            bound: of("sluice_retention_size_limit_bytes"),
        })
    }

    fn is_outgrown(&self) -> bool {
        self.unread > OUTGROWN * self.bound
    }
}

fn is_refused(refusal: (Code, String)) {
    assert_eq!(refusal, (Code::TooManyRequests, NEARLY_FULL.to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_fills_its_disk_refuses_sends_drains_and_takes_sends_again_by_itself() {
    let mut stage = Stage::new(&[MARKS[0], MARKS[2]]).await;
    is_refused(stage.send_until_refused().await);
    let sent = stage.acknowledged.len();
    assert!(sent > 500, "{sent} messages of 48 KiB fill nine tenths of 64 MiB");
    assert!(stage.refusals("disk_nearly_full") >= 1.0);
    for (name, value) in [("sluice_data_disk_full", 1.0), ("sluice_data_disk_level", 3.0)] {
        assert_eq!(stage.metric(name), value, "{name}");
    }
    let log = stage.broker.log().unwrap();
    for words in ["earlyRetentionPercent", "refuseSendsPercent"] {
        assert!(log.contains(words), "the log tells of {words}");
    }

    stage.kill_and_restart();
    is_refused(stage.send_until_refused().await);
    assert_eq!(
        stage.consume(200).await / 200,
        1,
        "deliveries and acknowledgements go on"
    );

    stage.drain().await;
    stage.send_until_taken().await;
    stage.wait_for("sluice_data_disk_level", |level| level == 0.0);
    assert_eq!(stage.metric(EXPIRED), 0.0);
    stage.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_forced_retention_the_oldest_unread_messages_go_and_are_counted_and_sends_are_taken_all_the_time()
 {
    let mut stage = Stage::new(&MARKS).await;
    let begun = Instant::now();
    let expired = |stage: &Stage| stage.metric(EXPIRED);
    let mut refused = 0;
    // The unread bytes at which the alert has its reason, and the most there were before something went.
    let (mut outgrown, mut most) = (None, 0.0);
    while let Some(depth) = Depth::of(&stage) {
        if outgrown.is_none() && depth.is_outgrown() {
            outgrown = Some(depth.unread);
        }
        assert!(
            outgrown.is_none() || depth.is_outgrown(),
            "{} of {} unread bytes are no reason any more, and nothing has gone",
            depth.unread,
            depth.bound
        );
        most = depth.unread;
        refused += usize::from(stage.send().await != Sent::Acknowledged);
        assert!(begun.elapsed() < 5 * SOON, "nothing goes: {}", stage.figures());
    }
    let outgrown = outgrown.expect("the alert has a reason before anything goes");
    println!(
        "the alert had its reason with {outgrown} unread bytes, and {most} were the most before the first went"
    );
    // Else it would be told of when it is too late: what comes in a minute is to fit in between.
    assert!(most - outgrown > 4.0 * MIB, "{most} follow {outgrown} at once");
    stage.wait_for("sluice_data_disk_level", |level| level < 2.0);
    let sent = stage.acknowledged.len();
    println!("{refused} sends were refused before retention had made room for {sent}");
    let before = stage.acknowledged.clone();
    let came = stage.consume(usize::MAX).await;
    let lost = stage.acknowledged.len();
    assert_eq!(came + lost, sent);
    assert_eq!(
        expired(&stage),
        lost as f64,
        "what did not come is what was counted"
    );
    // The log gives up its beginning, whichever queues that is of: one client sent them one after the other, and names tell the order.
    let oldest: BTreeSet<_> = before.iter().take(lost).cloned().collect();
    assert_eq!(
        stage.acknowledged, oldest,
        "the {lost} that went are the first {lost} of {sent} that were sent"
    );
    let log = stage.broker.log().unwrap();
    assert!(
        log.contains("retention took messages that groups had not done"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_another_process_fills_the_disk_sends_are_refused_and_nothing_unread_goes_until_it_makes_room()
{
    let mut stage = Stage::new(&MARKS).await;
    for _ in 0..100 {
        assert_eq!(stage.send().await, Sent::Acknowledged);
    }
    stage.disk.fill_but(2 << 10).unwrap();
    stage.wait_for("sluice_data_disk_level", |level| level == 3.0);
    is_refused(stage.send_until_refused().await);
    assert_eq!(stage.consume(32).await, 32);
    // Retention has looked, and says why it gives up nothing.
    let in_vain = || {
        Ok(stage
            .broker
            .log()?
            .contains("somebody else fills the disk")
            .then_some(()))
    };
    sluice_tests::wait::until("retention has looked", SOON, in_vain).unwrap();
    stage.kill_and_restart();
    is_refused(stage.send_until_refused().await);
    stage.disk.empty().unwrap();
    stage.send_until_taken().await;
    stage.drain().await;
    assert_eq!(stage.metric(EXPIRED), 0.0);
}
