//! The machine's receives: choose, propose, and tell the cursor.

use super::common::Queues;
use super::compare;
use super::machine::{Fault, Machine, Waiting, id_of, tag_text};
use super::reference::{Expected, Model, Planned};
use super::steps::{Ask, Fate, GroupSpec};
use sluice_core::command::{DeadLetter, Deliver, EncodedCommand, Subscribe, Take};
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{GroupQueueId, QueueOffset, TopicQueue};
use sluice_core::limits;
use sluice_core::plan::{Cursor, EntrySource, Offer, Plan, Room, TagFilter, Want};
use sluice_core::state::{Delivered, Done, GroupQueue};
use std::convert::Infallible;

/// The entries of one queue.
struct Entries<'a> {
    queues: &'a Queues,
    at: TopicQueue,
}

impl EntrySource for Entries<'_> {
    type Error = Infallible;

    fn entries(&self, from: QueueOffset, max: usize, out: &mut Vec<QueueEntry>) -> Result<(), Infallible> {
        let all = (from.0..).map(|offset| self.queues.current(self.at, QueueOffset(offset)));
        // Up to the first that is gone.
        out.extend(all.take(max).map_while(|entry| entry));
        Ok(())
    }
}

fn client_name(ask: &Ask) -> String {
    format!("client-{}", ask.client)
}

/// The filter that a group receives with.
pub fn filter_of(spec: &GroupSpec) -> TagFilter {
    let expression = spec.filter.map_or_else(|| "*".to_owned(), tag_text);
    TagFilter::parse(&expression).unwrap()
}

impl<const FAULT: u8> Machine<FAULT> {
    pub fn plan(&mut self, planned: &Planned, model: &Model) {
        let (id, ask) = (id_of(planned.at), planned.ask.clone());
        let (group, topic) = (id.group, id.at.topic);
        if self.node.state.tables().subscription(group, topic).is_none() {
            let done = self
                .node
                .propose_one(Subscribe { group, topic }.encode(self.wall));
            assert_eq!(done, Ok(Done::Subscribed));
        }
        let spec = &model.groups[planned.at.0].1;
        let (client, attempt) = (client_name(&ask), u64::from(ask.attempt));
        let held = match attempt {
            0 => Vec::new(),
            attempt => self.look(id, |queue| queue.held_by_attempt(&client, attempt, self.now())),
        };
        let resume = !held.is_empty();
        let plan = if resume {
            let standing = self.look(id, GroupQueue::standing);
            let plan = self.resume(id, &held);
            Plan { standing, ..plan }
        } else {
            self.select(id, ask.max, spec)
        };
        compare::plan(planned, &plan, resume);
        let filter = filter_of(spec);
        self.waiting.push(Waiting {
            id,
            ask,
            resume,
            plan,
            filter,
        });
    }

    pub fn resume(&self, id: GroupQueueId, held: &[(QueueOffset, u32)]) -> Plan {
        let queues = &self.node.queues;
        let offer = |(offset, group_hash): &(QueueOffset, u32)| Offer {
            take: Take {
                offset: *offset,
                group_hash: *group_hash,
            },
            entry: queues.current(id.at, *offset).unwrap(),
        };
        Plan {
            offers: held.iter().map(offer).collect(),
            ..Plan::default()
        }
    }

    pub fn select(&mut self, id: GroupQueueId, max: usize, spec: &GroupSpec) -> Plan {
        let filter = filter_of(spec);
        let want = Want {
            room: Room::new(max, limits::BATCH_BYTES_MAX),
            now: self.now(),
            tail: self.tail(id.at),
            filter: &filter,
            max_attempts: spec.max_attempts,
        };
        let (queues, at) = (&self.node.queues, id.at);
        let entries = Entries { queues, at };
        let tables = self.node.state.tables();
        let shards = tables.subscription(id.group, id.at.topic).unwrap().shards;
        for (of, group_hash) in self.node.unlocked.drain(..) {
            self.cursors.entry(of).or_default().unlock(group_hash);
        }
        for of in self.node.moved.drain(..) {
            if FAULT != Fault::MOVE_IS_UNHEARD {
                self.cursors.entry(of).or_default().start_over();
            }
        }
        let cursor = self.cursors.entry(id).or_default();
        if FAULT == Fault::RESERVATION_FORGOTTEN {
            *cursor = Cursor::default();
        }
        let Ok(plan) =
            shards[id.at.queue.0 as usize].read(|queue| Plan::select(queue, cursor, &entries, want));
        plan
    }

