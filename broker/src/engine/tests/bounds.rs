//! One receive proposes one batch, and the log takes it whatever the queues hold.

use super::*;

impl Fixture {
    fn dead_letters(&self) -> u64 {
        let dead = self.engine.tables().topic(&dead_letter_topic("g"));
        dead.map_or(0, |dead| dead.tail(QueueId(0)).unwrap().0)
    }

    fn only(&self, tag: &str) -> Receive {
        Receive {
            filter: Arc::new(TagFilter::parse(tag).unwrap()),
            ..self.ask(Duration::ZERO)
        }
    }
}

fn queues(number: u32) -> impl Iterator<Item = QueueId> {
    (0..number).map(QueueId)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_dead_messages_than_a_batch_holds_commands_are_all_buried() {
    const QUEUES: u32 = 16;
    const OF_EACH: usize = 64;
    let setup = Setup {
        max_attempts: 1,
        queues: QUEUES,
        ..Setup::default()
    };
    let at = setup.make().await;
    let all = queues(QUEUES).flat_map(|queue| std::iter::repeat_n(queue, OF_EACH));
    at.append_all(all.map(|queue| at.append(queue, "dead", None)))
        .await;
    for _ in 0..QUEUES as usize * OF_EACH / 32 {
        assert_eq!(at.receive().await.len(), 32);
    }
    at.pass(60_000);
    at.append_all([at.append(QueueId(7), "alive", None)].into_iter())
        .await;
    let mut alive = Vec::new();
    // A receive that buries all it can and finds nothing alive may end with nothing.
    for _ in 0..3 {
        alive.extend(bodies(&at.receive().await));
    }
    assert_eq!(alive, ["alive"]);
    assert_eq!(at.dead_letters(), u64::from(QUEUES) * OF_EACH as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_queues_with_filtered_messages_than_a_batch_holds_commands_are_all_passed_by() {
    const QUEUES: u32 = 1100;
    let setup = Setup {
        queues: QUEUES,
        ..Setup::default()
    };
    let at = setup.make().await;
    at.append_all(queues(QUEUES).map(|queue| at.append(queue, "other", None)))
        .await;
    let last = QueueId(QUEUES - 1);
    at.append_all([at.append(last, "wanted", None)].into_iter()).await;
    let mut got = Vec::new();
    for _ in 0..3 {
        got.extend(bodies(&at.take(at.only("wanted")).await));
    }
    assert_eq!(got, ["wanted"]);
    let shards = at.engine.tables().subscription(at.group.id, at.topic.id).unwrap();
    let passed = shards
        .shards
        .iter()
        .filter(|shard| shard.read(|queue| queue.floor().0) == 1);
    assert_eq!(passed.count(), QUEUES as usize);
}

/// Every second message waits for its message group, and those between are passed by: a span each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_skipped_spans_than_a_batch_holds_bytes_are_all_passed_by() {
    const QUEUES: u32 = 7;
    const PAIRS: usize = 8 * 1024;
    let setup = Setup {
        fifo: true,
        queues: QUEUES,
        segment_bytes: 256 << 10,
        ..Setup::default()
    };
    let at = setup.make().await;
    let first = queues(QUEUES).map(|queue| at.append(queue, "wanted", Some("a")));
    at.append_all(first).await;
    let held = at.take(at.only("wanted")).await;
    assert_eq!(held.len(), QUEUES as usize);
    for queue in queues(QUEUES) {
        let pair = ["other", "wanted"].map(|tag| at.append(queue, tag, Some("a")));
        let pairs = std::iter::repeat_n(pair, PAIRS).flatten();
        at.append_all(pairs).await;
    }
    for _ in 0..16 {
        assert!(at.take(at.only("wanted")).await.is_empty());
    }
    let subscription = at.engine.tables().subscription(at.group.id, at.topic.id).unwrap();
    for shard in subscription.shards.iter() {
        assert_eq!(shard.read(|queue| queue.settled().len()), PAIRS as u64);
    }
    for message in &held {
        assert!(at.settle(message, Change::Done).await);
    }
    assert_eq!(at.take(at.only("wanted")).await.len(), 32);
}
