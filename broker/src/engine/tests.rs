use super::*;
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

mod bounds;
mod cold;
mod handing_back;
mod waking;

struct Hands(Arc<Hand>);

impl TimeSource for Hands {
    fn wall_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
    fn monotonic_ms(&self) -> u64 {
        0
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
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            fifo: false,
            max_attempts: 17,
            queues: 1,
            segment_bytes: 1 << 20,
        }
    }
}

impl Setup {
    async fn make(self) -> Fixture {
        let wakes = Wakes::new(Handle::current());
        let store = self.store(&wakes);
        let clock = Arc::new(Hand::new(1_000_000));
        let options = EngineOptions {
            auto_create_topics: true,
            store_host: "127.0.0.1:8081".parse().unwrap(),
            polls_max: 2_000,
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
        let options = StoreOptions {
            log: LogOptions::new("/data/broker-a".into(), identity),
            checkpoints,
            now: 1,
        };
        let failed = Arc::new(|reason| panic!("the store failed: {reason}"));
        Store::open(
            Arc::new(FaultyIo::new(1)),
            options,
            Box::new(wakes.share()),
            failed,
        )
        .unwrap()
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
    let record = |message: &Received| message.command.slice(sluice_core::command::APPEND_RECORD_AT..);
    let body = |bytes: bytes::Bytes| sluice_core::record::Record::parse(&bytes).unwrap().body.to_vec();
    messages
        .iter()
        .map(|message| String::from_utf8(body(record(message))).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_sent_is_received_once_and_gone_after_its_acknowledgement() {
    let at = fixture(false, 17).await;
    at.send("one", None).await;
    let got = at.receive().await;
    assert_eq!((bodies(&got), got[0].attempt), (vec!["one".to_owned()], 1));
    assert!(at.receive().await.is_empty(), "it is held");
    assert!(at.settle(&got[0], Change::Done).await);
    assert!(
        !at.settle(&got[0], Change::Done).await,
        "a second acknowledgement is refused"
    );
    at.pass(10_000_000);
    assert!(at.receive().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_polls_and_one_message_make_one_delivery_and_at_most_two_wake_ups() {
    let at = Arc::new(fixture(false, 17).await);
    let polls: Vec<_> = (0..1000)
        .map(|_| {
            let at = Arc::clone(&at);
            tokio::spawn(async move { at.take(at.ask(Duration::from_secs(3))).await })
        })
        .collect();
    while at.engine.polls() < 1000 {
        tokio::task::yield_now().await;
    }
    at.send("one", None).await;
    let mut delivered = 0;
    for poll in polls {
        delivered += poll.await.unwrap().len();
    }
    assert_eq!(delivered, 1);
    assert!(
        at.engine.poll_wakeups() <= 2,
        "{} wake-ups",
        at.engine.poll_wakeups()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_poll_gets_what_is_sent_and_what_becomes_visible() {
    let at = Arc::new(fixture(false, 17).await);
    let wait = |at: &Arc<Fixture>| {
        let at = Arc::clone(at);
        tokio::spawn(async move { at.take(at.ask(Duration::from_secs(20))).await })
    };
    let poll = wait(&at);
    at.send("one", None).await;
    let got = poll.await.unwrap();
    assert_eq!(bodies(&got), ["one"]);
    let poll = wait(&at);
    assert!(at.settle(&got[0], Change::VisibleIn(0)).await);
    let again = poll.await.unwrap();
    assert_eq!((bodies(&again), again[0].attempt), (vec!["one".to_owned()], 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_caller_that_has_gone_was_given_is_visible_again() {
    let at = Arc::new(fixture(false, 17).await);
    assert!(at.receive().await.is_empty(), "the first receive subscribes");
    for round in 0..200 {
        at.send(&format!("{round}"), None).await;
        let call = tokio::spawn({
            let at = Arc::clone(&at);
            async move { at.receive().await.len() }
        });
        for _ in 0..round % 7 {
            tokio::task::yield_now().await;
        }
        call.abort();
        let _ = call.await;
    }
    // Whatever the moment of each abort: every message is either given now or was given to a call that ended whole.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let shard = at
            .engine
            .tables()
            .subscription(at.group.id, at.topic.id)
            .unwrap()
            .shards[0]
            .clone();
        let held = shard.read(|shard| shard.lag(at.topic.tail(QueueId(0)).unwrap(), at.engine.now()));
        let got = at.receive().await.len() as u64;
        if held.ready == got || Instant::now() > deadline {
            assert_eq!(held.ready, got, "nothing stays reserved by a call that has gone");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_groups_of_a_fifo_group_wait_for_their_own_messages_only() {
    let at = fixture(true, 17).await;
    for (body, message_group) in [("a1", "a"), ("b1", "b"), ("a2", "a")] {
        at.send(body, Some(message_group)).await;
    }
    let mut one = at.ask(Duration::ZERO);
    one.max = 1;
    let first = at.take(one).await;
    assert_eq!(bodies(&first), ["a1"]);
    let others = at.receive().await;
    assert_eq!(bodies(&others), ["b1"], "a2 waits for a1");
    assert!(at.settle(&first[0], Change::Done).await);
    assert_eq!(bodies(&at.receive().await), ["a2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_out_of_attempts_stands_in_the_dead_letter_topic() {
    let at = fixture(false, 2).await;
    at.send("poison", None).await;
    for attempt in 1..=2 {
        let got = at.receive().await;
        assert_eq!(got[0].attempt, attempt);
        assert!(at.settle(&got[0], Change::VisibleIn(0)).await);
        at.pass(1);
    }
    assert!(at.receive().await.is_empty());
    let dead = at.engine.tables().topic(&dead_letter_topic("g")).unwrap();
    let mut ask = at.ask(Duration::ZERO);
    ask.topic = dead;
    assert_eq!(bodies(&at.take(ask).await), ["poison"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_given_again_uncounted_to_the_same_attempt_id() {
    let at = fixture(false, 17).await;
    at.send("one", None).await;
    let mut ask = at.ask(Duration::ZERO);
    ask.attempt_id = 77;
    let first = at.take(ask.clone()).await;
    let again = at.take(ask).await;
    assert_eq!((bodies(&again), again[0].attempt), (bodies(&first), 1));
    assert!(
        !at.settle(&first[0], Change::Done).await,
        "the first handle is followed by a newer one"
    );
    assert!(at.settle(&again[0], Change::Done).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_id_that_two_clients_use_takes_nothing_from_either() {
    let at = fixture(false, 17).await;
    at.send("one", None).await;
    let mut ask = at.ask(Duration::ZERO);
    ask.attempt_id = 77;
    let first = at.take(ask.clone()).await;
    ask.client = Arc::from("another");
    assert!(at.take(ask.clone()).await.is_empty());
    at.send("two", None).await;
    assert_eq!(bodies(&at.take(ask).await), ["two"]);
    assert!(at.settle(&first[0], Change::Done).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_gone_gives_back_what_the_broker_renewed_for_it() {
    let at = fixture(false, 17).await;
    at.send("one", None).await;
    assert_eq!(at.receive().await.len(), 1);
    assert_eq!(at.engine.auto_renew_holders().len(), 1);
    at.engine.release_client("client", 1_000).await.unwrap();
    assert!(at.receive().await.is_empty(), "not at once");
    at.pass(1_000);
    assert_eq!(at.receive().await[0].attempt, 2);
}
