//! A disk whose syncs take a fifth of a second: more than it takes is refused, and not kept in memory.

use std::time::Duration;

use sluice_tests::flood::{Flood, Load};
use sluice_tests::process::Setup;
use sluice_tests::strace::{Injected, Injection, Strace, When};

use crate::points::numbers;
use crate::{is_long, peak};

const SLOW: Duration = Duration::from_millis(200);
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
    let broker = Setup::new()
        .flag("--max-send-wait-millis", "10000")
        .flag("--max-unanswered-sends", BOUND)
        .flag("--max-unfinished-requests", BOUND)
        .start()
        .unwrap();
    let slow = Injection {
        call: "fdatasync",
        what: Injected::Delay(SLOW),
        when: When::From(1),
    };
    let strace = Strace::inject(&numbers(&broker, &["log"]), &slow).unwrap();
    let flood = Flood::begin(&broker.endpoint(), LOAD).unwrap();
    let time = Duration::from_secs(if is_long() { 60 } else { 6 });
    let offered = || (flood.answered() * LOAD.body_bytes) as u64 >> 20;
    let peak = peak(&broker, time, || offered() > 2 * MEMORY_MAX_MIB).await;
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
