//! What must hold of a store after whatever was done to it.

use super::Memory;
use sluice_core::ids::{QueueId, QueueOffset, TopicQueue};
use sluice_store::Store;
use std::collections::BTreeMap;

/// Whether everything that `memory` was told still holds in `store`, but for what retention took, and nothing is there that
/// nobody sent.
pub fn check(store: &Store, memory: &Memory) {
    let mut found = BTreeMap::new();
    for topic in store.tables().all_topics() {
        for queue in (0..topic.spec.queues).map(QueueId) {
            let at = TopicQueue {
                topic: topic.id,
                queue,
            };
            let tail = topic.tail(queue).unwrap();
            let gone = store.tables().gone(at);
            for offset in (0..tail.0)
                .filter(|offset| !gone.contains(*offset))
                .map(QueueOffset)
            {
                let mut entries = Vec::new();
                store.queues().read(at, offset, 1, &mut entries).unwrap();
                assert_eq!(entries.len(), 1, "{offset} of {at:?} has an entry");
                let command = store
                    .reader()
                    .read_command(entries[0].physical, entries[0].size)
                    .unwrap();
                let record = sluice_core::command::record_of(&command).unwrap();
                let record = sluice_core::record::Record::parse(record).unwrap();
                found.insert((at, offset), record.body.to_vec());
            }
        }
    }
    for (place, body) in &memory.acknowledged {
        let topic = place.0.topic;
        if memory.deletions.contains(&topic) && store.tables().topic_by_id(topic).is_none() {
            continue;
        }
        if store.tables().gone(place.0).contains(place.1.0) {
            continue;
        }
        assert_eq!(found.get(place), Some(body), "acknowledged at {place:?}");
    }
    for (place, body) in &found {
        let known = memory.acknowledged.get(place) == Some(body)
            || memory
                .unknown
                .iter()
                .any(|sent| sent.at == place.0 && sent.body == *body);
        assert!(known, "nobody sent what stands at {place:?}");
    }
    for (id, offset) in &memory.done {
        let shards = store.tables().subscription(id.group, id.at.topic).unwrap().shards;
        let done = shards[id.at.queue.0 as usize]
            .read(|shard| !shard.is_fresh(*offset) && shard.pending(*offset).is_none());
        assert!(done, "acknowledged delivery of {offset} in {id:?} is done");
    }
}
