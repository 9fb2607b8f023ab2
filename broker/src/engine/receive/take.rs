//! One try to take messages: choose from each queue in turn, propose, settle the reservations, read the records.

use super::look::Look;
use super::lost;
use super::read::{self, Read};
use super::taken::{Passed, hand_back};
use super::{Receive, Received};
use crate::engine::dispatcher::Dispatcher;
use crate::engine::{Engine, EngineError};
use bytes::Bytes;
use sluice_core::command::{DeadLetter, Deliver, SettleItem, Standing, Take};
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{GroupQueueId, QueueId, QueueOffset, TimeMs, TopicQueue};
use sluice_core::limits;
use sluice_core::log::{Batch, Results};
use sluice_core::plan::{Plan, Room};
use sluice_core::state::{Delivered, Done, Refused};
use std::sync::Arc;

/// When a message that cannot be read is tried again, in milliseconds. The try does not count among its attempts.
const UNREADABLE_RETRY_MS: u64 = 60_000;
/// When a dead letter is tried again whose record retention carries, in milliseconds. At once would be a command and a sync of the log for
/// each try, as long as that takes.
const LEAVING_RETRY_MS: u64 = 1_000;

/// What was chosen from the queues; its reservations stand until [`Chosen::deliver`] has run, or it is dropped.
pub(in crate::engine) struct Chosen {
    dispatcher: Arc<Dispatcher>,
    now: TimeMs,
    plans: Vec<(QueueId, Plan)>,
    /// Messages that a lost answer carried: handed out again, uncounted.
    resumed: Vec<(QueueId, Standing, Vec<Take>)>,
    /// Whether a dead letter was refused because retention is about to carry its record.
    waits_for_retention: bool,
}

impl Engine {
    /// Chooses up to `request.max` messages over the queues; `None` if there is nothing to do.
    pub(in crate::engine) async fn choose(
        self: &Arc<Self>,
        dispatcher: &Arc<Dispatcher>,
        request: &Arc<Receive>,
    ) -> Result<Option<Chosen>, EngineError> {
        let now = self.now();
        let mut chosen = Chosen {
            dispatcher: Arc::clone(dispatcher),
            now,
            plans: Vec::new(),
            resumed: Vec::new(),
            waits_for_retention: false,
        };
        if request.attempt_id != 0 {
            chosen.resumed = find_lost(dispatcher, request, now);
            if !chosen.resumed.is_empty() {
                return Ok(Some(chosen));
            }
        }
        // One batch is all or nothing: what does not fit it any more is left to the next receive.
        let mut room = Room::new(request.max, self.store.log().command_bytes_max());
        let mut more = false;
        for queue in dispatcher.rotation() {
            if !room.is_left() {
                more = true;
                break;
            }
            let plan = Look::new(self, dispatcher, request, queue)
                .for_what_fits(room, now)
                .await?;
            room = room.without(&plan);
            more |= plan.more;
            if !plan.is_empty() {
                chosen.plans.push((queue, plan));
            }
        }
        if more {
            dispatcher.wake(1);
        }
        // Here their reservations are safe, whatever becomes of the call.
        for (queue, plan) in chosen.plans.iter_mut().filter(|(_, plan)| !plan.dead.is_empty()) {
            let at = TopicQueue {
                topic: dispatcher.topic.id,
                queue: *queue,
            };
            let among_dead = lost::among_dead(self, at, plan).await?;
            lost::deliver_again(plan, &among_dead);
        }
        Ok((!chosen.plans.is_empty()).then_some(chosen))
    }
}

/// At most as many as the client asks for: the others stay held.
fn find_lost(dispatcher: &Dispatcher, request: &Receive, now: TimeMs) -> Vec<(QueueId, Standing, Vec<Take>)> {
    let (mut lost, mut room) = (Vec::new(), request.max);
    for (queue, shard) in dispatcher.subscription.shards.iter().enumerate() {
        let (standing, held) = shard.read(|shard| {
            let held = shard.held_by_attempt(&request.client, request.attempt_id, now);
            (shard.standing(), held)
        });
        let takes: Vec<Take> = held
            .into_iter()
            .take(room)
            .map(|(offset, group_hash)| Take { offset, group_hash })
            .collect();
        room -= takes.len();
        if !takes.is_empty() {
            lost.push((QueueId(queue as u32), standing, takes));
        }
    }
    lost
}

