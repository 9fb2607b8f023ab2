//! Taking back what clients hold that are gone.

use super::{Engine, EngineError};
use sluice_core::command::Release;
use sluice_core::ids::{GroupQueueId, QueueId, TopicQueue};
use sluice_core::state::{Delivery, Done, GroupQueue, Shard};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Engine {
    /// Makes everything that the broker renews for `client` visible in `visible_in_ms` milliseconds; answers how many
    /// messages. A client that holds nothing of the kind costs no command.
    pub async fn release_client(&self, client: &str, visible_in_ms: u64) -> Result<u32, EngineError> {
        let renewed = |delivery: &Delivery| delivery.auto_renew && &*delivery.client == client;
        let holds = |queue: &GroupQueue| {
            // Names are few and deliveries may be many.
            queue.clients().any(|name| &**name == client) && queue.deliveries().any(|(_, one)| renewed(one))
        };
        let mut count = 0;
        for id in self.shards_where(|shard| shard.read(holds)) {
            let command = Release {
                id,
                client: client.to_owned(),
                visible_in_ms,
            };
            if let Done::Released(messages) = self.propose_one(command.encode(self.now())).await?? {
                count += messages;
            }
        }
        Ok(count)
    }

    /// The clients that hold messages, whoever renews: after a restart, those that must come back. Each queue's lock is
    /// held for as long as its clients take to name, and not for its deliveries.
    pub fn holders(&self) -> BTreeSet<Arc<str>> {
        let now = self.now();
        let mut holders = BTreeSet::new();
        for (_, subscription) in self.tables().all_subscriptions() {
            for shard in subscription.shards.iter() {
                shard.read(|queue| {
                    if queue.by_visibility().next_back().is_some_and(|(at, _)| at > now) {
                        holders.extend(queue.clients().cloned());
                    }
                });
            }
        }
        holders
    }

    pub(super) fn shards_where(&self, wanted: impl Fn(&Shard) -> bool) -> Vec<GroupQueueId> {
        let mut ids = Vec::new();
        for ((group, topic), subscription) in self.tables().all_subscriptions() {
            for (queue, shard) in subscription.shards.iter().enumerate() {
                if wanted(shard) {
                    let at = TopicQueue {
                        topic,
                        queue: QueueId(queue as u32),
                    };
                    ids.push(GroupQueueId { group, at });
                }
            }
        }
        ids
    }
}
