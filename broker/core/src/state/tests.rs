//! Apply, command by command. Each test drives a [`Bench`]: a state with a clock and a log that the test holds.

use super::*;
use crate::command::{
    Change, CreateGroup, CreateTopic, DeadLetter, Deliver, EncodedCommand, NewMessage, Release, Settle,
    SettleItem, Span, Subscribe, Take, Types, encode_level,
};
use crate::hash;
use crate::ids::{DeliveryId, GroupId, QueueId, TopicId};
use crate::record::NewRecord;

mod administer;
mod dead_letter;
mod deleting;
mod delivery;
mod digest;
mod expire;
mod fifo;
mod floor;
mod groups;
mod level_2;
mod meta;
mod refusal;
mod retention;
mod snapshot;
mod unanswered;

const START: TimeMs = 1_795_000_000_000;
const HIDDEN: TimeMs = 60_000;

/// What apply made happen outside of state.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    entries: Vec<(TopicQueue, QueueOffset, QueueEntry)>,
    ready: Vec<(GroupQueueId, TimeMs)>,
    unlocked: Vec<(GroupQueueId, u32)>,
    moved: Vec<GroupQueueId>,
    changed: Vec<Changed>,
    carried: Vec<(TopicQueue, QueueOffset, QueueEntry)>,
    trimmed: Vec<(TopicQueue, QueueOffset)>,
    dropped: Vec<(TopicQueue, QueueOffset)>,
}

impl Effects for Seen {
    fn entry(&mut self, at: TopicQueue, offset: QueueOffset, entry: &QueueEntry) {
        self.entries.push((at, offset, *entry));
    }

    fn ready(&mut self, id: GroupQueueId, when: TimeMs) {
        self.ready.push((id, when));
    }

    fn unlocked(&mut self, id: GroupQueueId, group_hash: u32) {
        self.unlocked.push((id, group_hash));
    }

    fn moved(&mut self, id: GroupQueueId) {
        self.moved.push(id);
    }

    fn changed(&mut self, what: Changed) {
        self.changed.push(what);
    }

    fn carried(&mut self, at: TopicQueue, offset: QueueOffset, entry: &QueueEntry) {
        self.carried.push((at, offset, *entry));
    }

    fn trimmed(&mut self, at: TopicQueue, first: QueueOffset) {
        self.trimmed.push((at, first));
    }

    fn dropped(&mut self, at: TopicQueue, offset: QueueOffset) {
        self.dropped.push((at, offset));
    }
}

/// A state under test: one command a frame, a clock, and what was seen.
struct Bench {
    state: State,
    clock: TimeMs,
    physical: u64,
    seen: Seen,
    log: Vec<EncodedCommand>,
    /// The group and queue that the short helpers mean.
    id: GroupQueueId,
}

impl Bench {
    /// Level 1 and nothing else.
    fn empty() -> Self {
        let mut bench = Self::blank();
        bench.run(encode_level(START, 1)).unwrap();
        bench
    }

    /// Like [`Self::with_group`], at level 2.
    fn at_level_2(fifo: bool) -> Self {
        let mut bench = Self::with_group(fifo);
        bench.run(encode_level(START, 2)).unwrap();
        bench
    }

    /// Not even a level.
    fn blank() -> Self {
        Self {
            state: State::new(),
            clock: START,
            physical: 0,
            seen: Seen::default(),
            log: Vec::new(),
            id: GroupQueueId::default(),
        }
    }

    /// Topic `orders` of two queues, and group `workers` (3 attempts) that has subscribed to it.
    fn with_group(fifo: bool) -> Self {
        let mut bench = Self::empty();
        let topic = bench.topic("orders", 2);
        let group = bench.group("workers", fifo);
        let at = TopicQueue {
            topic,
            queue: QueueId(0),
        };
        bench.id = GroupQueueId { group, at };
        bench.subscribe(group, topic);
        bench
    }

    fn run(&mut self, command: EncodedCommand) -> Applied {
        let answer = self.run_bytes(command.as_bytes());
        self.log.push(command);
        answer
    }

    fn run_bytes(&mut self, bytes: &[u8]) -> Applied {
        let at = CommandAt {
            index: self.state.next_index(),
            place: 0,
            physical: PhysicalOffset(self.physical),
        };
        let answer = self.state.apply(at, bytes, &mut self.seen);
        self.state.end_frame(Term(1), at.index);
        self.physical += (bytes.len() as u64 + 48).next_multiple_of(8);
        answer
    }

    fn topic(&mut self, name: &str, queues: u32) -> TopicId {
        match self.run(topic_spec(name, queues).encode(self.clock)) {
            Ok(Done::Topic(id)) => id,
            other => panic!("a topic, not {other:?}"),
        }
    }

    fn group(&mut self, name: &str, fifo: bool) -> GroupId {
        match self.run(group_spec(name, fifo).encode(self.clock)) {
            Ok(Done::Group(id)) => id,
            other => panic!("a group, not {other:?}"),
        }
    }

    fn subscribe(&mut self, group: GroupId, topic: TopicId) {
        let done = self.run(Subscribe { group, topic }.encode(self.clock));
        assert_eq!(done, Ok(Done::Subscribed));
    }

    /// Appends a message without message group to the bench's queue.
    fn send(&mut self) -> QueueOffset {
        self.send_to(self.id.at, None)
    }

    /// Appends one message of each message group in `groups`; "" is none.
    fn send_groups(&mut self, groups: &[&str]) {
        for group in groups {
            self.send_to(self.id.at, Some(*group).filter(|group| !group.is_empty()));
        }
    }

