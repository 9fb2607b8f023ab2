//! Messages whose records are lost: skipped for the group that comes to them, by a command that ends their delivery.
//!
//! What is lost is delivered like anything else, and read only then: whoever holds it may end it, whether it is fresh, was
//! delivered before, or locks its message group. A message whose attempts are used up is delivered once more for that,
//! instead of being linked to where nobody could read it either.

use super::super::telling::{Bunch, Fate, Key};
use super::super::{Engine, EngineError, records};
use sluice_core::command::{Change, Place, SettleItem};
use sluice_core::ids::{GroupQueueId, TopicQueue};
use sluice_core::plan::{Offer, Plan};
use sluice_core::state::{Group, Topic};
use sluice_store::damage::Unread;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// A delivery of a message that is lost, and why it cannot be read.
pub(in crate::engine) type Lost = (GroupQueueId, SettleItem, String);

impl Engine {
    /// Ends deliveries of messages that are lost: for this group they are done, told and counted. Answers how many that are.
    pub(in crate::engine) async fn skip_lost(&self, topic: &Topic, group: &Group, lost: Vec<Lost>) -> u64 {
        let mut skipped = 0;
        let mut by_queue: BTreeMap<GroupQueueId, Vec<(SettleItem, String)>> = BTreeMap::new();
        for (id, item, cause) in lost {
            by_queue.entry(id).or_default().push((item, cause));
        }
        for (id, lost) in by_queue {
            let items = lost.iter().map(|(item, _)| *item).collect();
            let accepted = match self.settle(id, Change::Done, items).await {
                Ok(settled) => settled.accepted,
                Err(error) => {
                    let (topic, queue) = (&topic.spec.name, id.at.queue.0);
                    tracing::warn!(topic, queue, %error, "messages that are lost are not skipped yet: they are found again when their time is over");
                    continue;
                }
            };
            let mut done = Bunch::default();
            for ((item, cause), _) in lost.into_iter().zip(accepted).filter(|(_, accepted)| *accepted) {
                done.add(Bunch::one(item.offset.0, cause));
            }
            if done.count > 0 {
                self.lost.fetch_add(done.count, Ordering::Relaxed);
                skipped += done.count;
                self.telling
                    .add(&Key::of(Fate::Lost, topic, id.at.queue, group), done);
            }
        }
        skipped
    }
}

/// Which of a plan's dead are lost: a link to them is of no use.
pub(super) async fn among_dead(
    engine: &Engine,
    at: TopicQueue,
    plan: &Plan,
) -> Result<Vec<bool>, EngineError> {
    let places = plan.dead.iter().map(|dead| Place {
        at,
        offset: dead.take.offset,
        entry: dead.entry,
    });
    let read = records::commands(&engine.store, places.collect(), engine.now()).await?;
    let is_lost = |read: &Result<_, Unread>| read.as_ref().is_err_and(Unread::is_lost);
    Ok(read.iter().map(is_lost).collect())
}

/// Has those of a plan's dead delivered that are lost, so that they are skipped.
pub(super) fn deliver_again(plan: &mut Plan, lost: &[bool]) {
    let mut lost = lost.iter();
    let dead = std::mem::take(&mut plan.dead);
    let (again, dead): (Vec<Offer>, _) = dead.into_iter().partition(|_| lost.next() == Some(&true));
    plan.dead = dead;
    plan.offers.extend(again);
    plan.offers.sort_unstable_by_key(|offer| offer.take.offset);
}
