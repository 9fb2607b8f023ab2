//! The checker: it hears of every call and delivery as it happens, and knows what may never have happened.
//!
//! The rules, each a kind of [`Violation`]:
//! - every acknowledged send is delivered to every group of its topic at least once (known at the end);
//! - nothing is delivered that was not sent, whose send was refused, whose body differs, or under another topic;
//! - a queue's offset names one message, in every group and at all times, restarts included; an acknowledged send,
//!   never repeated by its producer, has one place, and it is at the offset its producer was told;
//! - first deliveries of a lane (one producer's messages of one message group) come in the order of sending;
//! - what a consumer acknowledged successfully is not delivered to its group again, and the acknowledgement of a
//!   delivery that has hardly begun is not refused;
//! - a send that began after another had been acknowledged stands behind it where both share a queue (known at the
//!   end).
//!
//! A send whose answer was lost may appear or not, and several times.
//!
//! Events are heard in an order that respects real time: a call is reported before it is made, and its answer after
//! it came. The history is not kept; each event costs constant time.

mod bits;
mod violation;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

pub use violation::{Count, Verdict, Violation};

use bits::Bits;

/// A message: its place in the order of sends.
pub type Number = u32;

/// A group of consumers.
pub type Group = usize;

/// A topic.
pub type Topic = usize;

const NOTHING: Number = Number::MAX;

/// One producer's messages of one message group.
pub type Lane = u32;

/// A queue of a topic, and an offset in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The topic.
    pub topic: Topic,
    /// The queue's number.
    pub queue: u16,
    /// The offset in the queue.
    pub offset: u32,
}

/// A message that a consumer got.
#[derive(Debug, Clone, Copy)]
pub struct Delivery {
    /// The group it was delivered to.
    pub group: Group,
    /// Where it says that it stands.
    pub place: Place,
    /// Which message it says that it is; none if its body cannot be read.
    pub number: Option<Number>,
    /// The hash of its body.
    pub hash: u64,
}

/// Listens to a run and judges it.
#[derive(Debug, Clone)]
pub struct Oracle {
    /// The groups of each topic.
    groups: Vec<Vec<Group>>,
    sends: Vec<Sent>,
    /// What each group got.
    delivered: Vec<Bits>,
    /// The message at each offset of each queue.
    queues: HashMap<(Topic, u16), Vec<Number>>,
    /// The offsets of each queue that a group acknowledged.
    acknowledged: HashMap<(Group, Topic, u16), Bits>,
    /// How many messages a lane has, and the last one that a group got first.
    lanes: HashMap<Lane, u32>,
    lane_heads: HashMap<(Lane, Group), u32>,
    clock: u64,
    verdict: Verdict,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    topic: Topic,
    lane: Option<Lane>,
    sequence: u32,
    hash: u64,
    began: u64,
    /// When its answer came.
    ended: u64,
    outcome: Outcome,
    place: Option<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Numbers are given out before they are heard of.
    NotBegun,
    Running,
    Acknowledged {
        offset: u32,
    },
    Refused,
    Unknown,
}

impl Oracle {
    /// For topics whose messages go to these groups.
    #[must_use]
    pub fn new(groups: Vec<Vec<Group>>) -> Self {
        let group_count = groups.iter().flatten().max().map_or(0, |last| last + 1);
        Self::of(groups, group_count)
    }

    /// For topics whose messages go to these groups, and perhaps to others: these need not get all of them.
    #[must_use]
    pub fn of(groups: Vec<Vec<Group>>, group_count: usize) -> Self {
        Self {
            groups,
            sends: Vec::new(),
            delivered: vec![Bits::default(); group_count],
            queues: HashMap::new(),
            acknowledged: HashMap::new(),
            lanes: HashMap::new(),
            lane_heads: HashMap::new(),
            clock: 0,
            verdict: Verdict::default(),
        }
    }

