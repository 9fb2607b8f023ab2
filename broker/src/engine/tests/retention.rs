//! Retention (F8) as the configuration has it: what waits in the part that goes is delivered, pulled and found like any other.

use super::*;
use crate::config::LiveValues;
use crate::engine::find::{Finder, Search};
use sluice_core::command::{PutTopic, Terms, TopicSpec, Trim};
use sluice_core::ids::{PhysicalOffset, QueueOffset};
use sluice_core::record::{property, put_property};

pub(super) const BODY: usize = 16_000;

/// A segment is 256 KiB, and as much log is kept as fits four.
fn small() -> Setup {
    Setup {
        segment_bytes: 256 << 10,
        ring_bytes: 1 << 20,
        ..Setup::default()
    }
}

impl Setup {
    async fn subscribed(self) -> Fixture {
        let at = self.make().await;
        assert!(at.receive().await.is_empty(), "the first receive subscribes");
        at
    }
}

impl Fixture {
    async fn send_with_id(&self, id: &str) {
        let mut properties = Vec::new();
        put_property(&mut properties, property::MESSAGE_ID, id);
        let outgoing = Outgoing {
            properties: &properties,
            ..files::outgoing(id, None)
        };
        self.engine.send(&self.topic, QueueId(0), outgoing).await.unwrap();
    }

    /// A topic whose messages are kept for a year.
    async fn kept_topic(&self) -> Arc<Topic> {
        self.own_topic("kept", 365 * 24, 0).await
    }

    async fn own_topic(&self, name: &str, retention_hours: u32, retention_bytes: u64) -> Arc<Topic> {
        let spec = TopicSpec {
            name: name.to_owned(),
            queues: 1,
            types: Types::ALL,
            closed: false,
            retention_hours,
            retention_bytes,
        };
        let put = PutTopic {
            spec,
            keep_queues: false,
            terms: Terms::default(),
        };
        self.engine.put_topic(put).await.unwrap();
        self.engine.tables().topic(name).unwrap()
    }

    pub(super) fn log_start(&self) -> PhysicalOffset {
        self.engine.store().log().start()
    }

    /// Sends until checkpoints have brought it about.
    pub(super) async fn send_until(&self, is_so: impl Fn(&Store) -> bool) {
        let begun = std::time::Instant::now();
        while !is_so(self.engine.store()) {
            assert!(begun.elapsed() < Duration::from_secs(180), "it never is so");
            self.send("one more", None).await;
        }
    }

    /// Fills twenty segments with messages that nobody reads.
    pub(super) async fn fill(&self) {
        let body = "x".repeat(BODY);
        while self.engine.store().log().segments() < 20 {
            self.send(&body, None).await;
        }
        self.engine.store().set_checkpoint_policy(CheckpointPolicy {
            bytes: 1,
            every: Duration::from_secs(3600),
        });
        let kept = |store: &Store| store.trim_points().last().map(|point| point.at);
        self.send_until(|store| kept(store).is_some_and(|at| at.0 > 4_000_000))
            .await;
    }

    /// Retention, and then checkpoints until its files are gone.
    async fn retain(&self) -> sluice_store::retention::Ran {
        let values = LiveValues {
            retention_bytes: Some(1 << 20),
            ..self.engine.live().values().as_ref().clone()
        };
        let engine = Arc::clone(&self.engine);
        let looked = tokio::task::spawn_blocking(move || crate::retention::look(&engine, &values));
        let ran = looked.await.unwrap().unwrap();
        let start = ran.start.expect("the log begins later");
        self.send_until(|store| store.log().start() == start).await;
        ran
    }
}

