//! A disk that fills, by the figures that a test plants: what is given up, what is refused, and what goes on.

use super::retention::BODY;
use super::*;
use crate::disk::{Bounds, Planted};
use sluice_core::ids::QueueOffset;
use sluice_store::retention::Ran;

const SIZE: u64 = 100 << 20;

/// Over segments of 256 KiB.
async fn over(disk: &Planted) -> Fixture {
    let setup = Setup {
        segment_bytes: 256 << 10,
        ring_bytes: 1 << 20,
        disk: disk.clone(),
        ..Setup::default()
    };
    let at = setup.make().await;
    let forced = ("forcedRetentionPercent".to_owned(), Some("85".to_owned()));
    at.engine.live().set(&[forced]).unwrap();
    assert!(at.receive().await.is_empty(), "the first receive subscribes");
    at
}

impl Fixture {
    /// The disk is so full now.
    fn see(&self, disk: &Planted, used: u64) -> u64 {
        disk.plant(used, SIZE);
        let marks = self.engine.live().values().marks;
        self.engine.disk().look(&marks, self.engine.store()).level()
    }

    async fn give_up(&self) -> Ran {
        let (engine, values) = (Arc::clone(&self.engine), Arc::clone(&self.engine.live().values()));
        let looked = tokio::task::spawn_blocking(move || crate::retention::look(&engine, &values));
        looked.await.unwrap().unwrap()
    }

    fn first(&self) -> QueueOffset {
        let topic = self.engine.tables().topic("t").unwrap();
        topic.first(QueueId(0)).unwrap()
    }

    async fn is_refused(&self) -> bool {
        let sent = self
            .engine
            .send(&self.topic, QueueId(0), files::outgoing("m", None));
        match sent.await {
            Ok(_) => false,
            Err(error) => {
                assert_eq!(error, EngineError::NearlyFull);
                true
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nearly_full_disk_takes_no_messages_and_goes_on_with_all_else_until_it_has_room() {
    let disk = Planted::default();
    let at = over(&disk).await;
    let mark = |percent: u64| percent * SIZE / 100;
    assert_eq!(at.see(&disk, mark(89)), 2);
    at.send("one", None).await;
    assert_eq!(at.see(&disk, mark(90)), 3);
    assert!(at.is_refused().await);
    let got = at.receive().await;
    assert_eq!(bodies(&got), ["one"]);
    assert!(at.settle(&got[0], Change::Done).await);
    let topic = files::one_queue("another");
    at.engine.create_topic(topic).await.unwrap();
    assert_eq!(at.see(&disk, mark(88)), 3, "not yet");
    assert!(at.is_refused().await);
    assert_eq!(at.see(&disk, mark(88) - 1), 2);
    assert!(!at.is_refused().await);
    let refused: Vec<_> = at.engine.store().stats().0.refused().collect();
    assert!(refused.contains(&("disk_nearly_full", 2)), "{refused:?}");
    let reached: Vec<_> = at.engine.disk().reached().collect();
    assert_eq!(reached, [("early", 1), ("forced", 1), ("refuse", 1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_tells_nothing_is_as_it_was() {
    let disk = Planted::default();
    let at = over(&disk).await;
    assert_eq!(at.see(&disk, SIZE), 3);
    disk.plant(0, 0);
    let marks = at.engine.live().values().marks;
    assert_eq!(at.engine.disk().look(&marks, at.engine.store()).level(), 3);
    assert!(at.is_refused().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn early_retention_takes_what_all_groups_have_read_and_forced_retention_what_nobody_has() {
    let disk = Planted::default();
    let at = over(&disk).await;
    for _ in 0..64 {
        at.send(&"x".repeat(BODY), None).await;
    }
    let mut got = at.receive().await;
    let waits = got.remove(0);
    while got.len() < 48 {
        got.extend(at.receive().await);
    }
    for message in &got {
        assert!(at.settle(message, Change::Done).await);
    }
    let read = got.last().map(|message| message.offset.0 + 1).unwrap();
    at.fill().await;
    assert_eq!(at.give_up().await, Ran::default(), "there is room");

    assert_eq!(at.see(&disk, 75 * SIZE / 100), 1);
    let ran = at.give_up().await;
    assert_eq!(
        (ran.expired, ran.carried.0, ran.blocked),
        (0, 1, false),
        "{ran:?}"
    );
    let first = at.first();
    // Not every segment has its checkpoint while so much is sent at once.
    assert!((1..=read).contains(&first.0), "{first}, and {read} are read");
    let again = at.give_up().await;
    assert_eq!((again.start, again.expired), (None, 0), "no more is read");

    assert_eq!(at.see(&disk, 85 * SIZE / 100), 2);
    let ran = at.give_up().await;
    assert!(ran.start.is_some() && ran.expired > 0 && !ran.in_vain, "{ran:?}");
    let start = at.engine.tables().bounds().start;
    assert!(start.0 > 2 * SIZE / 100, "with what went before it is enough");
    assert!(at.first() > first);
    at.pass(60_001);
    let again = at.receive().await;
    assert_eq!(
        (again[0].offset, again[0].attempt),
        (waits.offset, 2),
        "it was carried"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_others_fill_the_disk_no_unread_message_is_given_up_in_vain() {
    let disk = Planted::default();
    let at = over(&disk).await;
    at.send("first", None).await;
    at.fill().await;
    assert_eq!(at.see(&disk, 95 * SIZE / 100), 3);
    let ran = at.give_up().await;
    assert!(ran.in_vain && ran.start.is_none(), "{ran:?}");
    assert_eq!(bodies(&at.receive().await[..1]), ["first"]);
    // Then there is no bound either.
    let (holding, usage) = at.engine.disk().seen();
    let marks = at.engine.live().values().marks;
    let share = crate::retention::share(at.engine.store());
    assert_eq!(Bounds::room(usage, &marks, share), None);
    assert_eq!(Bounds::of(holding, usage, &marks, share).forced, Some(0));
    at.see(&disk, 50 * SIZE / 100);
    let (_, usage) = at.engine.disk().seen();
    assert_eq!(
        Bounds::room(usage, &marks, share),
        Some(35 * SIZE / 100 + share.kept)
    );
}
