//! Taking back what was delivered just before the broker went down, and may never have reached anybody.
//!
//! On a full disk this waits for room, and deliveries go on as soon as there is some: so each queue's turn comes, at the latest,
//! right before this run delivers anything from it. What is taken back is then never of this run.

use super::{Engine, EngineError};
use sluice_core::command::Unanswered;
use sluice_core::ids::{GroupQueueId, TimeMs};
use sluice_core::limits;
use sluice_core::state::Done;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// What was delivered longer than this before the broker went down has been answered: between a delivery and its answer
/// stand a read of its records and the network's buffers.
pub(crate) const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// What may not have been answered is visible to others after this, as if the broker had not renewed it.
const UNANSWERED_MS: u64 = 60_000;
/// Commands of one proposal: they go into one frame, and others wait for it.
const AT_A_TIME: usize = 256;

/// The queues of groups that have something to take back still.
#[derive(Default)]
pub(super) struct TakingBack {
    /// Spares deliveries the lock, as soon as there is nothing.
    is_any: AtomicBool,
    /// Held until what is proposed of it is answered: a delivery behind that finds its queue done, or does it itself.
    left: Mutex<Left>,
}

#[derive(Default)]
struct Left {
    hidden_until_min: TimeMs,
    ids: BTreeSet<GroupQueueId>,
}

impl Engine {
    /// Bounds how long messages stay hidden that the broker renews and had delivered just before it went down; answers
    /// how many. Their answers may be lost, and then their clients neither settle them nor go away. The broker went
    /// down at the state's time, so this comes before anything else is proposed. After an error
    /// [`Self::take_back_rest`] goes on with what is left.
    pub async fn take_back(&self) -> Result<u32, EngineError> {
        let hidden_until_min = hidden_until_min(self.tables().now());
        {
            let mut left = self.taking_back.left.lock().await;
            let ids = self.hidden_until(hidden_until_min).into_iter().collect();
            *left = Left {
                hidden_until_min,
                ids,
            };
            self.taking_back.is_any.store(true, Ordering::Release);
        }
        self.take_back_rest().await
    }

    /// Goes on with that.
    pub async fn take_back_rest(&self) -> Result<u32, EngineError> {
        let mut count = 0;
        loop {
            let mut left = self.taking_back.left.lock().await;
            let ids: Vec<_> = left.ids.iter().take(AT_A_TIME).copied().collect();
            if ids.is_empty() {
                self.taking_back.is_any.store(false, Ordering::Release);
                return Ok(count);
            }
            count += self.take_back_of(&mut left, &ids).await?;
        }
    }

    /// Comes before anything is delivered of these queues.
    pub(super) async fn take_back_first(
        &self,
        ids: impl Iterator<Item = GroupQueueId>,
    ) -> Result<(), EngineError> {
        if !self.taking_back.is_any.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut left = self.taking_back.left.lock().await;
        let ids: Vec<_> = ids.filter(|id| left.ids.contains(id)).collect();
        for ids in ids.chunks(AT_A_TIME) {
            self.take_back_of(&mut left, ids).await?;
        }
        Ok(())
    }

    async fn take_back_of(&self, left: &mut Left, ids: &[GroupQueueId]) -> Result<u32, EngineError> {
        let count = self.bound(ids, left.hidden_until_min).await?;
        for id in ids {
            left.ids.remove(id);
        }
        Ok(count)
    }

    /// The same for all that was delivered just before `since` and later, also by this run.
    pub async fn bound_unanswered_since(&self, since: TimeMs) -> Result<u32, EngineError> {
        let hidden_until_min = hidden_until_min(since);
        let mut count = 0;
        for ids in self.hidden_until(hidden_until_min).chunks(AT_A_TIME) {
            count += self.bound(ids, hidden_until_min).await?;
        }
        Ok(count)
    }

    fn hidden_until(&self, min: TimeMs) -> Vec<GroupQueueId> {
        self.shards_where(|shard| shard.read(|queue| queue.has_renewed_until(min)))
    }

    async fn bound(&self, ids: &[GroupQueueId], hidden_until_min: TimeMs) -> Result<u32, EngineError> {
        let now = self.now();
        let command = |id: &GroupQueueId| Unanswered {
            id: *id,
            hidden_until_min,
            visible_in_ms: UNANSWERED_MS,
        };
        let batch = ids.iter().map(|id| command(id).encode(now)).collect();
        let released = |answer| match answer {
            Ok(Done::Released(messages)) => messages,
            // Of a group or a topic that was deleted meanwhile nothing is held.
            _ => 0,
        };
        Ok(self.propose(batch).await?.into_iter().map(released).sum())
    }
}

/// Until when at least those messages are hidden that were delivered just before `since` and later.
fn hidden_until_min(since: TimeMs) -> TimeMs {
    since.saturating_sub(ANSWERED_WITHIN.as_millis() as u64) + limits::AUTO_RENEW_MS_MAX
}