    fn send_to(&mut self, at: TopicQueue, message_group: Option<&str>) -> QueueOffset {
        match self.run(message(at, self.clock, message_group)) {
            Ok(Done::Appended(offset)) => offset,
            other => panic!("an offset, not {other:?}"),
        }
    }

    /// Delivers offsets to `client`, hidden for [`HIDDEN`].
    fn deliver(&mut self, client: &str, offsets: &[u64]) -> Delivered {
        self.deliver_with(self.taking(client, offsets))
    }

    fn taking(&self, client: &str, offsets: &[u64]) -> Deliver {
        let take = |offset: &u64| Take {
            offset: QueueOffset(*offset),
            group_hash: self.group_hash(*offset),
        };
        Deliver {
            id: self.id,
            client: client.to_owned(),
            attempt_id: 0,
            auto_renew: false,
            resume: false,
            standing: self.queue().standing(),
            invisible_ms: HIDDEN,
            taken: offsets.iter().map(take).collect(),
            skipped: Vec::new(),
        }
    }

    fn deliver_with(&mut self, command: Deliver) -> Delivered {
        match self.run(command.encode(self.clock)) {
            Ok(Done::Delivered(delivered)) => delivered,
            other => panic!("a delivery, not {other:?}"),
        }
    }

    fn group_hash(&self, offset: u64) -> u32 {
        let mut entries = self.seen.entries.iter();
        let found = entries.find(|(at, at_offset, _)| (*at, at_offset.0) == (self.id.at, offset));
        found.map_or(0, |(_, _, entry)| entry.group_hash)
    }

    fn settle(&mut self, change: Change, items: &[(u64, DeliveryId)]) -> (DeliveryId, Vec<bool>) {
        let item = |(offset, delivery): &(u64, DeliveryId)| SettleItem {
            offset: QueueOffset(*offset),
            delivery: *delivery,
        };
        let command = Settle {
            id: self.id,
            change,
            items: items.iter().map(item).collect(),
        };
        match self.run(command.encode(self.clock)) {
            Ok(Done::Settled { delivery, accepted }) => (delivery, accepted.into_vec()),
            other => panic!("a settlement, not {other:?}"),
        }
    }

    fn ack(&mut self, offset: u64, delivery: DeliveryId) -> bool {
        self.settle(Change::Done, &[(offset, delivery)]).1 == [true]
    }

    fn release(&mut self, client: &str, visible_in_ms: u64) -> u32 {
        let command = Release {
            id: self.id,
            client: client.to_owned(),
            visible_in_ms,
        };
        match self.run(command.encode(self.clock)) {
            Ok(Done::Released(count)) => count,
            other => panic!("a release, not {other:?}"),
        }
    }

    fn dead_letter(&mut self, offset: u64, delivery: Option<DeliveryId>) -> Applied {
        let mut entries = self.seen.entries.iter();
        let found = entries.find(|(at, at_offset, _)| (*at, at_offset.0) == (self.id.at, offset));
        let entry = found.map(|(_, _, entry)| *entry).unwrap_or_default();
        let command = DeadLetter {
            id: self.id,
            offset: QueueOffset(offset),
            delivery,
            entry,
        };
        self.run(command.encode(self.clock))
    }

    fn queue(&self) -> Arc<GroupQueue> {
        let subscription = self.state.tables().subscription(self.id.group, self.id.at.topic);
        subscription.unwrap().shards[self.id.at.queue.0 as usize].read(|queue| Arc::new(queue.clone()))
    }

    fn lag(&self) -> (u64, u64) {
        let topic = self.state.tables().topic_by_id(self.id.at.topic).unwrap();
        let lag = self
            .queue()
            .lag(topic.tail(self.id.at.queue).unwrap(), self.state.now());
        (lag.ready, lag.in_flight)
    }

    fn attempt(&self, offset: u64) -> Option<u16> {
        self.queue()
            .pending(QueueOffset(offset))
            .map(|pending| pending.attempt)
    }
}

fn topic_spec(name: &str, queues: u32) -> CreateTopic {
    CreateTopic {
        name: name.to_owned(),
        queues,
        types: Types::ALL,
    }
}

fn group_spec(name: &str, fifo: bool) -> CreateGroup {
    CreateGroup {
        fifo,
        max_attempts: 3,
        ..CreateGroup::on_first_use(name)
    }
}

fn message(at: TopicQueue, time: TimeMs, message_group: Option<&str>) -> EncodedCommand {
    let host = "127.0.0.1:1".parse().unwrap();
    let record = NewRecord {
        topic: "orders",
        queue: at.queue.0,
        body: b"hello",
        properties: b"",
        born_ms: 1,
        born_host: host,
        store_ms: time,
        store_host: host,
    };
    let message = NewMessage {
        topic: at.topic,
        tag: Some("TagA"),
        message_group,
        record,
    };
    message.encode()
}

/// The offsets that a delivery got.
fn offsets(delivered: &Delivered) -> Vec<u64> {
    delivered.taken.iter().map(|(offset, _)| offset.0).collect()
}

/// The attempts that a delivery counted.
fn attempts(delivered: &Delivered) -> Vec<u16> {
    delivered.taken.iter().map(|(_, attempt)| *attempt).collect()
}

/// Every part of state in bytes.
fn encoded(state: &State) -> Vec<(ShardKey, Vec<u8>)> {
    let bytes = |view: &ShardView| {
        let mut out = Vec::new();
        view.encode(&mut out);
        out
    };
    let views = state.all_views();
    views.iter().map(|(key, view)| (*key, bytes(view))).collect()
}
