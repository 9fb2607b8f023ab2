use super::*;
use crate::budget::Budget;
use crate::disk::Planted;
use sluice_core::command::{Change, CreateGroup, CreateTopic, NewMessage, SettleItem, Types};
use sluice_core::ids::{QueueId, TopicQueue};
use sluice_core::limits::BATCH_COMMANDS_MAX;
use sluice_core::plan::TagFilter;
use sluice_core::record::NewRecord;
use sluice_core::state::{Group, Topic, dead_letter_topic};
use sluice_store::io::FaultyIo;
use sluice_store::log::{Identity, LogOptions, ShardUuid};
use sluice_store::{CheckpointPolicy, StoreOptions};
use std::sync::atomic::AtomicU64 as Hand;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

mod administering;
mod bounds;
mod cold;
mod delivering;
mod departures;
mod files;
mod filling;
mod finding;
mod following;
mod handing_back;
mod holding;
mod jumps;
mod lags;
mod offsets;
mod promised;
mod pulling;
mod resetting;
mod restarts;
mod retention;
mod scrubbing;
mod sending;
mod unread;
mod unreadable;
mod waking;

struct Hands(Arc<Hand>);

impl TimeSource for Hands {
    fn wall_us(&self) -> u64 {
        self.0.load(Ordering::SeqCst) * 1_000
    }
    fn monotonic_us(&self) -> u64 {
        self.wall_us()
    }
}

/// An engine over files in memory, its clock, and a topic with a group.
struct Fixture {
    engine: Arc<Engine>,
    clock: Arc<Hand>,
    topic: Arc<Topic>,
    group: Arc<Group>,
}

/// How a fixture is made.
struct Setup {
    fifo: bool,
    max_attempts: u16,
    queues: u32,
    segment_bytes: u64,
    /// Frames that stay in memory once they are durable.
    ring_bytes: usize,
    io: Arc<FaultyIo>,
    disk: Planted,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            fifo: false,
            max_attempts: 17,
            queues: 1,
            segment_bytes: 1 << 20,
            ring_bytes: 32 << 20,
            io: Arc::new(FaultyIo::new(1)),
            disk: Planted::default(),
        }
    }
}

impl Setup {
    async fn make(self) -> Fixture {
        let wakes = Wakes::new(Handle::current());
        let store = self.store(&wakes);
        let clock = Arc::new(Hand::new(1_000_000));
        let options = EngineOptions {
            live: Arc::default(),
            store_host: "127.0.0.1:8081".parse().unwrap(),
            polls_max: 2_000,
            unread: Budget::of(16 << 20),
            disk: Disk::new(self.disk.clone()),
        };
        let engine = Engine::new(
            store,
            Clock::new(Box::new(Hands(Arc::clone(&clock)))),
            &wakes,
            options,
        );
        let topic = CreateTopic {
            name: "t".into(),
            queues: self.queues,
            types: Types::ALL,
        };
        let topic = engine.create_topic(topic).await.unwrap();
        let group = CreateGroup {
            fifo: self.fifo,
            max_attempts: self.max_attempts,
            ..CreateGroup::on_first_use("g")
        };
        let group = engine.create_group(group).await.unwrap();
        Fixture {
            engine,
            clock,
            topic,
            group,
        }
    }

    fn store(&self, wakes: &Wakes) -> Store {
        let identity = Identity {
            cluster: "c".into(),
            shard: "broker-a".into(),
            node: 1,
            uuid: ShardUuid([1; 16]),
            segment_bytes: self.segment_bytes,
        };
        let checkpoints = CheckpointPolicy {
            bytes: 1 << 20,
            every: Duration::from_secs(3600),
        };
        let log = LogOptions {
            ring_bytes: self.ring_bytes,
            ..LogOptions::new("/data/broker-a".into(), identity)
        };
        let options = StoreOptions {
            log,
            checkpoints,
            now: 1,
        };
        let failed = Arc::new(|reason| panic!("the store failed: {reason}"));
        Store::open(self.io.clone(), options, Box::new(wakes.share()), failed).unwrap()
    }
}

async fn fixture(fifo: bool, max_attempts: u16) -> Fixture {
    let setup = Setup {
        fifo,
        max_attempts,
        ..Setup::default()
    };
    setup.make().await
}

impl Fixture {
    async fn send(&self, body: &str, message_group: Option<&str>) {
        let message = Outgoing {
            tag: None,
            message_group,
            properties: b"",
            body: body.as_bytes(),
            born_ms: 1,
            born_host: "127.0.0.1:9".parse().unwrap(),
        };
        self.engine.send(&self.topic, QueueId(0), message).await.unwrap();
    }

    /// An `Append` as [`Engine::send`] would make it, for tests that need a great many.
    fn append(&self, queue: QueueId, tag: &str, message_group: Option<&str>) -> EncodedCommand {
        let host = "127.0.0.1:9".parse().unwrap();
        let record = NewRecord {
            topic: "t",
            queue: queue.0,
            body: tag.as_bytes(),
            properties: b"",
            born_ms: 1,
            born_host: host,
            store_ms: self.engine.now(),
            store_host: host,
        };
        let message = NewMessage {
            topic: self.topic.id,
            tag: Some(tag),
            message_group,
            record,
        };
        message.encode()
    }

    async fn append_all(&self, commands: impl Iterator<Item = EncodedCommand>) {
        let commands: Vec<EncodedCommand> = commands.collect();
        for batch in commands.chunks(BATCH_COMMANDS_MAX / 2) {
            let done = self.engine.propose(batch.iter().cloned().collect()).await;
            assert!(done.unwrap().iter().all(Result::is_ok));
        }
    }

    fn ask(&self, wait: Duration) -> Receive {
        Receive {
            group: Arc::clone(&self.group),
            topic: Arc::clone(&self.topic),
            client: Arc::from("client"),
            filter: Arc::new(TagFilter::default()),
            max: 32,
            invisible_ms: 60_000,
            auto_renew: true,
            attempt_id: 0,
            deadline: Instant::now() + wait,
        }
    }

    async fn receive(&self) -> Vec<Received> {
        self.take(self.ask(Duration::ZERO)).await
    }

    /// Receives, and takes all out: then it counts as delivered.
    async fn take(&self, ask: Receive) -> Vec<Received> {
        self.engine.receive(ask).await.unwrap().collect()
    }

    async fn settle(&self, message: &Received, change: Change) -> bool {
        let items = vec![SettleItem {
            offset: message.offset,
            delivery: message.delivery,
        }];
        self.engine
            .settle(message.id, change, items)
            .await
            .unwrap()
            .accepted[0]
    }

    fn pass(&self, ms: u64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }
}

fn bodies(messages: &[Received]) -> Vec<String> {
    let body = |message: &Received| {
        let record = sluice_core::command::record_of(&message.command).unwrap();
        sluice_core::record::Record::parse(record).unwrap().body.to_vec()
    };
    messages
        .iter()
        .map(|message| String::from_utf8(body(message)).unwrap())
        .collect()
}
