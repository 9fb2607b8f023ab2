//! What the suites share: messages to send, queues of entries, and state in bytes.

use sluice_core::command::{EncodedCommand, NewMessage};
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{GroupQueueId, QueueOffset, TimeMs, TopicQueue};
use sluice_core::record::NewRecord;
use sluice_core::state::{Changed, Effects, ShardKey, State};
use std::collections::BTreeMap;

/// The wall clock's time when a test begins.
pub const START: TimeMs = 1_795_000_000_000;

/// A message whose body is `number`.
pub fn message(
    at: TopicQueue,
    time: TimeMs,
    tag: Option<&str>,
    group: Option<&str>,
    number: u64,
) -> EncodedCommand {
    let host = "127.0.0.1:1".parse().unwrap();
    let record = NewRecord {
        topic: "topic",
        queue: at.queue.0,
        body: &number.to_be_bytes(),
        properties: b"",
        born_ms: time,
        born_host: host,
        store_ms: time,
        store_host: host,
    };
    let message = NewMessage {
        topic: at.topic,
        tag,
        message_group: group,
        record,
    };
    message.encode()
}

/// Every queue's entries, as the store would hold them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Queues(pub BTreeMap<TopicQueue, Vec<QueueEntry>>, pub Retained);

/// What retention has left of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retained {
    pub firsts: BTreeMap<TopicQueue, QueueOffset>,
    pub carried: BTreeMap<(TopicQueue, QueueOffset), QueueEntry>,
}

impl Queues {
    /// The entry at an offset, unless the message is gone or never was.
    pub fn current(&self, at: TopicQueue, offset: QueueOffset) -> Option<QueueEntry> {
        let Retained { firsts, carried } = &self.1;
        let first = firsts.get(&at).copied().unwrap_or_default();
        let stored = || self.0.get(&at)?.get(offset.0 as usize).copied();
        let kept = || stored().filter(|_| offset >= first);
        carried.get(&(at, offset)).copied().or_else(kept)
    }
}

impl Effects for Queues {
    fn entry(&mut self, at: TopicQueue, offset: QueueOffset, entry: &QueueEntry) {
        let queue = self.0.entry(at).or_default();
        // A replay says again what is there already; it must say the same.
        match queue.get(offset.0 as usize) {
            Some(present) => assert_eq!(present, entry, "the entry at {offset} of {at:?}"),
            None => {
                assert_eq!(queue.len() as u64, offset.0, "offsets have no holes");
                queue.push(*entry);
            }
        }
    }

    fn ready(&mut self, _: GroupQueueId, _: TimeMs) {}

    fn unlocked(&mut self, _: GroupQueueId, _: u32) {}

    fn moved(&mut self, _: GroupQueueId) {}

    fn changed(&mut self, _: Changed) {}

    fn carried(&mut self, at: TopicQueue, offset: QueueOffset, entry: &QueueEntry) {
        self.1.carried.insert((at, offset), *entry);
    }

    fn trimmed(&mut self, at: TopicQueue, first: QueueOffset) {
        self.1.firsts.insert(at, first);
    }

    fn dropped(&mut self, at: TopicQueue, offset: QueueOffset) {
        self.1.carried.remove(&(at, offset));
    }
}

/// Every part of state in bytes.
pub fn encoded(state: &State) -> Vec<(ShardKey, Vec<u8>)> {
    let views = state.all_views();
    let bytes = views.iter().map(|(key, view)| {
        let mut out = Vec::new();
        view.encode(&mut out);
        (*key, out)
    });
    bytes.collect()
}
