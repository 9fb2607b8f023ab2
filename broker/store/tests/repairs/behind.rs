//! A log that is damaged behind its newest checkpoint, where a test has said what follows.

use super::{flip, look, place, refusal, seed, start};
use crate::workload::Driver;
use sluice_core::command::{
    Change, CreateTopic, DeadLetter, Deliver, EncodedCommand, Settle, SettleItem, Take, Types,
};
use sluice_core::ids::{DeliveryId, GroupId, GroupQueueId, QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_core::state::{Applied, Done};
use sluice_store::io::FaultyIo;

/// What a broker does behind its newest checkpoint.
pub struct Behind {
    pub io: FaultyIo,
    pub driver: Driver,
    /// Where what is going to be lost begins, and what stands behind it.
    pub at: u64,
}

/// A queue of the workload's first topic.
pub const SENT_TO: TopicQueue = TopicQueue {
    topic: TopicId(0),
    queue: QueueId(0),
};

/// The workload's first group there.
pub const READER: GroupQueueId = GroupQueueId {
    group: GroupId(0),
    at: SENT_TO,
};

impl Behind {
    pub fn begin() -> Self {
        let io = FaultyIo::new(seed());
        let mut driver = Driver::new(start(&io).unwrap(), seed()).without_administrators();
        driver.make().unwrap();
        driver.opened.store.close().unwrap();
        let driver = Driver::new(start(&io).unwrap(), seed()).without_administrators();
        let at = driver.opened.store.log().positions().written().0;
        Self { io, driver, at }
    }

    pub fn ask(&self, command: EncodedCommand) -> Applied {
        let answers = self.driver.ask([command].into_iter().collect()).unwrap();
        answers.into_iter().next().unwrap()
    }

    pub fn done(&self, command: EncodedCommand) {
        let answer = self.ask(command);
        assert!(answer.is_ok(), "{answer:?}");
    }

    /// The next command is lost.
    pub fn loses_the_next(&mut self) {
        self.at = self.driver.opened.store.log().positions().written().0;
    }

    pub fn send(&mut self) {
        assert!(self.driver.send_one(SENT_TO, 10).is_some());
    }

    pub fn make(&self, name: &str) -> TopicId {
        let topic = CreateTopic {
            name: name.to_owned(),
            queues: 1,
            types: Types::ALL,
        };
        self.done(topic.encode(3_000));
        self.id(name)
    }

    pub fn id(&self, name: &str) -> TopicId {
        self.driver.opened.store.tables().topic(name).unwrap().id
    }

    /// The first group takes messages.
    fn take(&self, offsets: &[u64]) -> DeliveryId {
        let take = |offset: &u64| Take {
            offset: QueueOffset(*offset),
            group_hash: 0,
        };
        let deliver = Deliver {
            id: READER,
            client: "client".to_owned(),
            attempt_id: 1,
            auto_renew: false,
            resume: false,
            standing: Default::default(),
            invisible_ms: 10_000,
            taken: offsets.iter().map(take).collect(),
            skipped: Vec::new(),
        };
        let Ok(Done::Delivered(delivered)) = self.ask(deliver.encode(3_000)) else {
            panic!("nothing is delivered");
        };
        delivered.delivery
    }

    /// The first group takes messages, and is done with them.
    pub fn finish(&self, offsets: &[u64]) {
        let delivery = self.take(offsets);
        let item = |offset: &u64| SettleItem {
            offset: QueueOffset(*offset),
            delivery,
        };
        let settle = Settle {
            id: READER,
            change: Change::Done,
            items: offsets.iter().map(item).collect(),
        };
        self.done(settle.encode(3_000));
    }

    /// The first message of a queue becomes a dead letter of the first group.
    pub fn bury(&self) {
        let delivery = self.take(&[0]);
        let mut entries = Vec::new();
        let queues = self.driver.opened.store.queues();
        queues.read(SENT_TO, QueueOffset(0), 1, &mut entries).unwrap();
        let dead = DeadLetter {
            id: READER,
            offset: QueueOffset(0),
            delivery: Some(delivery),
            entry: entries[0],
        };
        self.done(dead.encode(3_000));
    }

    /// The killed broker's files, with a bit flipped so far behind the first of what is lost.
    pub fn damaged(self, behind: u64) -> FaultyIo {
        let killed = self.io.crash_keeping_all();
        self.driver.opened.store.close().unwrap();
        let bases: Vec<u64> = look(&killed).log.segments.iter().map(|s| s.base.0).collect();
        let (path, place) = place(&bases, self.at);
        flip(&killed, &path, place + behind, 1);
        assert!(refusal(&killed).contains("--accept-loss"));
        killed
    }

    /// With the first frame lost.
    pub fn without_the_frame(self) -> FaultyIo {
        self.damaged(4)
    }

    /// With the body of the first message lost.
    pub fn without_the_message(self) -> FaultyIo {
        self.damaged(150)
    }
}