/// Where the oldest message stands that is found.
async fn first_by_time(finder: &Finder, topic: &str) -> QueueOffset {
    let all = Search {
        topic: topic.to_owned(),
        times: 0..u64::MAX,
        max: 1,
        after: None,
    };
    finder.by_time(all).await.unwrap().messages[0].offset
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_the_part_that_goes_is_delivered_pulled_and_found() {
    let at = small().subscribed().await;
    for id in ["done", "waits", "buried", "unread"] {
        at.send_with_id(id).await;
    }
    let ask = Receive {
        max: 3,
        auto_renew: false,
        ..at.ask(Duration::ZERO)
    };
    let got = at.take(ask).await;
    assert_eq!(bodies(&got), ["done", "waits", "buried"]);
    assert!(at.settle(&got[0], Change::Done).await);
    at.engine
        .dead_letter(got[2].id, got[2].offset, got[2].delivery)
        .await
        .unwrap();
    let kept = at.kept_topic().await;
    at.engine
        .send(&kept, QueueId(0), files::outgoing("kept", None))
        .await
        .unwrap();
    assert_eq!(at.log_start(), PhysicalOffset(0));
    at.fill().await;
    let ran = at.retain().await;
    assert_eq!((ran.carried.0, ran.blocked), (3, false), "{ran:?}");
    assert!(ran.expired > 100);
    assert!(at.engine.store().log().segments() < 8);

    // It comes again, and those that are unread behind it; what was not carried does not.
    at.pass(60_001);
    let again = at.receive().await;
    assert_eq!((again[0].offset, again[0].attempt), (QueueOffset(1), 2));
    assert_eq!(bodies(&again[..1]), ["waits"]);
    assert!(again[1].offset > QueueOffset(100));
    assert!(again.iter().all(|message| message.offset != QueueOffset(3)));

    // A pull finds it where it was, and goes on behind what is gone.
    let pull = |offset| Pull {
        topic: Arc::clone(&at.topic),
        queue: QueueId(0),
        offset,
        client: Arc::from("puller"),
        filter: Arc::default(),
        max: 2,
        deadline: Instant::now(),
    };
    let kept = Pull {
        topic: kept,
        ..pull(0)
    };
    let pulled = at.engine.pull(kept).await.unwrap();
    assert_eq!(pulled.messages[0].body().unwrap().as_ref(), b"kept");
    let pulled = at.engine.pull(pull(1)).await.unwrap();
    let offsets: Vec<QueueOffset> = pulled.messages.iter().map(|found| found.offset).collect();
    assert_eq!(offsets, [QueueOffset(1)]);
    let pulled = at.engine.pull(pull(pulled.next.0 as i64)).await.unwrap();
    assert_eq!(pulled.messages.len(), 2);
    assert!(at.engine.pull(pull(0)).await.is_err(), "the queue begins later");

    // By its id it is found as ever, and what has gone is not.
    let finder = Finder::new(&at.engine);
    let found = finder.by_id("waits", None).await.unwrap();
    assert_eq!((found.topic.id, found.offset), (at.topic.id, QueueOffset(1)));
    assert!(finder.by_id("unread", None).await.is_err());

    // By time too, before the many that are gone behind it.
    assert_eq!(first_by_time(&finder, &at.topic.spec.name).await, QueueOffset(1));

    // The dead letter waits for whoever reads it.
    let letters = dead_letter_topic("g");
    let found = finder.by_id("buried", Some(&letters)).await.unwrap();
    assert_eq!(
        (found.offset, found.body().unwrap().as_ref()),
        (QueueOffset(0), &b"buried"[..])
    );
    let letters = Receive {
        topic: at.engine.tables().topic(&letters).unwrap(),
        ..at.ask(Duration::ZERO)
    };
    assert_eq!(bodies(&at.take(letters).await), ["buried"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_whose_record_went_with_the_log_is_skipped() {
    let setup = small();
    let io = Arc::clone(&setup.io);
    let at = setup.subscribed().await;
    at.send("lost", None).await;
    let held = at.receive().await.remove(0);
    at.fill().await;
    // Linked behind the place at which the log is going to begin: its entry stays, for its queue begins before it.
    at.engine
        .dead_letter(held.id, held.offset, held.delivery)
        .await
        .unwrap();
    at.flip(&io, 0).await;
    assert_eq!(at.retain().await.lost, 1);
    assert_eq!(at.engine.lost(), 0, "nobody has come to it");
    let letters = Receive {
        topic: at.engine.tables().topic(&dead_letter_topic("g")).unwrap(),
        ..at.ask(Duration::ZERO)
    };
    assert!(at.take(letters).await.is_empty());
    assert_eq!((at.engine.lost(), at.engine.unreadable()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_that_must_wait_for_retention_is_not_tried_at_once_again() {
    const WRITTEN_MAX: u64 = 2_000;
    let setup = Setup {
        max_attempts: 1,
        ..small()
    };
    let at = setup.subscribed().await;
    at.send("dead", None).await;
    let ask = |wait| Receive {
        auto_renew: false,
        ..at.ask(wait)
    };
    assert_eq!(at.take(ask(Duration::ZERO)).await.len(), 1);
    // Retention closes links, and carries.
    let written = || at.engine.store().log().positions().written();
    let close = Trim {
        start: PhysicalOffset(0),
        links_from: written(),
        minimums: Vec::new(),
    };
    at.engine
        .propose_one(close.encode(at.engine.now()))
        .await
        .unwrap()
        .unwrap();
    at.pass(60_001);
    let before = written();
    assert!(at.take(ask(Duration::from_millis(500))).await.is_empty());
    let tried = written().0 - before.0;
    assert!(tried > 0, "it is dead");
    assert!(tried < WRITTEN_MAX, "{tried} bytes of the log for tries");
    assert!(at.engine.tables().topic(&dead_letter_topic("g")).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_gives_up_what_is_over_its_own_time_and_size_and_tells_before_what_is_unread() {
    let at = small().subscribed().await;
    let (short, bounded) = (
        at.own_topic("short", 1, 0).await,
        at.own_topic("bounded", 0, 3 << 20).await,
    );
    let body = "x".repeat(BODY);
    for topic in [&short, &bounded] {
        at.engine.subscription(&at.group, topic).await.unwrap();
    }
    let send = async |topic: &Topic| {
        let outgoing = files::outgoing(&body, None);
        at.engine.send(topic, QueueId(0), outgoing).await.unwrap();
    };
    send(&short).await;
    for _ in 0..180 {
        send(&bounded).await;
    }
    let look = async || {
        let (engine, values) = (Arc::clone(&at.engine), Arc::clone(&at.engine.live().values()));
        let looked = tokio::task::spawn_blocking(move || crate::retention::look(&engine, &values));
        looked.await.unwrap().unwrap()
    };
    let unread = || at.engine.retention().unread(at.group.id, bounded.id).unwrap();
    assert_eq!(look().await.expired, 0);
    assert!((2_880_000..3 << 20).contains(&unread()), "{}", unread());
    assert_eq!(at.engine.retention().unread(at.group.id, short.id), None);

    at.pass(3_600_001);
    for _ in 0..20 {
        send(&bounded).await;
    }
    let ran = look().await;
    let left = bounded.tail(QueueId(0)).unwrap().0 - bounded.first(QueueId(0)).unwrap().0;
    assert_eq!((short.first(QueueId(0)), ran.start), (Some(QueueOffset(1)), None));
    assert!((190..200).contains(&left), "{left} of about 195 that fit");
    assert_eq!(ran.expired, 1 + 200 - left);
    assert!((2_880_000..=3 << 20).contains(&unread()), "{}", unread());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_that_somebody_holds_hides_nothing_of_what_another_group_is_about_to_lose() {
    let at = small().subscribed().await;
    let topic = at.own_topic("bounded", 0, 3 << 20).await;
    let idle = at
        .engine
        .create_group(CreateGroup::on_first_use("idle"))
        .await
        .unwrap();
    for group in [&at.group, &idle] {
        at.engine.subscription(group, &topic).await.unwrap();
    }
    let body = "x".repeat(BODY);
    at.engine
        .send(&topic, QueueId(0), files::outgoing(&body, None))
        .await
        .unwrap();
    let ask = Receive {
        group: Arc::clone(&at.group),
        topic: Arc::clone(&topic),
        auto_renew: false,
        ..at.ask(Duration::ZERO)
    };
    assert_eq!(at.take(ask).await.len(), 1, "it is held");
    for _ in 0..220 {
        at.engine
            .send(&topic, QueueId(0), files::outgoing(&body, None))
            .await
            .unwrap();
    }
    let (engine, values) = (Arc::clone(&at.engine), Arc::clone(&at.engine.live().values()));
    let looked = tokio::task::spawn_blocking(move || crate::retention::look(&engine, &values));
    let ran = looked.await.unwrap().unwrap();
    assert!(ran.expired > 0 && ran.carried.0 == 1, "{ran:?}");
    for group in [&at.group, &idle] {
        let unread = at.engine.retention().unread(group.id, topic.id).unwrap();
        assert!(unread > 2_880_000, "{}: {unread}", group.spec.name);
        let lags = at.engine.lag(&group.spec.name, Some("bounded")).unwrap();
        let first = lags[0].sum().ready_at.unwrap();
        let behind = at.engine.store().log().positions().written().0 - first.0;
        assert!(behind > 2_880_000, "{}: {behind}", group.spec.name);
    }
}
