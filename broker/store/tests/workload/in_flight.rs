//! A group that has hundreds of messages of one queue in flight, of which few are done: a part of state that is large enough for
//! checkpoints to write patches of it.

use super::{Asked, Driver, TOPICS};
use sluice_core::command::{
    Change, CreateGroup, CreateTopic, Deliver, EncodedCommand, Settle, SettleItem, Subscribe, Take, Types,
};
use sluice_core::ids::{DeliveryId, GroupQueueId, QueueId, QueueOffset, TopicQueue};
use sluice_core::state::Done;

/// Messages of one delivery.
const AT_ONCE: usize = 25;
/// Retention carries all of them.
const BODY_MAX: u64 = 20;
const INVISIBLE_MS: u64 = 365 * 24 * 3_600_000;

/// What is in flight.
pub struct InFlight {
    id: GroupQueueId,
    held: Vec<(QueueOffset, DeliveryId)>,
}

impl InFlight {
    /// Makes a topic and a group, after those that [`Driver::make`] makes, sends and delivers; `None` if the store failed.
    pub fn of_a_new_group(driver: &mut Driver, messages: u64) -> Option<Self> {
        let topic = CreateTopic {
            name: format!("topic-{TOPICS}"),
            queues: 1,
            types: Types::ALL,
        };
        let Done::Topic(topic) = ask(driver, topic.encode(driver.now()))? else {
            panic!("a topic");
        };
        assert_eq!(topic.0, TOPICS, "records name their topics by these numbers");
        let Done::Group(group) = ask(driver, CreateGroup::on_first_use("large").encode(driver.now()))? else {
            panic!("a group");
        };
        ask(driver, Subscribe { group, topic }.encode(driver.now()))?;
        let queue = QueueId(0);
        let at = TopicQueue { topic, queue };
        let id = GroupQueueId { group, at };
        for _ in 0..messages {
            let (asked, batch) = driver.send_to(at, BODY_MAX);
            let answered = driver.start(batch);
            driver.waiting.push((asked, answered));
        }
        driver.learn_all()?;
        let held = Vec::new();
        let mut in_flight = Self { id, held };
        let offsets: Vec<_> = (0..messages).map(QueueOffset).collect();
        for some in offsets.chunks(AT_ONCE) {
            in_flight.deliver(driver, some)?;
        }
        Some(in_flight)
    }

    fn deliver(&mut self, driver: &Driver, offsets: &[QueueOffset]) -> Option<()> {
        let take = |offset: &QueueOffset| Take {
            offset: *offset,
            group_hash: 0,
        };
        let tables = driver.opened.store.tables();
        let subscription = tables.subscription(self.id.group, self.id.at.topic).unwrap();
        let deliver = Deliver {
            id: self.id,
            client: "slow".to_owned(),
            attempt_id: 0,
            auto_renew: false,
            resume: false,
            standing: subscription.shards[0].read(|shard| shard.standing()),
            invisible_ms: INVISIBLE_MS,
            taken: offsets.iter().map(take).collect(),
            skipped: Vec::new(),
        };
        let Done::Delivered(delivered) = ask(driver, deliver.encode(driver.now()))? else {
            panic!("a delivery");
        };
        assert_eq!(delivered.taken.len(), offsets.len(), "all of them are in flight");
        let taken = delivered.taken.iter();
        self.held
            .extend(taken.map(|(offset, _)| (*offset, delivered.delivery)));
        Some(())
    }

    /// One of them is done, somewhere in the middle, and another one comes; `None` if the store failed.
    pub fn change_a_little(&mut self, driver: &mut Driver) -> Option<()> {
        let (offset, delivery) = self.held.remove(self.held.len() / 3);
        let settle = Settle {
            id: self.id,
            change: Change::Done,
            items: vec![SettleItem { offset, delivery }],
        };
        let answered = driver.start([settle.encode(driver.now())].into_iter().collect());
        driver
            .waiting
            .push((Asked::Settled(self.id, vec![offset]), answered));
        driver.learn_all()?;
        let sent = driver.send_one(self.id.at, BODY_MAX)?;
        self.deliver(driver, &[sent])
    }
}

fn ask(driver: &Driver, command: EncodedCommand) -> Option<Done> {
    let mut answers = driver.ask([command].into_iter().collect())?;
    Some(answers.pop().unwrap().unwrap())
}
