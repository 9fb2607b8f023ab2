//! A machine's clock that is set an hour forward or back while the broker runs, or while it is down: nothing comes before its
//! time, and nothing waits longer than it.
//!
//! Time goes at the pace of the monotonic clock while the broker runs, whichever way the wall clock is set, but for what it catches up of one
//! that is ahead: a two-thousandth. While the broker is down nobody can tell an hour that passed from a clock that was set: forward it is
//! followed then, back it is not.

mod retaining;
mod unanswered;

use super::files::{one_queue, open_by, outgoing};
use super::*;
use sluice_core::limits::AUTO_RENEW_MS_MAX;
use std::sync::atomic::AtomicI64;

const HOUR_MS: u64 = 3_600_000;
/// How long a test waits for what must come.
const SOON: Duration = Duration::from_secs(20);

/// Clocks that a test sets: the wall clock is what has passed, and what it was set by.
struct Clocks {
    passed: AtomicU64,
    set_by: AtomicI64,
    /// Passes by itself besides.
    begun: Option<std::time::Instant>,
}

impl Clocks {
    /// That stand still.
    fn still() -> Arc<Self> {
        Self::of(None)
    }

    /// That run as the machine's do.
    fn running() -> Arc<Self> {
        Self::of(Some(std::time::Instant::now()))
    }

    fn of(begun: Option<std::time::Instant>) -> Arc<Self> {
        Arc::new(Self {
            passed: AtomicU64::new(0),
            set_by: AtomicI64::new(1_000 * HOUR_MS as i64),
            begun,
        })
    }

    fn pass(&self, ms: u64) {
        self.passed.fetch_add(ms, Ordering::SeqCst);
    }

    fn set(&self, by: i64) {
        self.set_by.fetch_add(by, Ordering::SeqCst);
    }
}

/// A process's clocks: what has passed counts from its start.
struct Seen(Arc<Clocks>, u64);

impl TimeSource for Seen {
    fn wall_us(&self) -> u64 {
        let set_by = self.0.set_by.load(Ordering::SeqCst) * 1_000;
        (self.monotonic_us() + self.1 * 1_000).saturating_add_signed(set_by)
    }
    fn monotonic_us(&self) -> u64 {
        let by_itself = self.0.begun.map_or(0, |begun| begun.elapsed().as_micros() as u64);
        (self.0.passed.load(Ordering::SeqCst) - self.1) * 1_000 + by_itself
    }
}

fn start(io: &FaultyIo, clocks: &Arc<Clocks>) -> Arc<Engine> {
    let passed = clocks.passed.load(Ordering::SeqCst);
    open_by(io, Box::new(Seen(Arc::clone(clocks), passed)), |_| {})
}

async fn asked(engine: &Arc<Engine>, invisible_ms: u64, auto_renew: bool, wait: Duration) -> Receive {
    Receive {
        group: engine.group("g").await.unwrap(),
        topic: engine.topic("t").await.unwrap(),
        client: Arc::from("client"),
        filter: Arc::new(TagFilter::default()),
        max: 32,
        invisible_ms,
        auto_renew,
        attempt_id: 0,
        deadline: Instant::now() + wait,
    }
}

async fn ask(engine: &Arc<Engine>, invisible_ms: u64, auto_renew: bool, wait: Duration) -> Vec<Received> {
    let ask = asked(engine, invisible_ms, auto_renew, wait).await;
    engine.receive(ask).await.unwrap().collect()
}

/// Lets time pass in steps of a minute, after each of which the clock is read: more does not count for catching up.
fn pass_read(engine: &Engine, clocks: &Clocks, ms: u64) {
    let mut left = ms;
    while left > 0 {
        let step = left.min(60_000);
        clocks.pass(step);
        engine.now();
        left -= step;
    }
}

/// What is ready now, and is hidden for a minute with that.
async fn ready(engine: &Arc<Engine>) -> Vec<String> {
    bodies(&ask(engine, 60_000, false, Duration::ZERO).await)
}

async fn send(engine: &Engine) {
    send_of(engine, "x", None).await;
}

async fn send_of(engine: &Engine, body: &str, message_group: Option<&str>) {
    let topic = engine.create_topic(one_queue("t")).await.unwrap();
    let outgoing = outgoing(body, message_group);
    engine.send(&topic, QueueId(0), outgoing).await.unwrap();
}

/// What hides a message for a time.
#[derive(Clone, Copy, Debug)]
enum Hides {
    Receive(u64),
    /// A negative acknowledgement.
    Delay(u64),
    Renewal,
    /// Of the first message of a message group, whose second one nobody is given while the first is hidden.
    InOrder(u64),
}

impl Hides {
    const ALL: [Self; 6] = [
        Self::Receive(60_000),
        Self::Receive(2 * HOUR_MS),
        Self::Delay(90_000),
        Self::Renewal,
        Self::InOrder(60_000),
        Self::InOrder(2 * HOUR_MS),
    ];