    /// A send is about to be made. A lane's sends are made one after the other.
    pub fn send_begins(&mut self, number: Number, topic: Topic, lane: Option<Lane>, hash: u64) {
        let sequence = lane.map_or(0, |lane| {
            let count = self.lanes.entry(lane).or_default();
            *count += 1;
            *count
        });
        let send = Sent {
            topic,
            lane,
            sequence,
            hash,
            began: self.now(),
            ended: u64::MAX,
            outcome: Outcome::Running,
            place: None,
        };
        let index = number as usize;
        if self.sends.len() <= index {
            let not_begun = Sent {
                outcome: Outcome::NotBegun,
                ..send
            };
            self.sends.resize(index + 1, not_begun);
        }
        self.sends[index] = send;
        self.verdict.count.sends += 1;
    }

    /// A send was acknowledged with this offset.
    pub fn send_acknowledged(&mut self, number: Number, offset: u32) {
        let now = self.now();
        let missing = {
            let send = &mut self.sends[number as usize];
            send.outcome = Outcome::Acknowledged { offset };
            send.ended = now;
            let groups = &self.groups[send.topic];
            groups
                .iter()
                .filter(|group| !self.delivered[**group].has(number))
                .count() as u64
        };
        self.verdict.count.acknowledged_sends += 1;
        self.verdict.count.undelivered += missing;
        self.check_answered_offset(number);
    }

    /// A send was answered by a code that says that nothing was stored.
    pub fn send_refused(&mut self, number: Number) {
        self.sends[number as usize].outcome = Outcome::Refused;
        self.verdict.count.refused_sends += 1;
        if let Some(place) = self.sends[number as usize].place {
            self.verdict.add(Violation::RefusedYetDelivered { number, place });
        }
    }

    /// A send's answer was lost.
    pub fn send_lost_its_answer(&mut self, number: Number) {
        self.sends[number as usize].outcome = Outcome::Unknown;
        self.verdict.count.unknown_sends += 1;
    }

    /// A consumer got a message.
    pub fn delivered(&mut self, delivery: Delivery) {
        let Delivery { group, place, .. } = delivery;
        self.verdict.count.deliveries += 1;
        let Some(number) = self.known(&delivery) else {
            return;
        };
        let acknowledged = self.acknowledged.get(&(group, place.topic, place.queue));
        if acknowledged.is_some_and(|offsets| offsets.has(place.offset)) {
            self.verdict
                .add(Violation::DeliveredAfterAcknowledgement { group, number, place });
        }
        self.check_place(number, place);
        if self.delivered[group].set(number) {
            self.verdict.count.repeated_deliveries += 1;
            return;
        }
        let send = self.sends[number as usize];
        if matches!(send.outcome, Outcome::Acknowledged { .. }) {
            self.verdict.count.undelivered = self.verdict.count.undelivered.saturating_sub(1);
        }
        if let Some(lane) = send.lane {
            self.check_order(lane, group, number, send.sequence);
        }
    }

    /// A consumer's acknowledgement was accepted.
    pub fn delivery_acknowledged(&mut self, group: Group, place: Place) {
        self.verdict.count.acknowledged_deliveries += 1;
        let offsets = self
            .acknowledged
            .entry((group, place.topic, place.queue))
            .or_default();
        offsets.set(place.offset);
    }

    /// A consumer's acknowledgement was refused though its delivery had time left: the broker forgot the delivery.
    pub fn delivery_forgotten(&mut self, group: Group, place: Place) {
        self.verdict.add(Violation::DeliveryForgotten { group, place });
    }

    /// Tells whether a group has got everything acknowledged that it must get.
    #[must_use]
    pub fn is_complete(&self, group: Group) -> bool {
        let mut sends = self.sends.iter().zip(0..);
        sends.all(|(send, number)| {
            let due = matches!(send.outcome, Outcome::Acknowledged { .. })
                && self.groups[send.topic].contains(&group);
            !due || self.delivered[group].has(number)
        })
    }

    /// How it stands.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Applies the rules that only the end can judge.
    #[must_use]
    pub fn finish(mut self) -> Verdict {
        self.check_that_all_was_delivered();
        self.check_real_time();
        self.verdict
    }