impl Chosen {
    /// Whether it repeats a delivery.
    pub(super) fn is_resumed(&self) -> bool {
        !self.resumed.is_empty()
    }

    /// Bytes in the log of what was chosen, at most.
    pub(super) fn bytes(&self) -> usize {
        if self.is_resumed() {
            // Their entries are not known yet. They have been one receive's before.
            return limits::RECEIVE_BYTES_MAX;
        }
        let offers = self.plans.iter().flat_map(|(_, plan)| &plan.offers);
        offers.map(|offer| offer.entry.size as usize).sum()
    }

    /// Proposes what was chosen, and reads what was got.
    pub(in crate::engine) async fn deliver(
        mut self,
        engine: &Arc<Engine>,
        request: &Receive,
    ) -> Result<(Vec<Received>, Passed), EngineError> {
        engine.take_back_first(self.ids()).await?;
        let results = engine.propose(self.commands(request)).await?;
        let resumed = self.is_resumed();
        let got = self.conclude(results);
        if self.waits_for_retention {
            self.dispatcher.alarm(self.now.saturating_add(LEAVING_RETRY_MS));
        }
        if !got.is_empty() {
            // Should their time be over already: its end woke a poll while they were reserved still.
            self.dispatcher
                .alarm(self.now.saturating_add(request.invisible_ms));
        }
        let (topic, group) = (&self.dispatcher.topic, &self.dispatcher.group);
        match read::read(engine, &got).await {
            Ok(read) => {
                let read = Read::sort(got, read, group.spec.fifo);
                if let Some(cause) = &read.cause {
                    engine.count_unreadable(topic, group, &read.unreadable, cause);
                }
                let passed = Passed {
                    unreadable: read.unreadable.len() as u64,
                    lost: engine.skip_lost(topic, group, read.lost).await,
                };
                // First what holds the message groups of those behind it.
                let later = hand_back(UNREADABLE_RETRY_MS, resumed);
                engine.change_all(read.unreadable, later).await;
                engine.change_all(read.behind, hand_back(0, resumed)).await;
                Ok((read.received, passed))
            }
            Err(error) => {
                let held: Vec<_> = got.iter().map(Got::held).collect();
                engine.count_unreadable(topic, group, &held, &error);
                engine
                    .change_all(held, hand_back(UNREADABLE_RETRY_MS, resumed))
                    .await;
                Err(error)
            }
        }
    }

    fn ids(&self) -> impl Iterator<Item = GroupQueueId> {
        let resumed = self.resumed.iter().map(|(queue, ..)| *queue);
        let queues = resumed.chain(self.plans.iter().map(|(queue, _)| *queue));
        queues.map(|queue| self.id(queue))
    }

    fn id(&self, queue: QueueId) -> GroupQueueId {
        let at = TopicQueue {
            topic: self.dispatcher.topic.id,
            queue,
        };
        GroupQueueId {
            group: self.dispatcher.group.id,
            at,
        }
    }

    fn commands(&self, request: &Receive) -> Batch {
        let deliver = |queue, taken, skipped, resume, standing| Deliver {
            id: self.id(queue),
            client: request.client.to_string(),
            attempt_id: request.attempt_id,
            auto_renew: request.auto_renew,
            resume,
            standing,
            invisible_ms: request.invisible_ms,
            taken,
            skipped,
        };
        let mut batch = Batch::new();
        for (queue, standing, takes) in &self.resumed {
            batch.push(deliver(*queue, takes.clone(), Vec::new(), true, *standing).encode(self.now));
        }
        for (queue, plan) in &self.plans {
            let taken = plan.offers.iter().map(|offer| offer.take).collect();
            batch.push(deliver(*queue, taken, plan.skipped.clone(), false, plan.standing).encode(self.now));
            for dead in &plan.dead {
                let (id, offset) = (self.id(*queue), dead.take.offset);
                batch.push(
                    DeadLetter {
                        id,
                        offset,
                        delivery: None,
                        entry: dead.entry,
                    }
                    .encode(self.now),
                );
            }
        }
        batch
    }

