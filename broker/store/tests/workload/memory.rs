//! What a store has answered.

use super::{Asked, administer};
use sluice_core::ids::{DeliveryId, GroupQueueId, QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_core::log::Outcome;
use sluice_core::state::{Done, Refused};
use std::collections::{BTreeMap, BTreeSet};

/// What a message was sent as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub at: TopicQueue,
    pub body: Vec<u8>,
}

/// Everything that the store has answered, and what it was asked besides.
#[derive(Clone, Default)]
pub struct Memory {
    pub acknowledged: BTreeMap<(TopicQueue, QueueOffset), Vec<u8>>,
    pub unknown: Vec<Sent>,
    pub done: Vec<(GroupQueueId, QueueOffset)>,
    /// Topics whose deletion was asked for: they may be gone.
    pub deletions: BTreeSet<TopicId>,
    /// What administrators have done, by the name of the answer.
    pub administered: BTreeMap<String, usize>,
    pub(super) held: Vec<(GroupQueueId, QueueOffset, DeliveryId)>,
    /// Places of messages among dead letters.
    pub letters: BTreeSet<(TopicQueue, QueueOffset)>,
    pub refused_letters: usize,
    pub refused_for_space: usize,
    pub delivered: usize,
}

impl Memory {
    /// Takes in an answer.
    pub(super) fn learn(&mut self, asked: Asked, outcome: Outcome) {
        let result = match outcome {
            Outcome::Applied(mut results) => results.pop(),
            Outcome::NotProposed(_) => {
                self.refused_for_space += 1;
                return;
            }
            Outcome::NotLeader(_) | Outcome::Unknown => None,
        };
        match (asked, result) {
            (Asked::Sent(sent), Some(Ok(Done::Appended(offset)))) => {
                let before = self.acknowledged.insert((sent.at, offset), sent.body);
                assert_eq!(before, None, "an offset is given once");
            }
            (Asked::Sent(sent), None) => self.unknown.push(sent),
            (Asked::Delivered(id), Some(Ok(Done::Delivered(delivered)))) => {
                let held = delivered
                    .taken
                    .iter()
                    .map(|(offset, _)| (id, *offset, delivered.delivery));
                self.held.extend(held);
                self.delivered += delivered.taken.len();
            }
            (Asked::Settled(id, offsets), Some(Ok(Done::Settled { accepted, .. })))
                if accepted[0] && id != administer::MOVED_BACK =>
            {
                self.done.extend(offsets.into_iter().map(|offset| (id, offset)));
            }
            (
                Asked::Buried(id, offset),
                Some(Ok(Done::DeadLettered {
                    topic,
                    offset: letter,
                })),
            ) => {
                let at = TopicQueue {
                    topic,
                    queue: QueueId(0),
                };
                if let Some(body) = self.acknowledged.get(&(id.at, offset)).cloned() {
                    let before = self.acknowledged.insert((at, letter), body);
                    assert_eq!(before, None, "an offset is given once");
                }
                self.letters.insert((at, letter));
                if id != administer::MOVED_BACK {
                    self.done.push((id, offset));
                }
            }
            (Asked::Buried(..), Some(Err(Refused::NotHeld | Refused::Leaving(_)))) => {
                self.refused_letters += 1;
            }
            (Asked::Administered, Some(Ok(done))) => {
                let text = format!("{done:?}");
                let name: String = text
                    .chars()
                    .take_while(|letter| letter.is_alphanumeric())
                    .collect();
                *self.administered.entry(name).or_default() += 1;
            }
            (Asked::Administered, _) => {}
            (Asked::Sent(_), Some(Err(Refused::Closed(_) | Refused::NoTopic(_)))) => {}
            (_, Some(Err(Refused::NotHeld | Refused::NotSubscribed(..)) | Ok(_)) | None) => {}
            (_, Some(Err(refused))) => panic!("refused: {refused}"),
        }
    }
}