    fn now(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// The message that was delivered, if it is one that was sent and looks as it did.
    fn known(&mut self, delivery: &Delivery) -> Option<Number> {
        let place = delivery.place;
        let number = delivery.number.unwrap_or(NOTHING);
        let sent = self.sends.get(number as usize).copied();
        let Some(send) = sent.filter(|send| send.outcome != Outcome::NotBegun) else {
            self.verdict.add(Violation::Invented { place });
            return None;
        };
        if send.hash != delivery.hash {
            self.verdict.add(Violation::BodyDiffers { number, place });
        }
        if send.topic != place.topic {
            self.verdict.add(Violation::OtherTopic { number, place });
            return None;
        }
        // Offsets have no holes, so that there are never many more than sends.
        if place.offset as usize > 2 * self.sends.len() {
            self.verdict.add(Violation::BeyondTheQueue { number, place });
            return None;
        }
        if send.outcome == Outcome::Refused {
            self.verdict.add(Violation::RefusedYetDelivered { number, place });
        }
        Some(number)
    }

    /// One message an offset; one offset a message, unless its producer does not know.
    fn check_place(&mut self, number: Number, place: Place) {
        let queue = self.queues.entry((place.topic, place.queue)).or_default();
        let index = place.offset as usize;
        if queue.len() <= index {
            queue.resize(index + 1, NOTHING);
        }
        let there = std::mem::replace(&mut queue[index], number);
        if there != NOTHING && there != number {
            self.verdict.add(Violation::TwoMessagesAtOnePlace {
                place,
                first: there,
                second: number,
            });
        }
        let send = &mut self.sends[number as usize];
        let before = send.place.replace(place);
        if let Some(before) = before.filter(|before| *before != place && send.outcome != Outcome::Unknown) {
            self.verdict.add(Violation::TwoPlacesOfOneMessage {
                number,
                first: before,
                second: place,
            });
        }
        if before.is_none() {
            self.check_answered_offset(number);
        }
    }

    fn check_answered_offset(&mut self, number: Number) {
        let send = self.sends[number as usize];
        let (Outcome::Acknowledged { offset }, Some(place)) = (send.outcome, send.place) else {
            return;
        };
        if offset != place.offset {
            self.verdict.add(Violation::OtherOffsetThanAnswered {
                number,
                answered: offset,
                place,
            });
        }
    }

    fn check_order(&mut self, lane: Lane, group: Group, number: Number, sequence: u32) {
        let head = self.lane_heads.entry((lane, group)).or_default();
        if sequence < *head {
            self.verdict.add(Violation::OutOfOrder {
                group,
                lane,
                number,
                sequence,
                after: *head,
            });
        }
        *head = sequence.max(*head);
    }

    fn check_that_all_was_delivered(&mut self) {
        for (send, number) in self.sends.iter().zip(0..) {
            if !matches!(send.outcome, Outcome::Acknowledged { .. }) {
                continue;
            }
            for group in &self.groups[send.topic] {
                if !self.delivered[*group].has(number) {
                    self.verdict.add(Violation::Lost {
                        number,
                        group: *group,
                        place: send.place,
                    });
                }
            }
        }
    }

    /// From the front of a queue to its end, nothing may have been acknowledged before something in front of it
    /// was even begun.
    fn check_real_time(&mut self) {
        let mut keys: Vec<_> = self.queues.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            let mut latest: Option<(u64, Number)> = None;
            for number in self.queues[&key]
                .iter()
                .copied()
                .filter(|number| *number != NOTHING)
            {
                let send = self.sends[number as usize];
                if let Some((_, behind)) = latest.filter(|(began, _)| send.ended < *began) {
                    let (topic, queue) = key;
                    self.verdict.add(Violation::AgainstTime {
                        topic,
                        queue,
                        earlier: number,
                        later: behind,
                    });
                }
                if latest.is_none_or(|(began, _)| began < send.began) {
                    latest = Some((send.began, number));
                }
            }
        }
    }
}
