//! Taking back what clients hold that are gone.

use super::{Engine, EngineError};
use sluice_core::command::Release;
use sluice_core::ids::{GroupQueueId, QueueId, TopicQueue};
use sluice_core::state::Shard;
use smallvec::smallvec;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Engine {
    /// Makes everything that the broker renews for `client` visible in `visible_in_ms` milliseconds.
    pub async fn release_client(&self, client: &str, visible_in_ms: u64) -> Result<(), EngineError> {
        let holds = |shard: &Shard| shard.read(|queue| queue.clients().any(|name| &**name == client));
        for id in self.shards_where(holds) {
            let command = Release {
                id,
                client: client.to_owned(),
                visible_in_ms,
            };
            self.propose(smallvec![command.encode(self.now())]).await?;
        }
        Ok(())
    }

    /// The clients that hold deliveries which the broker renews: after a restart, those that must come back.
    pub fn auto_renew_holders(&self) -> BTreeSet<Arc<str>> {
        let now = self.now();
        let mut holders = BTreeSet::new();
        for (_, subscription) in self.tables().all_subscriptions() {
            for shard in subscription.shards.iter() {
                shard.read(|queue| {
                    if queue.by_visibility().next_back().is_some_and(|(at, _)| at > now) {
                        let renewed = queue.deliveries().filter(|(_, delivery)| delivery.auto_renew);
                        holders.extend(renewed.map(|(_, delivery)| Arc::clone(&delivery.client)));
                    }
                });
            }
        }
        holders
    }

    fn shards_where(&self, wanted: impl Fn(&Shard) -> bool) -> Vec<GroupQueueId> {
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
