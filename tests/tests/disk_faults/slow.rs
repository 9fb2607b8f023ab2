//! A disk whose syncs take a fifth of a second: more than it takes is refused, and not kept in memory.

use std::time::{Duration, Instant};

use sluice_tests::flood::Flood;
use sluice_tests::process::{Broker, Setup};
use sluice_tests::strace::{Injected, Injection, Strace, When};

use crate::points::numbers;
use crate::{anonymous_mib, is_long};

const SLOW: Duration = Duration::from_millis(200);
/// 48 MiB, of which the log takes 5 a second.
const AT_A_TIME: usize = 3000;
const BODY_BYTES: usize = 16 << 10;
/// Each of the bounds on what clients make the broker hold: a third of what they would.
const BOUND: &str = "16MiB";
/// What docs/reliability.md says that a broker with such bounds needs.
const MEMORY_MAX_MIB: u64 = 256;
const CONSUMED_WITHIN: Duration = Duration::from_secs(60);

/// The most memory that it has while this passes.
async fn peak(broker: &Broker, time: Duration) -> u64 {
    let until = Instant::now() + time;
    let mut most = 0;
    while Instant::now() < until {
        most = most.max(anonymous_mib(broker));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    most
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_syncs_push_back_on_senders_and_not_into_memory() {
    let broker = Setup::new()
        .flag("--max-send-wait-millis", "500")
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
    let flood = Flood::begin(&broker.endpoint(), AT_A_TIME, BODY_BYTES).unwrap();
    let time = Duration::from_secs(if is_long() { 60 } else { 6 });
    let peak = peak(&broker, time).await;
    let sends = flood.end().await.unwrap();
    let slowed = strace.detach().unwrap().injected;
    println!(
        "{slowed} slow syncs, {} acknowledged, {} refused, {} lost, {peak} MiB at most",
        sends.acknowledged.len(),
        sends.refused.len(),
        sends.lost.len()
    );
    assert!(slowed > 10 && !sends.acknowledged.is_empty());
    assert!(sends.lost.is_empty(), "{} sends got no answer", sends.lost.len());
    assert!(!sends.refused.is_empty(), "nobody was pushed back");
    for hint in sends.refused.values() {
        assert!(hint.contains("again after a moment"), "no hint: {hint}");
    }
    assert!(peak <= MEMORY_MAX_MIB, "{peak} MiB");
    sends.check(&broker.endpoint(), CONSUMED_WITHIN).await.unwrap();
}
