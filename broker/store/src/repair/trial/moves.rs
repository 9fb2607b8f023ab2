//! Groups that were moved back in a queue behind a loss.
//!
//! What else groups did behind a loss is given up so that they get messages again. A move back asked for just that, and is given up too: the
//! group stands where it stood at the loss, and what it had done before does not come.

use sluice_core::command::{SetFloor, Target};
use sluice_core::ids::{GroupId, GroupQueueId, QueueOffset, TopicId};
use sluice_core::state::Tables;
use std::collections::BTreeMap;

/// Groups with a topic that are told one by one, and queues of each.
const TOLD_MAX: usize = 100;
const QUEUES_MAX: usize = 16;

/// Where a group was moved to last.
#[derive(Clone, Copy, Debug)]
struct Move {
    to: QueueOffset,
    /// Whether all that it had done at the loss comes no more; else it may have stood elsewhere when it was moved.
    is_sure: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(in crate::repair) struct Moves {
    back: BTreeMap<GroupQueueId, Move>,
}

impl Moves {
    /// Takes in a move that is given up, with state as it will be there. Answers whether the group gets no message again by that.
    pub(super) fn take_in(&mut self, moves: &SetFloor, tables: &Tables) -> bool {
        let id = moves.id;
        // A fence that is lost can only have made the epoch higher.
        if moves.epoch != 0 && moves.epoch < tables.fenced().epoch {
            return true;
        }
        let subscription = tables.subscription(id.group, id.at.topic);
        let shards = subscription.map(|subscription| subscription.shards);
        let Some(shard) = shards
            .as_ref()
            .and_then(|shards| shards.get(id.at.queue.0 as usize))
        else {
            return false;
        };
        let (floor, done) = shard.read(|held| (held.floor().0, held.settled().last_end().unwrap_or(0)));
        let to = match moves.target {
            // Never back.
            Target::Newest(_) => return false,
            Target::Latest => u64::MAX,
            // What retention has taken does not come again.
            Target::Offset(to) => tables.gone(id.at).end_of(to.0).unwrap_or(to.0),
        };
        if to >= floor.max(done) {
            self.back.remove(&id);
            return false;
        }
        let is_sure = to < floor;
        let to = QueueOffset(to);
        self.back.insert(id, Move { to, is_sure });
        is_sure
    }

    /// All of it in words.
    pub(in crate::repair) fn in_words(&self, tables: &Tables) -> Vec<String> {
        let mut by_topic: BTreeMap<(GroupId, TopicId), Vec<(GroupQueueId, Move)>> = BTreeMap::new();
        for (id, back) in &self.back {
            let of_topic = by_topic.entry((id.group, id.at.topic)).or_default();
            of_topic.push((*id, *back));
        }
        let told = by_topic.into_iter().filter_map(|((group, topic), moves)| {
            // What is gone gets nothing in any case.
            let (group, topic) = tables.group_by_id(group).zip(tables.topic_by_id(topic))?;
            Some(of_group(&group.spec.name, &topic.spec.name, &moves))
        });
        let mut told: Vec<String> = told.collect();
        let more = told.len().saturating_sub(TOLD_MAX);
        told.truncate(TOLD_MAX);
        if more > 0 {
            told.push(format!(
                "and {more} moves back more of other groups or topics are lost"
            ));
        }
        told
    }
}

fn of_group(group: &str, topic: &str, moves: &[(GroupQueueId, Move)]) -> String {
    let was = match moves.iter().any(|(_, back)| back.is_sure) {
        true => "was",
        false => "may have been",
    };
    let named = moves.iter().take(QUEUES_MAX);
    let named = named.map(|(id, back)| format!("queue {} to offset {}", id.at.queue, back.to));
    let mut queues = named.collect::<Vec<_>>().join(", ");
    if moves.len() > QUEUES_MAX {
        queues.push_str(&format!(", and {} queues more", moves.len() - QUEUES_MAX));
    }
    format!(
        "group {group} {was} moved back in topic {topic} ({queues}), and that is lost: it goes on where it stood before, and what it had done then \
         does not come again until it is moved back once more"
    )
}
