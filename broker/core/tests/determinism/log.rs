//! A long random log, always the same for a seed: several topics and groups, and commands that mostly fit. At a third of it
//! the level rises to 2, and administrators begin; at two thirds to 3, and retention does.

#[path = "administer.rs"]
mod administer;
#[path = "retention.rs"]
mod retention;

use super::common::{Queues, START, message};
use sluice_core::command::{
    Change, CreateGroup, CreateTopic, DeadLetter, Deliver, EncodedCommand, Release, Settle, SettleItem, Span,
    Subscribe, Take, Types, Unanswered, encode_level,
};
use sluice_core::hash::mix;
use sluice_core::ids::{
    DeliveryId, GroupId, GroupQueueId, LogIndex, PhysicalOffset, QueueId, QueueOffset, Term, TopicId,
    TopicQueue,
};
use sluice_core::state::{CommandAt, Done, GroupQueue, State};

/// Numbers that look random.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = mix(self.0, bound);
        self.0 % bound.max(1)
    }
}

/// A frame of the log.
#[derive(Clone, Debug)]
pub struct Frame {
    pub term: Term,
    pub index: LogIndex,
    pub commands: Vec<(CommandAt, EncodedCommand)>,
}

/// Applies what it writes, so that what comes next can fit.
struct Writer {
    random: Random,
    state: State,
    queues: Queues,
    clock: u64,
    physical: u64,
    frames: Vec<Frame>,
    handles: Vec<(GroupQueueId, SettleItem)>,
}

/// About `commands` commands in frames of different sizes.
pub fn generate(seed: u64, commands: usize) -> Vec<Frame> {
    let mut writer = Writer {
        random: Random(seed),
        state: State::new(),
        queues: Queues::default(),
        clock: START,
        physical: 0,
        frames: Vec::new(),
        handles: Vec::new(),
    };
    writer.frame(vec![encode_level(START, 1)]);
    writer.beginnings();
    let mut count = 0;
    while count < commands {
        if writer.state.level() == 1 && count > commands / 3 {
            writer.frame(vec![encode_level(writer.clock, 2)]);
        }
        if writer.state.level() == 2 && count > commands * 2 / 3 {
            writer.frame(vec![encode_level(writer.clock, 3)]);
        }
        if writer.state.level() == 3 && writer.random.below(60) == 0 {
            writer.retain();
        }
        if writer.state.level() == 3 && writer.random.below(60) == 0 {
            writer.expire();
        }
        let size = if writer.random.below(8) == 0 {
            60
        } else {
            writer.random.below(6) + 1
        };
        let batch: Vec<EncodedCommand> = (0..size).map(|_| writer.command()).collect();
        count += batch.len();
        writer.frame(batch);
    }
    writer.frames
}

impl Writer {
    fn frame(&mut self, batch: Vec<EncodedCommand>) {
        let index = self.state.next_index();
        let mut commands = Vec::new();
        for (place, command) in (0..).zip(batch) {
            let physical = PhysicalOffset(self.physical);
            let at = CommandAt {
                index,
                place,
                physical,
            };
            self.physical += command.len() as u64;
            let answer = self.state.apply(at, command.as_bytes(), &mut self.queues);
            commands.push((at, command));
            if let Ok(done) = answer {
                self.remember(&commands[commands.len() - 1].1, &done);
            }
        }
        self.physical = (self.physical + 48).next_multiple_of(8);
        let term = Term(1 + index.0 / 500);
        self.state.end_frame(term, index);
        self.frames.push(Frame {
            term,
            index,
            commands,
        });
    }

    /// Keeps the handles that a delivery gave.
    fn remember(&mut self, command: &EncodedCommand, done: &Done) {
        let decoded = sluice_core::command::Command::decode(command.as_bytes());
        if let (Ok((_, sluice_core::command::Command::Deliver(deliver))), Done::Delivered(delivered)) =
            (decoded, done)
        {
            let delivery = delivered.delivery;
            let items = delivered.taken.iter().map(|(offset, _)| SettleItem {
                offset: *offset,
                delivery,
            });
            self.handles.extend(items.map(|item| (deliver.id, item)));
        }
    }

    fn beginnings(&mut self) {
        let (time, mut batch) = (self.clock, Vec::new());
        for number in 0..3 {
            let topic = CreateTopic {
                name: format!("topic-{number}"),
                queues: number + 1,
                types: Types::ALL,
            };
            let group = CreateGroup {
                fifo: number == 1,
                max_attempts: 3,
                ..CreateGroup::on_first_use(&format!("group-{number}"))
            };
            batch.extend([topic.encode(time), group.encode(time)]);
        }
        for number in 0..9 {
            let subscribe = Subscribe {
                group: GroupId(number / 3),
                topic: TopicId(number % 3),
            };
            batch.push(subscribe.encode(time));
        }
        self.frame(batch);
    }

    fn queue(&mut self) -> TopicQueue {
        TopicQueue {
            topic: TopicId(self.random.below(3) as u32),
            queue: QueueId(self.random.below(4) as u32),
        }
    }

