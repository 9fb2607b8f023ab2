//! A message that cannot be read: it hides no other. If it may be read later it comes again, and is not overtaken in its message
//! group; if it is lost it is skipped.

use super::*;
use sluice_store::io::{Fault, LogIo, read_exact_at, write_all_at};
use std::path::Path;

/// Where segments' frames begin in their files.
const PAGE_BYTES: u64 = 4096;
/// How long an unreadable message stays hidden.
const RETRY_MS: u64 = 60_000;

/// A fixture whose records are read from the file, and the file system.
pub(super) async fn in_files(fifo: bool, max_attempts: u16) -> (Fixture, Arc<FaultyIo>) {
    let setup = Setup {
        fifo,
        max_attempts,
        ring_bytes: 0,
        ..Setup::default()
    };
    let io = Arc::clone(&setup.io);
    (setup.make().await, io)
}

impl Fixture {
    /// The file with the message's record, and where in it that ends. The record is in no memory then.
    async fn place(&self, offset: u64) -> (&'static Path, u64) {
        let mut entry = Vec::new();
        let queues = self.engine.store().queues();
        let at = TopicQueue {
            topic: self.topic.id,
            queue: QueueId(0),
        };
        queues
            .read(at, sluice_core::ids::QueueOffset(offset), 1, &mut entry)
            .unwrap();
        // The last frame leaves memory with the next one.
        while self.engine.store().reader().is_hot(entry[0].physical) {
            self.send("later", Some("later")).await;
        }
        let end = PAGE_BYTES + entry[0].physical.0 + u64::from(entry[0].size);
        (Path::new("/data/broker-a/log/00000000000000000000.seg"), end)
    }

    /// Flips all bits of one byte of the message's record in the log; a second time it mends it.
    pub(super) async fn flip(&self, io: &FaultyIo, offset: u64) {
        let (path, end) = self.place(offset).await;
        let file = io.open(path).unwrap();
        let mut byte = [0];
        read_exact_at(file.as_ref(), &mut byte, end - 1).unwrap();
        write_all_at(file.as_ref(), &[!byte[0]], end - 1).unwrap();
    }

    /// The disk fails to read the message's record from now on.
    async fn fail(&self, io: &FaultyIo, offset: u64) {
        let (path, end) = self.place(offset).await;
        io.plant(Fault::ReadError {
            path: path.into(),
            range: end - 1..end,
        });
    }

    /// What the dead-letter topic of the group has.
    async fn buried(&self) -> Vec<String> {
        let Some(topic) = self.engine.tables().topic(&dead_letter_topic("g")) else {
            return Vec::new();
        };
        let ask = Receive {
            topic,
            ..self.ask(Duration::ZERO)
        };
        bodies(&self.take(ask).await)
    }

    /// Bodies and attempts of what is received, without those that only move the log on.
    async fn what_comes(&self) -> Vec<(String, u16)> {
        let mut what = Vec::new();
        for message in self.receive().await {
            match bodies(std::slice::from_ref(&message)).remove(0) {
                later if later == "later" => assert!(self.settle(&message, Change::Done).await),
                body => what.push((body, message.attempt)),
            }
        }
        what
    }
}

