//! Taking back what clients hold that are gone, and what they may never have got.

use super::{Engine, EngineError};
use sluice_core::command::{Release, Unanswered};
use sluice_core::ids::{GroupQueueId, QueueId, TimeMs, TopicQueue};
use sluice_core::limits;
use sluice_core::state::{Delivery, Done, GroupQueue, Shard};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What was delivered longer than this before the broker went down has been answered: between a delivery and its answer
/// stand a read of its records and the network's buffers.
pub(crate) const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// What may not have been answered is visible to others after this, as if the broker had not renewed it.
const UNANSWERED_MS: u64 = 60_000;
/// Commands of one proposal: they go into one frame, and others wait for it.
const AT_A_TIME: usize = 256;

impl Engine {
    /// Bounds how long messages stay hidden that the broker renews and had delivered just before it went down; answers
    /// how many. Their answers may be lost, and then their clients neither settle them nor go away. The broker went
    /// down at the state's time, so this comes before anything else is proposed.
    pub async fn bound_unanswered(&self) -> Result<u32, EngineError> {
        self.bound_unanswered_since(self.tables().now()).await
    }

    /// The same for what was delivered just before `since` and later.
    pub async fn bound_unanswered_since(&self, since: TimeMs) -> Result<u32, EngineError> {
        let made_since = since.saturating_sub(ANSWERED_WITHIN.as_millis() as u64);
        let hidden_until_min = made_since + limits::AUTO_RENEW_MS_MAX;
        let ids = self.shards_where(|shard| shard.read(|queue| queue.has_renewed_until(hidden_until_min)));
        let mut count = 0;
        for ids in ids.chunks(AT_A_TIME) {
            let command = |id: &GroupQueueId| Unanswered {
                id: *id,
                hidden_until_min,
                visible_in_ms: UNANSWERED_MS,
            };
            let now = self.now();
            let batch = ids.iter().map(|id| command(id).encode(now)).collect();
            for answer in self.propose(batch).await? {
                if let Done::Released(messages) = answer? {
                    count += messages;
                }
            }
        }
        Ok(count)
    }

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
