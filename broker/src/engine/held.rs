//! What clients hold: the deliveries under way by client and queue, straight from state. It looks through every queue of
//! a group, and for a time into the log: not for a worker of the runtime.

use super::Engine;
use sluice_core::command::Command;
use sluice_core::ids::{DeliveryId, GroupId, GroupQueueId, LogIndex, QueueId, TimeMs, TopicQueue};
use sluice_core::state::GroupQueue;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Messages of one queue that are hidden from others for one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pile {
    /// How many.
    pub messages: u64,
    /// The first delivery, or change of one, among those that hold them.
    pub oldest: DeliveryId,
}

/// What one client holds of one queue for its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The client.
    pub client: Arc<str>,
    /// Whose queue.
    pub id: GroupQueueId,
    /// What the broker renews for it: it works on them.
    pub renewed: Option<Pile>,
    /// What is hidden for a time that it has chosen: a client that fetches messages works on them; one that messages are
    /// pushed to has given them back until a retry.
    pub hidden: Option<Pile>,
}

impl Engine {
    /// What clients hold of one group, or of all, as far as `wanted` says so of the client.
    pub fn held(&self, group: Option<GroupId>, wanted: impl Fn(&str) -> bool) -> Vec<Held> {
        let now = self.now();
        let mut all = Vec::new();
        for ((of, topic), subscription) in self.tables().all_subscriptions() {
            if group.is_some_and(|group| group != of) {
                continue;
            }
            for (queue, shard) in subscription.shards.iter().enumerate() {
                // Names are few and deliveries may be many.
                if !shard.read(|queue| queue.clients().any(|name| wanted(name))) {
                    continue;
                }
                let at = TopicQueue {
                    topic,
                    queue: QueueId(queue as u32),
                };
                let id = GroupQueueId { group: of, at };
                let of_client = |(client, (renewed, hidden))| Held {
                    client,
                    id,
                    renewed,
                    hidden,
                };
                all.extend(by_client(&shard.view(), now, &wanted).into_iter().map(of_client));
            }
        }
        all
    }

    /// When a delivery was made, or changed last; `None` if the log does not have it any more, or cannot be read.
    pub fn delivered_at(&self, delivery: DeliveryId) -> Option<TimeMs> {
        let (index, reader) = (delivery.index(), self.store().reader());
        let frames = reader.read_frames(index, LogIndex(index.0.checked_add(1)?), 0);
        let frame = frames.ok()?.into_iter().next()?;
        let (.., command) = frame.commands().find(|(place, ..)| *place == delivery.place())?;
        let (time, _) = Command::decode(&command).ok()?;
        Some(time)
    }
}

type Piles = (Option<Pile>, Option<Pile>);

fn by_client(queue: &GroupQueue, now: TimeMs, wanted: impl Fn(&str) -> bool) -> BTreeMap<Arc<str>, Piles> {
    let mut piles: BTreeMap<Arc<str>, Piles> = BTreeMap::new();
    for (_, pending) in queue
        .all_pending()
        .filter(|(_, pending)| pending.visible_at > now)
    {
        let Some(delivery) = queue.delivery(pending.delivery).filter(|one| wanted(&one.client)) else {
            continue;
        };
        let (renewed, hidden) = match piles.get_mut(&delivery.client) {
            Some(piles) => piles,
            None => piles.entry(Arc::clone(&delivery.client)).or_default(),
        };
        let pile = if delivery.auto_renew { renewed } else { hidden };
        let before = pile.unwrap_or(Pile {
            messages: 0,
            oldest: pending.delivery,
        });
        *pile = Some(Pile {
            messages: before.messages + 1,
            oldest: before.oldest.min(pending.delivery),
        });
    }
    piles
}
