//! Commands of administrators, some of which fit.

use super::Writer;
use sluice_core::command::{
    DeleteGroup, DeleteTopic, EncodedCommand, Fence, GroupSpec, PutGroup, PutTopic, SetFloor, StartFrom,
    StaticSubscription, Subscribe, SubscribeAt, Target, Terms, TopicSpec, Types,
};
use sluice_core::ids::{GroupId, QueueOffset, TopicId};

impl Writer {
    pub(super) fn administer(&mut self, time: u64) -> EncodedCommand {
        match self.random.below(16) {
            0..3 => self.put_topic(time),
            3..5 => self.delete_topic(time),
            5..8 => self.put_group(time),
            8 => self.delete_group(time),
            9..11 => self.subscribe_at(time),
            11..15 => self.set_floor(time),
            _ => {
                let holder = format!("writer-{}", self.random.below(3));
                Fence { holder }.encode(time)
            }
        }
    }

    fn terms(&mut self) -> Terms {
        let expected_generation = Some(self.random.below(5)).filter(|_| self.random.below(4) == 0);
        let epoch = match self.random.below(4) {
            0 => self.state.tables().fenced().epoch + self.random.below(3),
            _ => 0,
        };
        Terms {
            expected_generation,
            epoch: epoch.saturating_sub(1),
        }
    }

    /// One that stays, or one that comes and goes.
    fn put_topic(&mut self, time: u64) -> EncodedCommand {
        let (name, queues) = match self.random.below(2) {
            0 => (
                format!("topic-{}", self.random.below(3)),
                1 + self.random.below(4),
            ),
            _ => (format!("passing-{}", self.random.below(5)), self.random.below(4)),
        };
        let spec = TopicSpec {
            name,
            queues: queues as u32,
            types: Types::ALL,
            closed: self.random.below(8) == 0,
            retention_hours: match self.state.level() {
                0..3 => 0,
                _ => self.random.below(3) as u32,
            },
            retention_bytes: match self.state.level() {
                0..3 => 0,
                _ => self.random.below(3),
            },
        };
        PutTopic {
            spec,
            keep_queues: self.random.below(2) == 0,
            terms: self.terms(),
        }
        .encode(time)
    }

    fn delete_topic(&mut self, time: u64) -> EncodedCommand {
        let name = format!("passing-{}", self.random.below(5));
        let topic = self.state.tables().topic(&name).map(|topic| topic.id);
        DeleteTopic {
            topic: topic.unwrap_or(TopicId(10_000)),
            only_if_empty: self.random.below(3) == 0,
            terms: self.terms(),
        }
        .encode(time)
    }

    fn put_group(&mut self, time: u64) -> EncodedCommand {
        let name = match self.random.below(2) {
            0 => format!("group-{}", self.random.below(3)),
            _ => format!("passing-{}", self.random.below(4)),
        };
        let start_from = match self.random.below(3) {
            0 => StartFrom::Earliest,
            1 => StartFrom::Latest,
            _ => StartFrom::Time(time),
        };
        let subscription = |n| StaticSubscription {
            topic: format!("passing-{n}"),
            expression: "tag".to_owned(),
        };
        let spec = GroupSpec {
            fifo: self.random.below(2) == 0,
            max_attempts: self.random.below(5) as u16,
            start_from,
            invisible_ms: 30_000 + self.random.below(3),
            subscriptions: (0..self.random.below(3)).map(subscription).collect(),
            ..GroupSpec::on_first_use(&name)
        };
        let terms = self.terms();
        PutGroup { spec, terms }.encode(time)
    }

    fn passing_group(&mut self) -> GroupId {
        let name = format!("passing-{}", self.random.below(4));
        let group = self.state.tables().group(&name).map(|group| group.id);
        group.unwrap_or(GroupId(10_000))
    }

    fn delete_group(&mut self, time: u64) -> EncodedCommand {
        DeleteGroup {
            group: self.passing_group(),
            only_if_empty: self.random.below(3) == 0,
            terms: self.terms(),
        }
        .encode(time)
    }

    fn subscribe_at(&mut self, time: u64) -> EncodedCommand {
        let group = match self.random.below(2) {
            0 => self.passing_group(),
            _ => GroupId(self.random.below(3) as u32),
        };
        let count = self.state.tables().all_topics().len() as u64;
        let place = self.random.below(count) as usize;
        let topic = self.state.tables().all_topics()[place].id;
        if self.random.below(3) == 0 {
            return Subscribe { group, topic }.encode(time);
        }
        let floors = (0..self.random.below(4))
            .map(|_| QueueOffset(self.random.below(300)))
            .collect();
        SubscribeAt { group, topic, floors }.encode(time)
    }

    fn set_floor(&mut self, time: u64) -> EncodedCommand {
        let id = self.id();
        let floor = self.look(id, |queue| queue.floor().0).unwrap_or(0);
        let target = match self.random.below(5) {
            0 => Target::Latest,
            1 => Target::Newest(self.random.below(100)),
            _ => Target::Offset(QueueOffset((floor + self.random.below(20)).saturating_sub(10))),
        };
        let epoch = self.terms().epoch;
        SetFloor { id, target, epoch }.encode(time)
    }
}
