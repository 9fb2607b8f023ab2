//! What administrators do while messages come and go: topics grow, close, are deleted and made anew; groups are changed
//! and moved; writers fence each other off.

use super::{Asked, Driver, QUEUES, TOPICS};
use sluice_core::command::{
    DeleteGroup, DeleteTopic, EncodedCommand, Fence, GroupSpec, PutGroup, PutTopic, SetFloor,
    StaticSubscription, Subscribe, Target, Terms, TopicSpec, Types,
};
use sluice_core::ids::{GroupId, GroupQueueId, QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_core::log::Batch;

/// The topic that is deleted and made anew.
const SCRATCH: &str = "scratch";
/// The group that is.
const PASSING: &str = "passing";
/// Queues that the lasting topics grow to.
const QUEUES_MAX: u32 = QUEUES + 2;
/// The only place in which a group is moved back: what was done there comes again.
pub const MOVED_BACK: GroupQueueId = GroupQueueId {
    group: GroupId(0),
    at: TopicQueue {
        topic: TopicId(1),
        queue: QueueId(2),
    },
};

impl Driver {
    /// One of these commands.
    pub(super) fn administer(&mut self) -> (Asked, Batch) {
        let command = match self.dice.roll(8) {
            0 => self.put_lasting_topic(),
            1 => self.put_scratch(),
            2 | 3 => match self.scratch() {
                Some(topic) => return self.use_scratch(topic),
                None => self.put_scratch(),
            },
            4 => self.put_group(),
            5 => self.pass(),
            6 => self.move_group(),
            _ => {
                let holder = format!("writer-{}", self.dice.roll(3));
                Fence { holder }.encode(self.now)
            }
        };
        (Asked::Administered, [command].into_iter().collect())
    }

    fn scratch(&self) -> Option<TopicId> {
        let topic = self.opened.store.tables().topic(SCRATCH);
        topic.map(|topic| topic.id)
    }

    /// Any terms but those of a fence: the epochs of this workload are all old.
    fn terms(&mut self) -> Terms {
        let expected_generation = (self.dice.roll(4) == 0).then(|| self.dice.roll(4));
        let epoch = u64::from(self.dice.roll(8) == 0);
        Terms {
            expected_generation,
            epoch,
        }
    }

    fn put_lasting_topic(&mut self) -> EncodedCommand {
        let spec = TopicSpec {
            name: format!("topic-{}", self.dice.roll(u64::from(TOPICS))),
            queues: QUEUES + self.dice.roll(u64::from(QUEUES_MAX - QUEUES) + 1) as u32,
            types: Types::ALL,
            closed: self.dice.roll(6) == 0,
            retention_hours: 0,
            retention_bytes: 0,
        };
        PutTopic {
            spec,
            keep_queues: self.dice.roll(2) == 0,
            terms: self.terms(),
        }
        .encode(self.now)
    }

    fn put_scratch(&mut self) -> EncodedCommand {
        let spec = TopicSpec {
            name: SCRATCH.to_owned(),
            queues: 1 + self.dice.roll(3) as u32,
            types: Types::ALL,
            closed: false,
            retention_hours: 0,
            retention_bytes: 0,
        };
        PutTopic {
            spec,
            keep_queues: true,
            terms: Terms::default(),
        }
        .encode(self.now)
    }

    /// Sends to the scratch topic, has a group read it, or deletes it.
    fn use_scratch(&mut self, topic: TopicId) -> (Asked, Batch) {
        let command = match self.dice.roll(8) {
            0 | 1 => {
                self.memory.deletions.insert(topic);
                DeleteTopic {
                    topic,
                    only_if_empty: self.dice.roll(4) == 0,
                    terms: self.terms(),
                }
                .encode(self.now)
            }
            2 => {
                let group = GroupId(self.dice.roll(2) as u32);
                Subscribe { group, topic }.encode(self.now)
            }
            _ => {
                let queue = QueueId(0);
                return self.send_to(TopicQueue { topic, queue }, 200);
            }
        };
        (Asked::Administered, [command].into_iter().collect())
    }

    fn put_group(&mut self) -> EncodedCommand {
        let subscription = StaticSubscription {
            topic: SCRATCH.to_owned(),
            expression: "tag || other".to_owned(),
        };
        // The FIFO group may not cease to be: its deliveries are made in order.
        let (name, fifo) = [("plain", false), ("ordered", true)][self.dice.roll(2) as usize];
        let spec = GroupSpec {
            fifo,
            max_attempts: 10 + self.dice.roll(3) as u16,
            subscriptions: vec![subscription; self.dice.roll(2) as usize],
            ..GroupSpec::on_first_use(name)
        };
        PutGroup {
            spec,
            terms: self.terms(),
        }
        .encode(self.now)
    }

    /// A group that comes, reads and goes.
    fn pass(&mut self) -> EncodedCommand {
        let topic = TopicId(self.dice.roll(u64::from(TOPICS)) as u32);
        let Some(group) = self.opened.store.tables().group(PASSING) else {
            let spec = GroupSpec::on_first_use(PASSING);
            let terms = Terms::default();
            return PutGroup { spec, terms }.encode(self.now);
        };
        match self.dice.roll(3) {
            0 => DeleteGroup {
                group: group.id,
                only_if_empty: self.dice.roll(4) == 0,
                terms: self.terms(),
            }
            .encode(self.now),
            _ => Subscribe {
                group: group.id,
                topic,
            }
            .encode(self.now),
        }
    }

    fn move_group(&mut self) -> EncodedCommand {
        let forward = match self.dice.roll(4) {
            0 => Target::Latest,
            _ => Target::Newest(self.dice.roll(20)),
        };
        let (id, target) = match self.dice.roll(3) {
            0 => (MOVED_BACK, Target::Offset(QueueOffset(self.dice.roll(30)))),
            _ => (self.shard(), forward),
        };
        let epoch = u64::from(self.dice.roll(8) == 0);
        SetFloor { id, target, epoch }.encode(self.now)
    }
}