    fn id(&mut self) -> GroupQueueId {
        GroupQueueId {
            group: GroupId(self.random.below(3) as u32),
            at: self.queue(),
        }
    }

    fn command(&mut self) -> EncodedCommand {
        self.clock += self.random.below(400);
        let time = self.clock - self.random.below(300);
        match self.random.below(110) {
            0..40 => self.send(time),
            40..60 => self.deliver(time),
            60..90 => self.settle(time),
            90..94 => self.dead_letter(time),
            94..97 => self.release(time),
            97 => self.unanswered(time),
            98 => CreateTopic {
                name: format!("more-{}", self.random.below(40)),
                queues: self.random.below(3) as u32,
                types: Types::NORMAL,
            }
            .encode(time),
            99 => encode_level(time, 1),
            _ => self.administer(time),
        }
    }

    fn send(&mut self, time: u64) -> EncodedCommand {
        let (at, group) = (self.queue(), format!("order-{}", self.random.below(5)));
        let group = Some(group.as_str()).filter(|_| self.random.below(3) > 0);
        let number = self.random.below(1000);
        message(at, time, Some("tag").filter(|_| number < 500), group, number)
    }

    fn look<T>(&self, id: GroupQueueId, look: impl FnOnce(&GroupQueue) -> T) -> Option<T> {
        let subscription = self.state.tables().subscription(id.group, id.at.topic)?;
        Some(subscription.shards.get(id.at.queue.0 as usize)?.read(look))
    }

    /// Takes from about the front of the queue, ready or not.
    fn deliver(&mut self, time: u64) -> EncodedCommand {
        let id = self.id();
        let mut offset = self.look(id, |queue| queue.floor().0).unwrap_or(0);
        let mut taken = Vec::new();
        for _ in 0..self.random.below(12) {
            offset += self.random.below(3);
            let entries = self.queues.0.get(&id.at);
            let group_hash = entries
                .and_then(|all| all.get(offset as usize))
                .map_or(0, |entry| entry.group_hash);
            taken.push(Take {
                offset: QueueOffset(offset),
                group_hash,
            });
            offset += 1;
        }
        let len = self.random.below(3);
        let start = QueueOffset(offset + 1);
        let skipped = Some(Span { start, len }).filter(|_| len > 0);
        let command = Deliver {
            id,
            client: format!("client-{}", self.random.below(4)),
            attempt_id: self.random.below(6),
            auto_renew: self.random.below(2) == 0,
            resume: self.random.below(5) == 0,
            standing: self.look(id, GroupQueue::standing).unwrap_or_default(),
            invisible_ms: self.random.below(20_000),
            taken,
            skipped: skipped.into_iter().collect(),
        };
        command.encode(time)
    }

    /// Settles some of the newest handles, and now and then one that never was.
    fn settle(&mut self, time: u64) -> EncodedCommand {
        let change = match self.random.below(4) {
            0 => match self.random.below(3) {
                0 => Change::HandBack(self.random.below(8000)),
                _ => Change::VisibleIn(self.random.below(8000)),
            },
            _ => Change::Done,
        };
        let from = self.handles.len().saturating_sub(60);
        let newest = self.handles.len() - from;
        if newest == 0 || self.random.below(20) == 0 {
            let item = SettleItem {
                offset: QueueOffset(self.random.below(50)),
                delivery: DeliveryId(self.random.below(1 << 40)),
            };
            let items = vec![item];
            return Settle {
                id: self.id(),
                change,
                items,
            }
            .encode(time);
        }
        let first = from + self.random.below(newest as u64) as usize;
        let id = self.handles[first].0;
        let same = self.handles[first..].iter().filter(|(other, _)| *other == id);
        let items = same.take(5).map(|(_, item)| *item).collect();
        Settle { id, change, items }.encode(time)
    }

    fn dead_letter(&mut self, time: u64) -> EncodedCommand {
        let (id, offset, delivery) = match self.handles.last().copied() {
            Some((id, item)) if self.random.below(2) == 0 => (id, item.offset, Some(item.delivery)),
            _ => {
                let id = self.id();
                let first = self.look(id, |queue| queue.all_pending().next().map(|(offset, _)| offset));
                (id, first.flatten().unwrap_or_default(), None)
            }
        };
        let entry = self
            .queues
            .0
            .get(&id.at)
            .and_then(|all| all.get(offset.0 as usize))
            .copied();
        let command = DeadLetter {
            id,
            offset,
            delivery,
            entry: entry.unwrap_or_default(),
        };
        command.encode(time)
    }

    fn unanswered(&mut self, time: u64) -> EncodedCommand {
        let command = Unanswered {
            id: self.id(),
            hidden_until_min: time + self.random.below(2000),
            visible_in_ms: self.random.below(1000),
        };
        command.encode(time)
    }

    fn release(&mut self, time: u64) -> EncodedCommand {
        let command = Release {
            id: self.id(),
            client: format!("client-{}", self.random.below(4)),
            visible_in_ms: self.random.below(2) * 500,
        };
        command.encode(time)
    }
}
