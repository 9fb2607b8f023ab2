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
pub struct Queues(pub BTreeMap<TopicQueue, Vec<QueueEntry>>);

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