    pub fn conclude(&mut self, plan: u8, fate: Fate) -> Expected {
        if self.waiting.is_empty() {
            return Expected::Nothing;
        }
        let waiting = self.waiting.remove(plan as usize % self.waiting.len());
        let (id, plan) = (waiting.id, &waiting.plan);
        if fate == Fate::Failed {
            self.give_back(&waiting);
            return Expected::Nothing;
        }
        let deliver = Deliver {
            id,
            client: client_name(&waiting.ask),
            attempt_id: u64::from(waiting.ask.attempt),
            auto_renew: waiting.ask.renewed,
            resume: waiting.resume,
            standing: match FAULT {
                Fault::CHOICE_OUTLIVES_MOVE => self.look(id, GroupQueue::standing),
                _ => plan.standing,
            },
            invisible_ms: waiting.ask.invisible_ms,
            taken: plan.offers.iter().map(|offer| offer.take).collect(),
            skipped: plan.skipped.clone(),
        };
        let (dead, delivered) = self.deliver(plan, &deliver, &waiting.filter);
        if fate == Fate::Unknown {
            self.give_back(&waiting);
        } else if !waiting.resume {
            self.applied(id, plan, &dead, &delivered);
        }
        self.deliveries.push(delivered.delivery);
        let attempt = |attempt: u16| {
            if FAULT == Fault::ATTEMPT_NOT_COUNTED {
                1
            } else {
                attempt
            }
        };
        let taken = delivered.taken.iter();
        Expected::Concluded {
            dead,
            taken: taken
                .map(|(offset, count)| (offset.0 as usize, attempt(*count)))
                .collect(),
        }
    }

    /// Proposes the dead letters and the delivery of a plan in one frame, and looks at the order of what goes out.
    pub fn deliver(&mut self, plan: &Plan, deliver: &Deliver, filter: &TagFilter) -> (Vec<bool>, Delivered) {
        let id = deliver.id;
        let bury = |offer: &Offer| {
            let dead = DeadLetter {
                id,
                offset: offer.take.offset,
                delivery: None,
                entry: offer.entry,
            };
            dead.encode(self.wall)
        };
        let mut commands: Vec<EncodedCommand> = plan.dead.iter().map(bury).collect();
        commands.push(deliver.encode(self.wall));
        let before = self.look(id, GroupQueue::clone);
        let mut answers = self.node.propose(commands);
        let Some(Ok(Done::Delivered(delivered))) = answers.pop() else {
            panic!("a delivery")
        };
        if !deliver.resume {
            let entries = self.node.queues.of(id.at);
            compare::order(&before, entries, &delivered, &plan.dead, filter);
        }
        let mut dead = Vec::new();
        for (offer, answer) in plan.dead.iter().zip(answers) {
            dead.push(self.is_buried(id, offer.take.offset.0, &answer));
        }
        (dead, delivered)
    }

    /// The proposer hears what became of its plan.
    pub fn applied(&mut self, id: GroupQueueId, plan: &Plan, dead: &[bool], delivered: &Delivered) {
        let cursor = self.cursors.entry(id).or_default();
        let is_taken = |offset| delivered.taken.iter().any(|(taken, _)| *taken == offset);
        let offers = plan
            .offers
            .iter()
            .map(|offer| (offer, is_taken(offer.take.offset)));
        for (offer, done) in offers.chain(plan.dead.iter().zip(dead.iter().copied())) {
            if done || FAULT == Fault::NEVER_GIVEN_BACK {
                cursor.applied(offer.take.offset);
            } else {
                cursor.give_back(offer.take.offset);
            }
        }
    }

    /// What repeats a delivery has reserved nothing: the reservation there may be is another's.
    fn give_back(&mut self, waiting: &Waiting) {
        if FAULT != Fault::NEVER_GIVEN_BACK && !waiting.resume {
            waiting
                .plan
                .give_back(self.cursors.entry(waiting.id).or_default());
        }
    }
}
