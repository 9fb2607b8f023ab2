//! Choosing what a receive is offered. Each test drives a [`Queue`]: one queue of one group, with its entries, its
//! cursor and a clock.

use super::*;
use crate::command::{
    Change, CreateGroup, CreateTopic, DeadLetter, Deliver, EncodedCommand, NewMessage, Release, Settle,
    SettleItem, Subscribe, Types,
};
use crate::ids::{
    DeliveryId, GroupId, GroupQueueId, PhysicalOffset, QueueId, Term, TimeMs, TopicId, TopicQueue,
};
use crate::limits;
use crate::record::NewRecord;
use crate::state::{Applied, Changed, CommandAt, Delivered, Done, Effects, GroupQueue, State};
use std::cell::Cell;
use std::sync::Arc;

mod bounds;
mod choice;
mod moved;
mod order;
mod reservation;
mod stretch;
mod tags;

const START: TimeMs = 1_795_000_000_000;
const HIDDEN: TimeMs = 60_000;
const MAX_ATTEMPTS: u16 = 3;

/// The queue's entries, as the store would give them; reads can be made to fail.
#[derive(Default)]
struct Entries {
    all: Vec<QueueEntry>,
    /// Message groups that may go on.
    unlocked: Vec<u32>,
    reads: Cell<usize>,
    /// The read that fails, counted from 1.
    fails_at: Cell<usize>,
}

#[derive(Debug, PartialEq)]
struct Unreadable;

impl EntrySource for Entries {
    type Error = Unreadable;

    fn entries(&self, from: QueueOffset, max: usize, out: &mut Vec<QueueEntry>) -> Result<(), Unreadable> {
        self.reads.set(self.reads.get() + 1);
        if self.reads.get() == self.fails_at.get() {
            return Err(Unreadable);
        }
        out.extend(self.all.iter().skip(from.0 as usize).take(max));
        Ok(())
    }
}

impl Effects for Entries {
    fn entry(&mut self, _: TopicQueue, _: QueueOffset, entry: &QueueEntry) {
        self.all.push(*entry);
    }

    fn ready(&mut self, _: GroupQueueId, _: TimeMs) {}

    fn unlocked(&mut self, _: GroupQueueId, group_hash: u32) {
        self.unlocked.push(group_hash);
    }

    fn moved(&mut self, _: GroupQueueId) {}

    fn changed(&mut self, _: Changed) {}

    fn carried(&mut self, _: TopicQueue, _: QueueOffset, _: &QueueEntry) {}

    fn trimmed(&mut self, _: TopicQueue, _: QueueOffset) {}

    fn dropped(&mut self, _: TopicQueue, _: QueueOffset) {}
}

/// One queue of one group.
struct Queue {
    state: State,
    entries: Entries,
    cursor: Cursor,
    clock: TimeMs,
    filter: TagFilter,
}

const ID: GroupQueueId = GroupQueueId {
    group: GroupId(0),
    at: TopicQueue {
        topic: TopicId(0),
        queue: QueueId(0),
    },
};

impl Queue {
    fn new(fifo: bool) -> Self {
        let mut queue = Self {
            state: State::new(),
            entries: Entries::default(),
            cursor: Cursor::default(),
            clock: START,
            filter: TagFilter::default(),
        };
        let topic = CreateTopic {
            name: "orders".to_owned(),
            queues: 1,
            types: Types::ALL,
        };
        let group = CreateGroup {
            fifo,
            max_attempts: MAX_ATTEMPTS,
            ..CreateGroup::on_first_use("workers")
        };
        let subscribe = Subscribe {
            group: ID.group,
            topic: ID.at.topic,
        };
        for command in [topic.encode(START), group.encode(START), subscribe.encode(START)] {
            queue.run(&command).unwrap();
        }
        queue
    }

    fn run(&mut self, command: &EncodedCommand) -> Applied {
        let at = CommandAt {
            index: self.state.next_index(),
            place: 0,
            physical: PhysicalOffset(self.state.next_index().0 * 4096),
        };
        let answer = self.state.apply(at, command.as_bytes(), &mut self.entries);
        self.state.end_frame(Term(1), at.index);
        self.entries
            .unlocked
            .drain(..)
            .for_each(|group_hash| self.cursor.unlock(group_hash));
        answer
    }

    /// Sends one message each of these tags; "" is none.
    fn send_tags(&mut self, tags: &[&str]) {
        for tag in tags {
            self.send(Some(*tag).filter(|tag| !tag.is_empty()), None);
        }
    }

