//! The system under test: `State` and `Plan`, driven as the broker drives them.

use super::common::{START, message};
use super::compare;
use super::drain;
use super::node::Node;
use super::reference::{At, Expected, FIRST_GROUPS, Model};
use super::steps::{Ask, GroupSpec, Step};
use proptest_state_machine::StateMachineTest;
use sluice_core::command::{
    Backoff, Change, CreateGroup, CreateTopic, DeadLetter, EncodedCommand, Release, Settle, SettleItem,
    StartFrom, Types, encode_level,
};
use sluice_core::ids::{
    DeliveryId, GroupId, GroupQueueId, PhysicalOffset, QueueId, QueueOffset, TimeMs, TopicId, TopicQueue,
};
use sluice_core::plan::{Cursor, Plan, TagFilter};
use sluice_core::state::{Applied, Done, GroupQueue, Refused};
use std::collections::BTreeMap;

/// Faults that a harness can have on purpose.
pub struct Fault;

impl Fault {
    pub const NONE: u8 = 0;
    pub const ACK_ENDS_ANOTHER: u8 = 1;
    pub const ACK_IS_LOST: u8 = 2;
    pub const ATTEMPT_NOT_COUNTED: u8 = 3;
    pub const RESERVATION_FORGOTTEN: u8 = 4;
    pub const NEVER_GIVEN_BACK: u8 = 5;
    pub const RESTART_FORGETS: u8 = 6;
    pub const MOVE_IS_UNHEARD: u8 = 7;
    pub const CHOICE_OUTLIVES_MOVE: u8 = 8;
    pub const CARRY_IS_LEFT_OUT: u8 = 9;
}

/// A receive between its choice and its answer.
pub struct Waiting {
    pub id: GroupQueueId,
    pub ask: Ask,
    pub resume: bool,
    pub plan: Plan,
    pub filter: TagFilter,
}

pub struct Machine<const FAULT: u8> {
    pub node: Node,
    pub cursors: BTreeMap<GroupQueueId, Cursor>,
    pub waiting: Vec<Waiting>,
    /// The model's numbers of deliveries, translated.
    pub deliveries: Vec<DeliveryId>,
    /// How often each message was finished, and that it was not by a filter.
    pub finished: BTreeMap<(GroupQueueId, u64), u32>,
    pub wall: TimeMs,
    /// Where records were written, in order.
    pub written: Vec<PhysicalOffset>,
}

pub fn id_of(at: At) -> GroupQueueId {
    GroupQueueId {
        group: GroupId(at.0 as u32),
        at: queue_of(at.1, at.2),
    }
}

fn queue_of(topic: usize, queue: usize) -> TopicQueue {
    TopicQueue {
        topic: TopicId(topic as u32),
        queue: QueueId(queue as u32),
    }
}

pub fn tag_text(tag: u8) -> String {
    format!("tag-{tag}")
}

fn create_topic(name: &str, queues: u32, time: TimeMs) -> EncodedCommand {
    let spec = CreateTopic {
        name: name.to_owned(),
        queues,
        types: Types::ALL,
    };
    spec.encode(time)
}

fn create_group(name: &str, spec: &GroupSpec, time: TimeMs) -> EncodedCommand {
    let start_from = if spec.latest {
        StartFrom::Latest
    } else {
        StartFrom::Earliest
    };
    let spec = CreateGroup {
        name: name.to_owned(),
        fifo: spec.fifo,
        max_attempts: spec.max_attempts,
        backoff: Backoff::default(),
        start_from,
    };
    spec.encode(time)
}

impl<const FAULT: u8> Machine<FAULT> {
    fn start() -> Self {
        let mut node = Node::new();
        node.forgets = FAULT == Fault::RESTART_FORGETS;
        let mut commands = vec![
            encode_level(START, 1),
            encode_level(START, 2),
            encode_level(START, 3),
            create_topic("topic-0", 1, START),
        ];
        for (i, spec) in FIRST_GROUPS.iter().enumerate() {
            commands.push(create_group(&format!("group-{i}"), spec, START));
        }
        assert!(node.propose(commands).iter().all(Result::is_ok));
        Self {
            node,
            cursors: BTreeMap::new(),
            waiting: Vec::new(),
            deliveries: Vec::new(),
            finished: BTreeMap::new(),
            wall: START,
            written: Vec::new(),
        }
    }

