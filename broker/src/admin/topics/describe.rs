//! A topic with its queues and the groups that read it.

use crate::admin::{Outcome, Shared, convert};
use crate::engine::Engine;
use sluice_core::ids::{QueueId, TopicQueue as At};
use sluice_core::state::Topic;
use sluice_proto::admin::{DescribeTopicRequest, TopicDescription, TopicGroup, TopicQueue};

pub(super) async fn handle(shared: &Shared, request: DescribeTopicRequest) -> Outcome<TopicDescription> {
    let topic = shared.topic(&request.name)?;
    let producers = shared.clients.producers_of(&topic.spec.name) as u32;
    let described = shared.look(move |engine| {
        let queues: Vec<_> = (0..topic.spec.queues)
            .map(|queue| describe_queue(engine, &topic, QueueId(queue)))
            .collect();
        TopicDescription {
            topic: Some(convert::topic::topic(&topic)),
            messages: queues.iter().map(|queue| queue.messages).sum(),
            queues,
            groups: groups(engine, &topic),
            producers,
        }
    });
    Ok(described.await?)
}

fn describe_queue(engine: &Engine, topic: &Topic, queue: QueueId) -> TopicQueue {
    let at = At {
        topic: topic.id,
        queue,
    };
    let queues = engine.store().queues();
    let max = topic.tail(queue).unwrap_or_default();
    let min = queues.span(at).first.min(max);
    // Of those below only what waits is left.
    let first = topic.first(queue).unwrap_or_default();
    let carried = engine.tables().carried_of(at);
    let carried = carried.iter().filter(|(offset, _)| *offset < first).count();
    let mut last = Vec::with_capacity(1);
    if let Some(newest) = max.0.checked_sub(1) {
        // A file that cannot be read shows where messages are delivered; here it is a time that is not known.
        let _ = queues.read(at, sluice_core::ids::QueueOffset(newest), 1, &mut last);
    }
    TopicQueue {
        queue: queue.0,
        min_offset: min.0,
        max_offset: max.0,
        last_put_ms: last.first().map(|entry| entry.put_ms),
        messages: max.0.saturating_sub(first.0) + carried as u64,
    }
}

/// Those that have their place in the topic, by name.
fn groups(engine: &Engine, topic: &Topic) -> Vec<TopicGroup> {
    let (tables, now) = (engine.tables(), engine.now());
    let mut groups: Vec<_> = tables
        .subscribers_of(topic.id)
        .into_iter()
        .filter_map(|(group, subscription)| {
            let group = tables.group_by_id(group)?;
            let lag = engine.lag_by_queue(&group, topic, &subscription, now);
            let lag = convert::lag::sum(lag);
            Some(convert::lag::group(&group.spec.name, lag, now))
        })
        .collect();
    groups.sort_unstable_by(|one, other| one.group.cmp(&other.group));
    groups
}
