//! A broker that was killed with much behind its newest checkpoint.

use crate::repairs::{look, start, trim};
use crate::workload::{Driver, Memory, QUEUES};
use sluice_core::command::{
    CreateTopic, DeadLetter, Deliver, PutTopic, SetFloor, Subscribe, Take, Target, Terms, TopicSpec, Types,
};
use sluice_core::ids::{GroupId, GroupQueueId, QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_core::state::Done;
use sluice_store::io::FaultyIo;
use sluice_store::retention::Settings;

/// Topics besides those of the workload; nobody sends to them before the newest checkpoint.
const LATE: TopicId = TopicId(2);
const UNREAD: TopicId = TopicId(3);
const LATE_QUEUES: u32 = 4;

fn make(driver: &Driver, name: &str) {
    let topic = CreateTopic {
        name: name.to_owned(),
        queues: LATE_QUEUES,
        types: Types::ALL,
    };
    driver.ask([topic.encode(2_000)].into_iter().collect()).unwrap();
}

/// Makes dead letters of the first fresh messages of a queue.
fn bury(driver: &mut Driver, queue: u32, some: usize) {
    let at = TopicQueue {
        topic: TopicId(0),
        queue: QueueId(queue),
    };
    let id = GroupQueueId {
        group: GroupId(0),
        at,
    };
    // Groups may have come to nearly all that is there.
    (0..some).for_each(|_| assert!(driver.send_one(at, 100).is_some()));
    let tables = driver.opened.store.tables();
    let tail = tables.topic_by_id(at.topic).unwrap().tail(at.queue).unwrap();
    let shard = &tables.subscription(id.group, at.topic).unwrap().shards[queue as usize];
    let (standing, fresh) = shard.read(|hold| {
        let fresh = (0..tail.0)
            .map(QueueOffset)
            .filter(|offset| hold.is_fresh(*offset));
        (hold.standing(), fresh.take(some).collect::<Vec<_>>())
    });
    assert_eq!(fresh.len(), some, "fresh messages");
    let deliver = Deliver {
        id,
        client: "burier".to_owned(),
        attempt_id: 1_000,
        auto_renew: false,
        resume: false,
        standing,
        invisible_ms: 1_000_000,
        taken: fresh
            .iter()
            .map(|offset| Take {
                offset: *offset,
                group_hash: 0,
            })
            .collect(),
        skipped: Vec::new(),
    };
    let now = driver.now();
    let done = driver.ask([deliver.encode(now)].into_iter().collect()).unwrap();
    let Some(Ok(Done::Delivered(delivered))) = done.into_iter().next() else {
        panic!("nothing is delivered");
    };
    for (offset, _) in delivered.taken {
        let mut entries = Vec::new();
        driver
            .opened
            .store
            .queues()
            .read(at, offset, 1, &mut entries)
            .unwrap();
        let dead = DeadLetter {
            id,
            offset,
            delivery: Some(delivered.delivery),
            entry: entries[0],
        };
        let done = driver.ask([dead.encode(now)].into_iter().collect()).unwrap();
        assert!(matches!(done[0], Ok(Done::DeadLettered { .. })), "{done:?}");
    }
}

/// The second topic gets two queues more.
fn grow(driver: &Driver) {
    let grown = PutTopic {
        spec: TopicSpec {
            name: "topic-1".to_owned(),
            queues: QUEUES + 2,
            types: Types::ALL,
            closed: false,
            retention_hours: 0,
            retention_bytes: 0,
        },
        keep_queues: false,
        terms: Terms::default(),
    };
    driver.ask([grown.encode(2_000)].into_iter().collect()).unwrap();
}

/// Has groups done with everything but what one of them has in one queue: few messages are carried then.
fn leave_few(driver: &Driver) {
    for ((group, topic), subscription) in driver.opened.store.tables().all_subscriptions() {
        for queue in (0..subscription.shards.len() as u32).map(QueueId) {
            let at = TopicQueue { topic, queue };
            let id = GroupQueueId { group, at };
            if (group.0, topic.0, queue.0) == (0, 0, 2) {
                continue;
            }
            let moves = SetFloor {
                id,
                target: Target::Latest,
                epoch: 0,
            };
            driver.ask([moves.encode(2_000)].into_iter().collect()).unwrap();
        }
    }
}

/// What a broker has left that was killed: a log that begins later, two topics that were idle at the newest checkpoint and one that had
/// grown since the one before, dead letters and messages behind it.
pub fn killed(seed: u64, retains: bool) -> (FaultyIo, Memory) {
    let mut tries = (0..10).filter_map(|more| killed_once(seed + more * 1000, retains));
    tries
        .next()
        .expect("a store of which the last checkpoint is that before the kill")
}

/// `None` if a segment ended meanwhile, and a checkpoint stands where the next one begins.
fn killed_once(seed: u64, retains: bool) -> Option<(FaultyIo, Memory)> {
    let io = FaultyIo::new(seed);
    let mut driver = Driver::new(start(&io).unwrap(), seed).without_administrators();
    if !retains {
        // Else too much is carried, and a checkpoint comes too soon.
        driver = driver.with_dead_letters();
    }
    driver.make().unwrap();
    make(&driver, "topic-2");
    make(&driver, "topic-3");
    let subscribe = Subscribe {
        group: GroupId(0),
        topic: LATE,
    };
    driver
        .ask([subscribe.encode(2_000)].into_iter().collect())
        .unwrap();
    (0..5).for_each(|_| driver.round(200).unwrap());
    trim(&mut driver, 2);
    bury(&mut driver, 0, 3);
    // So that older checkpoints have them too.
    (0..60).for_each(|_| driver.round(4000).unwrap());
    bury(&mut driver, 1, 3);
    grow(&driver);
    (0..5).for_each(|_| driver.round(200).unwrap());
    if retains {
        leave_few(&driver);
    }
    driver.opened.store.close().unwrap();
    let (now, memory) = (driver.now(), driver.memory);
    let mut driver = Driver::new(start(&io).unwrap(), seed + 1)
        .without_administrators()
        .with_dead_letters();
    driver.memory = memory;
    driver.pass_time(now);
    let newest = look(&io.crash_keeping_all()).checkpoints.last().unwrap().position;
    for n in 0..40 {
        for topic in [LATE, UNREAD] {
            let queue = QueueId(n % LATE_QUEUES);
            driver.send_one(TopicQueue { topic, queue }, 20).unwrap();
        }
    }
    for queue in 3..QUEUES + 2 {
        let (topic, queue) = (TopicId(1), QueueId(queue));
        for _ in 0..3 {
            driver.send_one(TopicQueue { topic, queue }, 20).unwrap();
        }
    }
    if retains {
        let settings = Settings {
            keep_bytes: Some(300_000),
            ..Settings::default()
        };
        let before = driver.opened.store.tables().bounds().start;
        let ran = driver.retain(&settings).unwrap();
        assert!(ran.carried.0 > 0, "{ran:?}");
        assert!(
            driver.opened.store.tables().bounds().start > before,
            "the log begins later"
        );
    }
    bury(&mut driver, 2, 4);
    (0..5).for_each(|_| driver.round(100).unwrap());
    let killed = io.crash_keeping_all();
    driver.opened.store.close().unwrap();
    let found = look(&killed);
    assert!(found.log.end.index.0 > newest.index.0 + 80);
    let is_newest = found.checkpoints.last().unwrap().position == newest;
    is_newest.then_some((killed, driver.memory))
}