    /// Reads the queue as readers do.
    pub fn look<T>(&self, id: GroupQueueId, look: impl FnOnce(&GroupQueue) -> T) -> T {
        let subscription = self.node.state.tables().subscription(id.group, id.at.topic);
        subscription.unwrap().shards[id.at.queue.0 as usize].read(look)
    }

    pub fn tail(&self, at: TopicQueue) -> QueueOffset {
        let topic = self.node.state.tables().topic_by_id(at.topic).unwrap();
        topic.tail(at.queue).unwrap()
    }

    /// The proposer's time for choosing: never behind state's.
    pub fn now(&self) -> TimeMs {
        self.wall.max(self.node.state.now())
    }

    fn send(&mut self, model: &Model, step: &Step) -> Expected {
        let Step::Send {
            topic,
            queue,
            group,
            tag,
        } = step
        else {
            return Expected::Nothing;
        };
        let (topic, queue) = model.queue_of(*topic, *queue);
        let (tag, group) = (tag.map(tag_text), group.map(|group| format!("order-{group}")));
        let number = model.sent - 1;
        let at = queue_of(topic, queue);
        let command = message(at, self.wall, tag.as_deref(), group.as_deref(), number);
        match self.node.propose_one(command) {
            Ok(Done::Appended(offset)) => {
                let entry = self.node.queues.current(at, offset).unwrap();
                self.written.push(entry.physical);
                Expected::Offset(offset.0 as usize)
            }
            Err(Refused::Closed(_)) => Expected::Closed,
            other => panic!("an offset, not {other:?}"),
        }
    }

    pub fn is_buried(&mut self, id: GroupQueueId, offset: u64, answer: &Applied) -> bool {
        match answer {
            Ok(Done::DeadLettered { .. }) => {
                *self.finished.entry((id, offset)).or_default() += 1;
                true
            }
            Err(Refused::NotHeld | Refused::Leaving(_)) => false,
            other => panic!("a dead letter, not {other:?}"),
        }
    }

    fn settle(&mut self, model: &Model, picks: &[u8], change: Change) -> Expected {
        // The model has added the new handles behind those that the picks meant.
        let Expected::Settled(accepted) = &model.expected else {
            return Expected::Nothing;
        };
        let new = match change {
            Change::Done => 0,
            Change::VisibleIn(_) | Change::HandBack(_) => accepted.iter().filter(|yes| **yes).count(),
        };
        let mut before = model.clone();
        before.handles.truncate(model.handles.len() - new);
        let handles = before.picked(picks, change);
        let id = id_of(handles[0].at);
        let item = |handle: &super::reference::Handle| SettleItem {
            offset: QueueOffset(handle.offset as u64),
            delivery: self.deliveries[handle.token],
        };
        let items: Vec<SettleItem> = handles.iter().map(item).collect();
        let Ok(Done::Settled { delivery, accepted }) = self.settle_items(id, change, &items) else {
            panic!("a settlement")
        };
        self.deliveries.push(delivery);
        Expected::Settled(accepted.into_vec())
    }

    pub fn settle_items(&mut self, id: GroupQueueId, change: Change, items: &[SettleItem]) -> Applied {
        let asked = match (FAULT, change) {
            (Fault::ACK_IS_LOST, Change::Done) => Change::VisibleIn(60_000),
            _ => change,
        };
        let command = Settle {
            id,
            change: asked,
            items: items.to_vec(),
        };
        let answer = self.node.propose_one(command.encode(self.wall));
        let Ok(Done::Settled { accepted, .. }) = &answer else {
            return answer;
        };
        for (item, yes) in items.iter().zip(accepted) {
            if *yes && change == Change::Done {
                *self.finished.entry((id, item.offset.0)).or_default() += 1;
            }
        }
        if FAULT == Fault::ACK_ENDS_ANOTHER && change == Change::Done {
            let next = self.look(id, |queue| {
                let first = queue.all_pending().next();
                first.map(|(offset, pending)| SettleItem {
                    offset,
                    delivery: pending.delivery,
                })
            });
            let items = next.into_iter().collect();
            let command = Settle { id, change, items };
            self.node.propose_one(command.encode(self.wall)).unwrap();
        }
        answer
    }