    /// What comes once it is over.
    fn shows(self) -> &'static [&'static str] {
        match self {
            Self::InOrder(_) => &["first", "second"],
            _ => &["x"],
        }
    }

    async fn hide_in_order(engine: &Arc<Engine>, invisible_ms: u64) {
        let fifo = CreateGroup {
            fifo: true,
            ..CreateGroup::on_first_use("g")
        };
        engine.create_group(fifo).await.unwrap();
        for body in ["first", "second"] {
            send_of(engine, body, Some("group")).await;
        }
        let one = Receive {
            max: 1,
            ..asked(engine, invisible_ms, false, Duration::ZERO).await
        };
        let received: Vec<_> = engine.receive(one).await.unwrap().collect();
        assert_eq!(bodies(&received), ["first"]);
        assert!(ready(engine).await.is_empty(), "the second waits for it");
    }

    /// Hides a message, and tells for how long.
    async fn hide(self, engine: &Arc<Engine>) -> u64 {
        let (invisible_ms, auto_renew) = match self {
            Self::Receive(ms) => (ms, false),
            Self::Delay(_) => (10_000, false),
            Self::Renewal => (AUTO_RENEW_MS_MAX, true),
            Self::InOrder(ms) => {
                Self::hide_in_order(engine, ms).await;
                return ms;
            }
        };
        send(engine).await;
        let received = ask(engine, invisible_ms, auto_renew, Duration::ZERO).await;
        assert_eq!(received.len(), 1);
        let Self::Delay(ms) = self else {
            return invisible_ms;
        };
        let items = vec![SettleItem {
            offset: received[0].offset,
            delivery: received[0].delivery,
        }];
        let settled = engine.settle(received[0].id, Change::VisibleIn(ms), items).await;
        assert!(settled.unwrap().accepted[0]);
        ms
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_set_back_shows_nothing_before_its_time_and_hides_nothing_beyond_it() {
    for hides in Hides::ALL {
        let (io, clocks) = (FaultyIo::new(1), Clocks::still());
        let engine = start(&io, &clocks);
        let hidden_for = hides.hide(&engine).await;
        clocks.set(-(HOUR_MS as i64));
        clocks.pass(hidden_for - 1);
        assert!(ready(&engine).await.is_empty(), "{hides:?}: early");
        clocks.pass(1);
        assert_eq!(ready(&engine).await, hides.shows(), "{hides:?}: stuck");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_set_back_while_the_broker_is_down_does_so_neither() {
    for hides in Hides::ALL {
        let (io, clocks) = (FaultyIo::new(1), Clocks::still());
        let hidden_for = hides.hide(&start(&io, &clocks)).await;
        clocks.set(-(HOUR_MS as i64));
        let engine = start(&io.crash_keeping_all(), &clocks);
        clocks.pass(hidden_for - 1);
        assert!(ready(&engine).await.is_empty(), "{hides:?}: early");
        clocks.pass(1);
        assert_eq!(ready(&engine).await, hides.shows(), "{hides:?}: stuck");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_set_forward_shows_nothing_before_its_time_and_hides_nothing_beyond_it() {
    for hides in Hides::ALL {
        let (io, clocks) = (FaultyIo::new(1), Clocks::still());
        let engine = start(&io, &clocks);
        let hidden_for = hides.hide(&engine).await;
        clocks.set(HOUR_MS as i64);
        // All that passes counts for catching up: of 2 h the last 3.6 s do not pass.
        let earliest = hidden_for - hidden_for / 2_000;
        pass_read(&engine, &clocks, earliest - 1);
        assert!(ready(&engine).await.is_empty(), "{hides:?}: early");
        // What is caught up of the time that does not pass, and the rounding of each reading.
        clocks.pass(1 + hidden_for / 2_000 / 2_000 + 2);
        assert_eq!(ready(&engine).await, hides.shows(), "{hides:?}: stuck");
        // Put right again, it goes on.
        clocks.set(-(HOUR_MS as i64));
        clocks.pass(59_999);
        assert!(ready(&engine).await.is_empty(), "{hides:?}: early, afterwards");
        clocks.pass(1);
        assert_eq!(
            ready(&engine).await,
            hides.shows(),
            "{hides:?}: stuck, afterwards"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_by_the_clock_while_the_broker_is_down_counts_as_passed_and_no_more() {
    for hides in Hides::ALL {
        let (io, clocks) = (FaultyIo::new(1), Clocks::still());
        let hidden_for = hides.hide(&start(&io, &clocks)).await;
        clocks.set(HOUR_MS as i64);
        let engine = start(&io.crash_keeping_all(), &clocks);
        if let Some(left) = hidden_for.checked_sub(HOUR_MS) {
            clocks.pass(left - 1);
            assert!(ready(&engine).await.is_empty(), "{hides:?}: early");
            clocks.pass(1);
        }
        assert_eq!(ready(&engine).await, hides.shows(), "{hides:?}: stuck");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_receive_gets_what_is_visible_again_in_its_time_whichever_way_the_clock_is_set() {
    const HIDDEN_MS: u64 = 300;
    for by in [0, HOUR_MS as i64, -(HOUR_MS as i64)] {
        let (io, clocks) = (FaultyIo::new(1), Clocks::running());
        let engine = start(&io, &clocks);
        send(&engine).await;
        let begun = Instant::now();
        assert_eq!(ask(&engine, HIDDEN_MS, false, Duration::ZERO).await.len(), 1);
        let waiting = tokio::spawn({
            let engine = Arc::clone(&engine);
            async move { ask(&engine, 60_000, false, SOON).await }
        });
        while engine.polls.load(Ordering::SeqCst) == 0 && !waiting.is_finished() {
            tokio::task::yield_now().await;
        }
        clocks.set(by);
        assert_eq!(waiting.await.unwrap().len(), 1, "set by {by}: stuck");
        let took = begun.elapsed();
        // The clock may have been in the midst of a millisecond, and caught up by a part of another.
        assert!(
            took >= Duration::from_millis(HIDDEN_MS - 2),
            "set by {by}: early, after {took:?}"
        );
        // And a poll that finds nothing ends when it said.
        assert!(
            ask(&engine, 60_000, false, Duration::from_millis(50))
                .await
                .is_empty()
        );
    }
}