    /// Sends one message each of these message groups; "" is none.
    fn send_groups(&mut self, groups: &[&str]) {
        for group in groups {
            self.send(None, Some(*group).filter(|group| !group.is_empty()));
        }
    }

    fn send(&mut self, tag: Option<&str>, message_group: Option<&str>) {
        let host = "127.0.0.1:1".parse().unwrap();
        let record = NewRecord {
            topic: "orders",
            queue: 0,
            body: b"",
            properties: b"",
            born_ms: 1,
            born_host: host,
            store_ms: self.clock,
            store_host: host,
        };
        let topic = ID.at.topic;
        let message = NewMessage {
            topic,
            tag,
            message_group,
            record,
        };
        self.run(&message.encode()).unwrap();
    }

    fn tail(&self) -> QueueOffset {
        QueueOffset(self.entries.all.len() as u64)
    }

    fn view(&self) -> Arc<GroupQueue> {
        let subscription = self.state.tables().subscription(ID.group, ID.at.topic).unwrap();
        subscription.shards[0].read(|queue| Arc::new(queue.clone()))
    }

    fn try_select(&mut self, max: usize) -> Result<Plan, Unreadable> {
        self.try_select_in(Room::new(max, limits::BATCH_BYTES_MAX))
    }

    fn try_select_in(&mut self, room: Room) -> Result<Plan, Unreadable> {
        let want = Want {
            room,
            now: self.clock,
            tail: self.tail(),
            filter: &self.filter,
            max_attempts: MAX_ATTEMPTS,
        };
        Plan::select(&self.view(), &mut self.cursor, &self.entries, want)
    }

    fn select(&mut self, max: usize) -> Plan {
        self.try_select(max).unwrap()
    }

    /// Proposes the plan's delivery, and tells the cursor what became of it.
    fn deliver(&mut self, plan: &Plan) -> Delivered {
        let command = delivery(plan);
        let Ok(Done::Delivered(delivered)) = self.run(&command.encode(self.clock)) else {
            panic!("a delivery")
        };
        for offer in &plan.offers {
            let offset = offer.take.offset;
            if delivered.taken.iter().any(|(taken, _)| *taken == offset) {
                self.cursor.applied(offset);
            } else {
                self.cursor.give_back(offset);
            }
        }
        delivered
    }

    /// Selects and delivers.
    fn receive(&mut self, max: usize) -> Delivered {
        let plan = self.select(max);
        self.deliver(&plan)
    }

    fn settle(&mut self, change: Change, offset: u64, delivery: DeliveryId) {
        let item = SettleItem {
            offset: QueueOffset(offset),
            delivery,
        };
        let command = Settle {
            id: ID,
            change,
            items: vec![item],
        };
        let done = self.run(&command.encode(self.clock));
        assert!(matches!(done, Ok(Done::Settled { accepted, .. }) if accepted[..] == [true]));
    }

    fn release(&mut self) {
        let command = Release {
            id: ID,
            client: "c".to_owned(),
            visible_in_ms: 0,
        };
        self.run(&command.encode(self.clock)).unwrap();
    }

    /// What a restart leaves: state, and a cursor that knows nothing.
    fn restart(&mut self) {
        self.cursor = Cursor::default();
    }
}

fn delivery(plan: &Plan) -> Deliver {
    Deliver {
        standing: plan.standing,
        id: ID,
        client: "c".to_owned(),
        attempt_id: 0,
        auto_renew: true,
        resume: false,
        invisible_ms: HIDDEN,
        taken: plan.offers.iter().map(|offer| offer.take).collect(),
        skipped: plan.skipped.clone(),
    }
}

/// What a receive would propose for the plan.
fn commands(plan: &Plan) -> Vec<EncodedCommand> {
    let bury = |dead: &Offer| DeadLetter {
        id: ID,
        offset: dead.take.offset,
        delivery: None,
        entry: dead.entry,
    };
    let dead = plan.dead.iter().map(|dead| bury(dead).encode(START));
    std::iter::once(delivery(plan).encode(START))
        .chain(dead)
        .collect()
}

fn offered(plan: &Plan) -> Vec<u64> {
    plan.offers.iter().map(|offer| offer.take.offset.0).collect()
}

fn dead(plan: &Plan) -> Vec<u64> {
    plan.dead.iter().map(|offer| offer.take.offset.0).collect()
}

fn skipped(plan: &Plan) -> Vec<(u64, u64)> {
    let span = |span: &crate::command::Span| (span.start.0, span.len);
    plan.skipped.iter().map(span).collect()
}

fn taken(delivered: &Delivered) -> Vec<u64> {
    delivered.taken.iter().map(|(offset, _)| offset.0).collect()
}