    /// Tells the cursors what apply answered; what it did not take is looked at again.
    fn conclude(&mut self, results: Results) -> Vec<Got> {
        let mut results = results.into_iter();
        let (mut got, mut others_may_go) = (Vec::new(), false);
        for (queue, ..) in std::mem::take(&mut self.resumed) {
            let Some(Ok(Done::Delivered(delivered))) = results.next() else {
                continue;
            };
            let id = self.id(queue);
            got.extend(
                delivered
                    .taken
                    .iter()
                    .map(|(offset, attempt)| Got::new(id, &delivered, *offset, *attempt)),
            );
        }
        for (queue, plan) in std::mem::take(&mut self.plans) {
            let id = self.id(queue);
            let mut cursor = self.dispatcher.cursors[queue.0 as usize].lock();
            match results.next() {
                Some(Ok(Done::Delivered(delivered))) => {
                    let mut taken = delivered.taken.iter().peekable();
                    for offer in &plan.offers {
                        match taken.next_if(|(offset, _)| *offset == offer.take.offset) {
                            Some((offset, attempt)) => {
                                cursor.applied(*offset);
                                let one = Got::new(id, &delivered, *offset, *attempt);
                                got.push(Got {
                                    entry: Some(offer.entry),
                                    ..one
                                });
                            }
                            None => {
                                cursor.give_back(offer.take.offset);
                                others_may_go = true;
                            }
                        }
                    }
                }
                _ => {
                    plan.offers
                        .iter()
                        .for_each(|offer| cursor.give_back(offer.take.offset));
                    plan.skipped
                        .iter()
                        .for_each(|span| cursor.look_again_from(span.start));
                    others_may_go = true;
                }
            }
            for dead in &plan.dead {
                let result = results.next();
                let is_leaving = matches!(result, Some(Err(Refused::Leaving(_))));
                match result {
                    Some(Ok(Done::DeadLettered { .. })) => cursor.applied(dead.take.offset),
                    _ => cursor.give_back(dead.take.offset),
                }
                // Apply has woken a poll for what waited behind the dead: too early, while they were reserved.
                others_may_go |= !is_leaving;
                self.waits_for_retention |= is_leaving;
            }
            others_may_go |= cursor.has_unlocked();
        }
        // Whoever looked while these were reserved has passed them by.
        if others_may_go {
            self.dispatcher.wake(1);
        }
        got
    }
}

impl Drop for Chosen {
    /// Nothing was proposed, or nobody knows: everything is looked at again.
    fn drop(&mut self) {
        for (queue, plan) in &self.plans {
            plan.give_back(&mut self.dispatcher.cursors[queue.0 as usize].lock());
        }
        if !self.plans.is_empty() {
            self.dispatcher.wake(1);
        }
    }
}

/// A message that apply gave to this receive.
pub(super) struct Got {
    pub(super) id: GroupQueueId,
    pub(super) offset: QueueOffset,
    delivery: sluice_core::ids::DeliveryId,
    attempt: u16,
    pub(super) entry: Option<QueueEntry>,
}

impl Got {
    fn new(id: GroupQueueId, delivered: &Delivered, offset: QueueOffset, attempt: u16) -> Self {
        Self {
            id,
            offset,
            delivery: delivered.delivery,
            attempt,
            entry: None,
        }
    }

    pub(super) fn held(&self) -> (GroupQueueId, SettleItem) {
        (
            self.id,
            SettleItem {
                offset: self.offset,
                delivery: self.delivery,
            },
        )
    }

    pub(super) fn with(self, entry: QueueEntry, command: Bytes) -> Received {
        let Self {
            id,
            offset,
            delivery,
            attempt,
            ..
        } = self;
        Received {
            id,
            offset,
            delivery,
            attempt,
            entry,
            command,
        }
    }
}
