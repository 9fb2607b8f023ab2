//! Memory that ends: a broker with enough of it bounds itself, and one that is killed for want of it has lost nothing.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use sluice_tests::flood::{self, Flood, Load};
use sluice_tests::memory_limit::MemoryLimit;
use sluice_tests::process::{Broker, Setup};
use sluice_tests::wait;

use crate::is_long;

/// A broker's bounds on what clients make it hold, and the memory that docs/reliability.md says it needs with them.
struct Bounds {
    /// Each of the three; the default if it is not given.
    given: Option<&'static str>,
    bytes: usize,
    need: u64,
}

const SMALL: Bounds = Bounds {
    given: Some("16MiB"),
    bytes: 16 << 20,
    need: 256 << 20,
};
const DEFAULT: Bounds = Bounds {
    given: None,
    bytes: 128 << 20,
    need: 592 << 20,
};
/// Little more than what a broker has that hardly anybody talks to.
const TOO_LITTLE: u64 = 32 << 20;
/// Messages that it has acknowledged before memory gets short.
const BEFORE: usize = 40;
/// Requests that do not come to their end, which is 640 MiB at a time.
const HELD: Load = Load {
    connections: 40,
    at_a_time: 640,
    body_bytes: 1 << 20,
};
/// Sends that do, which are so small that some of each client are always taken in.
const LOAD: Load = Load {
    connections: 8,
    at_a_time: 2000,
    body_bytes: 24 << 10,
};
const KILLED_WITHIN: Duration = Duration::from_secs(60);
const CONSUMED_WITHIN: Duration = Duration::from_secs(60);
const SIGKILL: i32 = 9;

/// A broker that has so much memory.
fn limited(limit: &MemoryLimit, bounds: &Bounds) -> Broker {
    let mut setup = Setup::new().init("topics:\n  - {name: orders, queues: 4}\n");
    if let Some(bound) = bounds.given {
        setup = setup
            .flag("--max-unanswered-sends", bound)
            .flag("--max-unfinished-requests", bound)
            .flag("--max-unread-answers", bound);
    }
    let mut broker = setup.start().unwrap();
    broker.kill().unwrap();
    broker.spawn_under(limit.words()).unwrap();
    assert_eq!(broker.ready_or_ended().unwrap(), None);
    broker
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_with_the_memory_it_needs_bounds_itself_whatever_is_offered() {
    bounds_itself(&SMALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_with_the_default_bounds_and_the_memory_for_them_bounds_itself_whatever_is_offered() {
    bounds_itself(&DEFAULT).await;
}

async fn bounds_itself(bounds: &Bounds) {
    let limit = MemoryLimit::of(bounds.need).unwrap();
    let mut broker = limited(&limit, bounds);
    let times = if is_long() { 15 } else { 1 };
    let consumed_within = CONSUMED_WITHIN * times;
    let (mut held, mut memory) = (Vec::new(), 0);
    let mut flood = None;
    for _ in 0..times {
        let holding = flood::hold(&broker.endpoint(), HELD).await;
        assert_eq!(limit.kills().unwrap(), 0, "it was killed for want of memory");
        let holding = holding.unwrap();
        held.push(holding.len());
        let flood = flood.get_or_insert_with(|| Flood::begin(&broker.endpoint(), LOAD).unwrap());
        let before = flood.acknowledged();
        let works = || flood.acknowledged() > before;
        memory = memory.max(crate::peak(&broker, Duration::from_secs(4), works).await);
        assert_eq!(limit.kills().unwrap(), 0, "it was killed for want of memory");
    }
    let flood = flood.unwrap();
    let sends = flood.end().await.unwrap();
    let (acknowledged, refused) = (sends.acknowledged.len(), sends.refused.len());
    println!(
        "{acknowledged} acknowledged, {refused} refused, {held:?} of {} held, {memory} MiB of {}",
        HELD.at_a_time,
        bounds.need >> 20
    );
    // The first time there is nothing else to hold.
    assert!(
        acknowledged > 100 && refused > 0 && held[0] > 8,
        "no load to speak of"
    );
    for count in held {
        // Of some that were refused nobody has heard yet.
        assert!(count * HELD.body_bytes <= 2 * bounds.bytes, "{count} are held");
    }
    assert!(broker.runs().unwrap());
    assert_eq!(limit.kills().unwrap(), 0);
    sends.check(&broker.endpoint(), consumed_within).await.unwrap();
    assert_eq!(limit.kills().unwrap(), 0);
    broker.kill().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_killed_for_want_of_memory_has_lost_nothing_acknowledged() {
    let limit = MemoryLimit::of(TOO_LITTLE).unwrap();
    let mut broker = limited(&limit, &SMALL);
    let first = Load { at_a_time: 1, ..LOAD };
    let mut flood = Flood::begin(&broker.endpoint(), first).unwrap();
    let works = || flood.acknowledged() >= BEFORE;
    wait::until_true_async("it takes messages", KILLED_WITHIN, works)
        .await
        .unwrap();
    flood.swell(LOAD.at_a_time);
    let ended = || !broker.runs().unwrap();
    wait::until_true_async("the broker is killed", KILLED_WITHIN, ended)
        .await
        .unwrap();
    let sends = flood.end().await.unwrap();
    assert_eq!(broker.wait_for_end().unwrap().signal(), Some(SIGKILL));
    assert!(limit.kills().unwrap() > 0);
    println!("{} acknowledged before it was killed", sends.acknowledged.len());
    broker.restart().unwrap();
    sends.check(&broker.endpoint(), CONSUMED_WITHIN).await.unwrap();
}
