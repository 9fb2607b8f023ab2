//! Readers that never rest: they look at everything that `Tables` shows, and check what must hold at any moment.

use sluice_core::ids::{QueueId, QueueOffset};
use sluice_core::state::{GroupQueue, Tables};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// Reads until told to stop.
pub fn hammer(tables: &Tables, stop: &AtomicBool) {
    let mut now = 0;
    let mut tails: HashMap<(u32, u32), QueueOffset> = HashMap::new();
    let mut rounds = 0_u64;
    while !stop.load(Ordering::Acquire) || rounds == 0 {
        let then = tables.now();
        assert!(then >= now, "time goes on");
        now = then;
        for topic in tables.all_topics() {
            for queue in 0..topic.spec.queues {
                let tail = topic.tail(QueueId(queue)).unwrap();
                let before = tails.insert((topic.id.0, queue), tail).unwrap_or_default();
                assert!(tail >= before, "tails go on");
                // The beginning after the end: it is not beyond what is there by then.
                let first = topic.first(QueueId(queue)).unwrap();
                assert!(first <= topic.tail(QueueId(queue)).unwrap());
            }
            // Since the look at all it may be gone, and another have its name.
            let named = tables.topic(&topic.spec.name);
            assert!(named.is_none_or(|named| named.id >= topic.id));
        }
        for ((_, topic), subscription) in tables.all_subscriptions() {
            let Some(topic) = tables.topic_by_id(topic) else {
                continue;
            };
            for (queue, shard) in (0..).zip(subscription.shards.iter()) {
                // The shard first: what it holds was in the queue by then.
                let (floor, last) = shard.read(|held| look(held, now));
                // The subscription grows just before its topic does.
                let Some(tail) = topic.tail(QueueId(queue)) else {
                    continue;
                };
                assert!(
                    floor <= tail && last < tail.max(QueueOffset(1)),
                    "nothing beyond the end"
                );
            }
        }
        rounds += 1;
    }
}

/// Floor and last pending offset of a shard that is whole.
fn look(held: &GroupQueue, now: u64) -> (QueueOffset, QueueOffset) {
    let pending: Vec<_> = held.all_pending().collect();
    assert_eq!(pending.len(), held.pending_len());
    assert_eq!(held.by_visibility().count(), pending.len());
    let named: u32 = held.deliveries().map(|(_, delivery)| delivery.left).sum();
    assert_eq!(
        named as usize,
        pending.len(),
        "each pending message names a delivery"
    );
    for (offset, at) in &pending {
        assert!(*offset >= held.floor() && !held.settled().contains(offset.0));
        assert!(held.delivery(at.delivery).is_some());
        assert!(!held.is_fresh(*offset));
    }
    let last = pending.last().map(|(offset, _)| *offset).unwrap_or_default();
    let lag = held.lag(QueueOffset(u64::MAX), now);
    assert!(lag.in_flight <= pending.len() as u64);
    (held.floor(), last)
}