    fn give_up(&mut self, model: &Model, pick: u8) -> Expected {
        let Some(handle) = model.handle(pick) else {
            return Expected::Nothing;
        };
        let id = id_of(handle.at);
        let command = DeadLetter {
            id,
            offset: QueueOffset(handle.offset as u64),
            delivery: Some(self.deliveries[handle.token]),
            entry: self
                .node
                .queues
                .current(id.at, QueueOffset(handle.offset as u64))
                .unwrap_or_default(),
        };
        let answer = self.node.propose_one(command.encode(self.wall));
        Expected::GaveUp(self.is_buried(id, handle.offset as u64, &answer))
    }

    fn release(&mut self, model: &Model, hold: u8, client: u8, visible_in_ms: u64) -> Expected {
        let Some(at) = model.hold(hold) else {
            return Expected::Nothing;
        };
        let command = Release {
            id: id_of(at),
            client: format!("client-{client}"),
            visible_in_ms,
        };
        match self.node.propose_one(command.encode(self.wall)) {
            Ok(Done::Released(count)) => Expected::Released(count),
            other => panic!("a release, not {other:?}"),
        }
    }

    fn create(&mut self, command: EncodedCommand) -> Expected {
        match self.node.propose_one(command) {
            Ok(Done::Topic(_) | Done::Group(_)) => Expected::Exists(false),
            Err(Refused::TopicExists(_) | Refused::GroupExists(_)) => Expected::Exists(true),
            other => panic!("a topic or group, not {other:?}"),
        }
    }
}

impl<const FAULT: u8> StateMachineTest for Machine<FAULT> {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(_: &Model) -> Self {
        Self::start()
    }

    fn apply(mut machine: Self, model: &Model, step: Step) -> Self {
        machine.wall = model.wall;
        let wall = machine.wall;
        let answer = match &step {
            Step::CreateTopic { name, queues } => {
                machine.create(create_topic(&format!("topic-{name}"), *queues, wall))
            }
            Step::CreateGroup { name, spec } => {
                machine.create(create_group(&format!("group-{name}"), spec, wall))
            }
            Step::Send { .. } => machine.send(model, &step),
            Step::Plan(_) => {
                machine.plan(&model.plans[model.plans.len() - 1], model);
                Expected::Planned
            }
            Step::Conclude { plan, fate } => machine.conclude(*plan, *fate),
            Step::Settle { picks, change } => machine.settle(model, picks, *change),
            Step::GiveUp { pick } => machine.give_up(model, *pick),
            Step::Release {
                hold,
                client,
                visible_in_ms,
            } => machine.release(model, *hold, *client, *visible_in_ms),
            Step::Grow { .. } | Step::Close { .. } => machine.put_topic(model, &step),
            Step::PutGroup { .. } => machine.put_group(model, &step),
            Step::DeleteTopic { .. } | Step::DeleteGroup { .. } => machine.delete(model),
            Step::Move { hold, to } => machine.move_hold(model, *hold, *to),
            Step::Retain { .. } => machine.retain(model),
            Step::Tick(_) => Expected::Nothing,
            Step::Snapshot => {
                machine.node.checkpoint();
                Expected::Nothing
            }
            Step::Restart => {
                machine.node.restart();
                machine.cursors.clear();
                machine.waiting.clear();
                Expected::Nothing
            }
        };
        assert_eq!(answer, model.expected, "after {step:?}");
        machine
    }

    fn check_invariants(machine: &Self, model: &Model) {
        compare::state(machine, model);
    }

    fn teardown(machine: Self, model: Model) {
        drain::to_the_end(machine, &model);
    }
}
