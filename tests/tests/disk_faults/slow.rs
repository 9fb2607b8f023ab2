//! A disk whose syncs take a fifth of a second, those of checkpoints seconds too: more than it takes is refused, and not kept in memory.

use std::time::Duration;

use sluice_tests::flood::{Flood, Load};
use sluice_tests::process::{Broker, Setup};
use sluice_tests::strace::{Injected, Injection, Strace, When};

use crate::points::numbers;
use crate::{is_long, peak};

const SLOW: Duration = Duration::from_millis(200);
/// What a checkpoint's sync of the whole file system takes then.
const SLOW_CHECKPOINT: Duration = Duration::from_secs(2);
/// 640 MiB, of which the log takes 5 a second.
const LOAD: Load = Load {
    connections: 160,
    at_a_time: 2560,
    body_bytes: 256 << 10,
};
/// Each of the bounds on what clients make the broker hold.
const BOUND: &str = "16MiB";
/// What docs/reliability.md says that a broker with such bounds needs.
const MEMORY_MAX_MIB: u64 = 256;
const CONSUMED_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_syncs_push_back_on_senders_and_not_into_memory() {
    let broker = setup().start().unwrap();
    pushes_back(&broker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_whose_syncs_take_seconds_hold_no_more_of_it_back() {
    let broker = setup().flag("--checkpoint-seconds", "1").start().unwrap();
    let strace = delay(&broker, "checkpoint", "syncfs", SLOW_CHECKPOINT);
    let written = || broker.metric("sluice_checkpoints_total").unwrap();
    let before = written();
    pushes_back(&broker).await;
    let (slowed, checkpoints) = (strace.detach().unwrap().injected, written() - before);
    println!("{slowed} slow syncs of checkpoints, of which {checkpoints} were written");
    assert!(slowed > 1 && checkpoints > 0.0);
}

fn setup() -> Setup {
    Setup::new()
        .flag("--max-send-wait-millis", "10000")
        .flag("--max-unanswered-sends", BOUND)
        .flag("--max-unfinished-requests", BOUND)
}

/// Each such call of this thread takes so much longer.
fn delay(broker: &Broker, thread: &str, call: &'static str, by: Duration) -> Strace {
    let slow = Injection {
        call,
        what: Injected::Delay(by),
        when: When::From(1),
    };
    Strace::inject(&numbers(broker, &[thread]), &slow).unwrap()
}

/// The log's syncs are slow, and more is sent than they let through.
async fn pushes_back(broker: &Broker) {
    let strace = delay(broker, "log", "fdatasync", SLOW);
    let flood = Flood::begin(&broker.endpoint(), LOAD).unwrap();
    let time = Duration::from_secs(if is_long() { 60 } else { 6 });
    let offered = || (flood.answered() * LOAD.body_bytes) as u64 >> 20;
    let peak = peak(broker, time, || offered() > 2 * MEMORY_MAX_MIB).await;
    let offered = offered();
    let sends = flood.end().await.unwrap();
    let slowed = strace.detach().unwrap().injected;
    println!(
        "{slowed} slow syncs, {} acknowledged, {} refused, {} lost, {offered} MiB were offered, {peak} MiB held at most",
        sends.acknowledged.len(),
        sends.refused.len(),
        sends.lost.len()
    );
    assert!(slowed > 10 && !sends.acknowledged.is_empty());
    let lost: Vec<_> = sends.lost.iter().take(5).collect();
    assert!(lost.is_empty(), "sends got no answer: {lost:?}");
    assert!(!sends.refused.is_empty(), "nobody was pushed back");
    for hint in sends.refused.values() {
        let says_what_to_do = hint.contains("again after a moment") || hint.contains("send fewer at a time");
        assert!(says_what_to_do, "no hint: {hint}");
    }
    assert!(peak <= MEMORY_MAX_MIB, "{peak} MiB");
    sends.check(&broker.endpoint(), CONSUMED_WITHIN).await.unwrap();
}
