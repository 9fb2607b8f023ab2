//! A message that cannot be read: it comes again, hides no other, and is not overtaken in its message group.

use super::*;
use sluice_store::io::{LogIo, read_exact_at, write_all_at};
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
    /// Flips all bits of one byte of the message's record in the log; a second time it mends it.
    pub(super) async fn flip(&self, io: &FaultyIo, offset: u64) {
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
        let file = io
            .open(Path::new("/data/broker-a/log/00000000000000000000.seg"))
            .unwrap();
        let last = PAGE_BYTES + entry[0].physical.0 + u64::from(entry[0].size) - 1;
        let mut byte = [0];
        read_exact_at(file.as_ref(), &mut byte, last).unwrap();
        write_all_at(file.as_ref(), &[!byte[0]], last).unwrap();
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
async fn a_message_that_cannot_be_read_comes_again_and_hides_no_other() {
    let (at, io) = in_files(false, 17).await;
    for body in ["first", "second"] {
        at.send(body, None).await;
    }
    at.flip(&io, 0).await;
    assert_eq!(at.what_comes().await, what(&[("second", 1)]));
    assert_eq!(at.engine.unreadable(), 1);
    at.pass(RETRY_MS - 1);
    assert_eq!(at.what_comes().await, what(&[]), "not yet");
    at.flip(&io, 0).await;
    at.pass(1);
    let again = at.what_comes().await;
    assert!(again.contains(&("first".to_owned(), 2)), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_can_never_be_read_ends_in_the_dead_letter_topic() {
    let (at, io) = in_files(false, 2).await;
    at.send("first", None).await;
    at.flip(&io, 0).await;
    for _ in 0..2 {
        assert_eq!(at.what_comes().await, what(&[]));
        at.pass(RETRY_MS);
    }
    assert_eq!(at.what_comes().await, what(&[]));
    at.flip(&io, 0).await;
    let mut ask = at.ask(Duration::ZERO);
    ask.topic = at.engine.tables().topic(&dead_letter_topic("g")).unwrap();
    assert_eq!(bodies(&at.take(ask).await), ["first"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_overtakes_an_unreadable_message_of_its_message_group() {
    let (at, io) = in_files(true, 2).await;
    for (body, message_group) in [("a1", "a"), ("b1", "b"), ("a2", "a"), ("a3", "a"), ("b2", "b")] {
        at.send(body, Some(message_group)).await;
    }
    at.flip(&io, 2).await;
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
    at.pass(RETRY_MS);
    let mut last = Vec::new();
    // One receive buries a2, the next finds what waited for it.
    for _ in 0..2 {
        last.extend(at.what_comes().await);
    }
    assert_eq!(last, what(&[("a3", 1)]), "what waited has lost no attempt");
}