fn what(expected: &[(&str, u16)]) -> Vec<(String, u16)> {
    let owned = |(body, attempt): &(&str, u16)| ((*body).to_owned(), *attempt);
    expected.iter().map(owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_message_is_skipped_at_once_and_hides_no_other() {
    let (at, io) = in_files(false, 17).await;
    for body in ["first", "second"] {
        at.send(body, None).await;
    }
    at.flip(&io, 0).await;
    assert_eq!(at.what_comes().await, what(&[("second", 1)]));
    assert_eq!((at.engine.lost(), at.engine.unreadable()), (1, 0));
    // For this group it is done, even if somebody brings it back.
    at.flip(&io, 0).await;
    at.pass(RETRY_MS);
    assert!(at.what_comes().await.iter().all(|(body, _)| body != "first"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receive_says_how_many_messages_it_came_to_and_does_not_bring() {
    let (at, io) = in_files(false, 17).await;
    for body in ["first", "second"] {
        at.send(body, None).await;
    }
    at.flip(&io, 0).await;
    at.fail(&io, 1).await;
    let passed = |lost, unreadable| Passed { lost, unreadable };
    let taken = at.engine.receive(at.ask(Duration::ZERO)).await.unwrap();
    assert_eq!(taken.passed(), passed(1, 1));
    drop(taken.collect::<Vec<_>>());
    let none = at.engine.receive(at.ask(Duration::ZERO)).await.unwrap();
    assert_eq!((none.len(), none.passed()), (0, passed(0, 0)), "told once");
    // Without a message that comes beside it, too.
    at.pass(RETRY_MS);
    let none = at.engine.receive(at.ask(Duration::ZERO)).await.unwrap();
    assert_eq!((none.len(), none.passed()), (0, passed(0, 1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_the_disk_fails_to_read_comes_again_as_if_never_delivered() {
    let (at, io) = in_files(false, 1).await;
    for body in ["first", "second"] {
        at.send(body, None).await;
    }
    at.fail(&io, 0).await;
    assert_eq!(at.what_comes().await, what(&[("second", 1)]));
    assert_eq!((at.engine.lost(), at.engine.unreadable()), (0, 1));
    at.pass(RETRY_MS - 1);
    assert_eq!(at.what_comes().await, what(&[]), "not yet");
    at.pass(1);
    assert_eq!(at.what_comes().await, what(&[]), "it fails again");
    io.lift_read_errors();
    at.pass(RETRY_MS);
    let again = at.what_comes().await;
    assert!(again.contains(&("first".to_owned(), 1)), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_the_disk_fails_to_read_for_minutes_is_skipped() {
    let (at, io) = in_files(false, 1).await;
    at.send("first", None).await;
    at.fail(&io, 0).await;
    for minute in 0..4 {
        assert_eq!(at.what_comes().await, what(&[]));
        assert_eq!(at.engine.lost(), 0, "after {minute} minutes");
        at.pass(RETRY_MS);
    }
    assert_eq!(at.what_comes().await, what(&[]));
    assert_eq!((at.engine.lost(), at.engine.unreadable()), (1, 4));
    assert_eq!(at.buried().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_skipped_that_is_damaged_after_its_first_delivery() {
    for attempts in [1, 2] {
        // With one attempt it would go to the dead-letter topic now, with two it would be delivered.
        let (at, io) = in_files(false, attempts).await;
        at.send("first", None).await;
        assert_eq!(at.what_comes().await, what(&[("first", 1)]));
        at.flip(&io, 0).await;
        at.pass(at.ask(Duration::ZERO).invisible_ms + 1);
        assert!(at.what_comes().await.iter().all(|(body, _)| body != "first"));
        assert_eq!(at.engine.lost(), 1, "{attempts} attempts");
        assert_eq!(at.buried().await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_its_client_gives_up_is_skipped_if_it_is_damaged() {
    let (at, io) = in_files(false, 17).await;
    at.send("first", None).await;
    let held = at.receive().await.remove(0);
    at.flip(&io, 0).await;
    let give_up = || at.engine.dead_letter(held.id, held.offset, held.delivery);
    give_up().await.unwrap();
    assert_eq!(at.engine.lost(), 1);
    assert_eq!(at.buried().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_message_does_not_hold_its_message_group() {
    let (at, io) = in_files(true, 17).await;
    for (body, message_group) in [("a1", "a"), ("b1", "b"), ("a2", "a"), ("a3", "a")] {
        at.send(body, Some(message_group)).await;
    }
    at.flip(&io, 0).await;
    let first = at.receive().await;
    let names: Vec<String> = bodies(&first)
        .into_iter()
        .filter(|body| body != "later")
        .collect();
    assert_eq!(names, ["b1", "a2", "a3"]);
    // Damaged while it is held: it locks its message group until its time is over, and not for longer.
    at.flip(&io, 2).await;
    at.pass(at.ask(Duration::ZERO).invisible_ms + 1);
    let mut names = Vec::new();
    for _ in 0..2 {
        names.extend(at.what_comes().await.into_iter().map(|(body, _)| body));
    }
    assert_eq!(names, ["b1", "a3"]);
    assert_eq!(at.engine.lost(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_overtakes_a_message_of_its_message_group_that_may_be_read_later() {
    let (at, io) = in_files(true, 2).await;
    for (body, message_group) in [("a1", "a"), ("b1", "b"), ("a2", "a"), ("a3", "a"), ("b2", "b")] {
        at.send(body, Some(message_group)).await;
    }
    at.fail(&io, 2).await;
    let first = at.receive().await;
    let first: Vec<&Received> = first.iter().filter(|message| message.offset.0 < 5).collect();
    let names: Vec<String> = first
        .iter()
        .flat_map(|message| bodies(std::slice::from_ref(*message)))
        .collect();
    assert_eq!(names, ["a1", "b1", "b2"], "a3 waits for a2");
    for message in first {
        assert!(at.settle(message, Change::Done).await);
    }
    assert_eq!(at.what_comes().await, what(&[]), "still");
    at.pass(RETRY_MS);
    assert_eq!(at.what_comes().await, what(&[]), "a2 is tried again");
    io.lift_read_errors();
    at.pass(RETRY_MS);
    assert_eq!(
        at.what_comes().await,
        what(&[("a2", 1), ("a3", 1)]),
        "no attempt is lost"
    );
}
