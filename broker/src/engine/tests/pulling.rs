//! Pulls read on from an offset, change nothing, and wait where there is nothing yet.

use super::*;
use sluice_core::command::Terms;
use sluice_core::ids::QueueOffset;
use sluice_core::limits;
use sluice_core::record::{property, put_property};
use tokio::task::{JoinHandle, yield_now};

const LONG: Duration = Duration::from_secs(30);

type Answer = Result<(Vec<u64>, u64), EngineError>;

impl Fixture {
    /// Asks for 32 messages of any tag without waiting.
    fn from(&self, offset: i64) -> Pull {
        Pull {
            topic: Arc::clone(&self.topic),
            queue: QueueId(0),
            offset,
            client: "puller".into(),
            filter: Arc::default(),
            max: 32,
            deadline: Instant::now(),
        }
    }

    fn waiting_from(&self, offset: i64) -> Pull {
        Pull {
            deadline: Instant::now() + LONG,
            ..self.from(offset)
        }
    }

    /// The offsets that come, and where the next pull goes on.
    async fn pull(&self, pull: Pull) -> Answer {
        let pulled = self.engine.pull(pull).await?;
        let offsets = pulled.messages.iter().map(|found| found.offset.0);
        Ok((offsets.collect(), pulled.next.0))
    }

    /// Begins a pull, and comes back when so many wait.
    async fn begin(self: &Arc<Self>, pull: Pull, waiting: usize) -> JoinHandle<Answer> {
        let at = Arc::clone(self);
        let pull = tokio::spawn(async move { at.pull(pull).await });
        while self.engine.arrivals.waiting() < waiting {
            yield_now().await;
        }
        pull
    }

    /// Sends a message to a queue whose record says its tag.
    async fn send_tagged(&self, queue: u32, tag: &str) {
        let mut properties = Vec::new();
        put_property(&mut properties, property::TAG, tag);
        let message = Outgoing {
            tag: Some(tag),
            message_group: None,
            properties: &properties,
            body: b"x",
            born_ms: 1,
            born_host: "127.0.0.1:9".parse().unwrap(),
        };
        let sent = self.engine.send(&self.topic, QueueId(queue), message);
        sent.await.unwrap();
    }

    /// Bytes of the log: what is proposed adds to them.
    fn written(&self) -> u64 {
        self.engine.store().log().positions().written().0
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulls_read_on_from_their_offset_and_change_nothing() {
    let at = fixture(false, 17).await;
    for number in 0..5 {
        at.send(&format!("{number}"), None).await;
    }
    let before = at.written();
    for _ in 0..2 {
        let two = Pull { max: 2, ..at.from(0) };
        assert_eq!(at.pull(two).await, Ok((vec![0, 1], 2)));
        assert_eq!(at.pull(at.from(2)).await, Ok((vec![2, 3, 4], 5)));
        assert_eq!(at.pull(at.from(5)).await, Ok((vec![], 5)));
    }
    assert_eq!(at.written(), before);
    assert_eq!(at.engine.tables().subscriptions_len(), 0);
    let received = at.receive().await;
    assert_eq!(received.len(), 5);
    assert!(received.iter().all(|message| message.attempt == 1));
    assert_eq!(
        at.pull(at.from(0)).await,
        Ok((vec![0, 1, 2, 3, 4], 5)),
        "that others hold them is none of a pull's business"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offset_that_the_queue_does_not_have_is_refused_with_the_nearest_one() {
    let at = fixture(false, 17).await;
    for _ in 0..2 {
        at.send("x", None).await;
    }
    for (offset, nearest) in [(-1, 0), (i64::MIN, 0), (3, 2), (i64::MAX, 2)] {
        let refused = at.pull(at.waiting_from(offset)).await.unwrap_err();
        let expected = EngineError::OffsetOutside {
            topic: "t".to_owned(),
            queue: 0,
            offset,
            min: 0,
            max: 2,
        };
        assert_eq!(refused, expected);
        assert_eq!(refused.goes_on_at(), Some(QueueOffset(nearest)), "{offset}");
    }
    let elsewhere = Pull {
        queue: QueueId(1),
        ..at.from(0)
    };
    let absent = EngineError::NoQueue {
        topic: "t".to_owned(),
        queues: 1,
        queue: 1,
    };
    assert_eq!(at.pull(elsewhere).await, Err(absent));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_filter_leaves_out_is_passed_by_also_where_hashes_are_equal() {
    let at = fixture(false, 17).await;
    // Java's hashes of the first two are the same.
    for tag in ["BB", "Aa", "other", "Aa", "BB"] {
        at.send_tagged(0, tag).await;
    }
    for (expression, expected) in [
        ("Aa", (vec![1, 3], 5)),
        ("BB", (vec![0, 4], 5)),
        ("other || Aa", (vec![1, 2, 3], 5)),
        ("none", (vec![], 5)),
    ] {
        let pull = Pull {
            filter: Arc::new(TagFilter::parse(expression).unwrap()),
            ..at.from(0)
        };
        assert_eq!(at.pull(pull).await, Ok(expected), "{expression}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_pull_looks_through_a_bounded_part_of_the_queue_however_long_it_may_wait() {
    let at = fixture(false, 17).await;
    let other = 2 * limits::SCAN_MAX;
    at.append_all((0..other).map(|_| at.append(QueueId(0), "other", None)))
        .await;
    at.send_tagged(0, "wanted").await;
    let mut next = 0;
    for expected in [
        (vec![], limits::SCAN_MAX),
        (vec![], other),
        (vec![other], other + 1),
    ] {
        let pull = Pull {
            filter: Arc::new(TagFilter::parse("wanted").unwrap()),
            ..at.waiting_from(next)
        };
        next = expected.1 as i64;
        assert_eq!(at.pull(pull).await, Ok(expected));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_pull_brings_bounded_bytes() {
    let setup = Setup {
        segment_bytes: 16 << 20,
        ..Setup::default()
    };
    let at = setup.make().await;
    let body = "x".repeat(limits::PULL_BYTES_MAX * 3 / 8);
    for _ in 0..5 {
        at.send(&body, None).await;
    }
    assert_eq!(at.pull(at.from(0)).await, Ok((vec![0, 1], 2)));
    assert_eq!(at.pull(at.from(2)).await, Ok((vec![2, 3], 4)));
    assert_eq!(at.pull(at.from(4)).await, Ok((vec![4], 5)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_wakes_all_pulls_of_its_queue_and_no_other() {
    let setup = Setup {
        queues: 2,
        ..Setup::default()
    };
    let at = Arc::new(setup.make().await);
    let first = at.begin(at.waiting_from(0), 1).await;
    let second = at.begin(at.waiting_from(0), 2).await;
    let elsewhere = Pull {
        queue: QueueId(1),
        ..at.waiting_from(0)
    };
    let elsewhere = at.begin(elsewhere, 3).await;
    at.send("x", None).await;
    for pull in [first, second] {
        assert_eq!(pull.await.unwrap(), Ok((vec![0], 1)));
    }
    assert_eq!(at.engine.poll_wakeups(), 2);
    assert!(!elsewhere.is_finished());
    assert_eq!((at.engine.arrivals.waiting(), at.engine.polls()), (1, 1));
    at.send_tagged(1, "x").await;
    assert_eq!(elsewhere.await.unwrap(), Ok((vec![0], 1)));
    assert_eq!(at.engine.poll_wakeups(), 3);
    assert_eq!((at.engine.arrivals.waiting(), at.engine.polls()), (0, 0));
    assert_eq!(at.engine.arrivals.queues(), 0, "nothing is left of them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_comes_between_the_first_look_of_a_pull_and_its_wait_is_not_missed() {
    let at = Arc::new(fixture(false, 17).await);
    for offset in 0..50 {
        // With this answer the applier is through with the round before, and does not wait for what is held: its answers come
        // before it wakes pulls.
        let group = CreateGroup::on_first_use(&format!("round-{offset}"));
        at.engine.create_group(group).await.unwrap();
        let held = at.engine.arrivals.hold();
        let pull = tokio::spawn({
            let at = Arc::clone(&at);
            async move { at.pull(at.waiting_from(offset)).await }
        });
        while at.engine.polls() == 0 {
            yield_now().await;
        }
        // It looks, finds nothing and cannot join those that wait, long before this has gone through the log.
        at.send("x", None).await;
        drop(held);
        let pulled = tokio::time::timeout(LONG / 3, pull).await;
        let expected = (vec![offset as u64], offset as u64 + 1);
        assert_eq!(pulled.expect("it looks again").unwrap(), Ok(expected));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_pull_passes_by_what_its_filter_leaves_out() {
    let at = Arc::new(fixture(false, 17).await);
    let pull = Pull {
        filter: Arc::new(TagFilter::parse("wanted").unwrap()),
        ..at.waiting_from(0)
    };
    let pull = at.begin(pull, 1).await;
    at.send_tagged(0, "other").await;
    while at.engine.poll_wakeups() < 1 {
        yield_now().await;
    }
    at.send_tagged(0, "wanted").await;
    assert_eq!(pull.await.unwrap(), Ok((vec![1], 2)));

    let pull = Pull {
        filter: Arc::new(TagFilter::parse("wanted").unwrap()),
        deadline: Instant::now() + Duration::from_secs(2),
        ..at.from(2)
    };
    let pull = at.begin(pull, 1).await;
    at.send_tagged(0, "other").await;
    assert_eq!(pull.await.unwrap(), Ok((vec![], 3)), "it ends behind it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_pulls_end_with_the_broker_and_with_their_topic() {
    let at = Arc::new(fixture(false, 17).await);
    let pull = at.begin(at.waiting_from(0), 1).await;
    at.engine
        .delete_topic("t", false, Terms::default())
        .await
        .unwrap();
    let deleted = Err(EngineError::TopicDeleted("t".to_owned()));
    assert_eq!(pull.await.unwrap(), deleted);

    let at = Arc::new(fixture(false, 17).await);
    let pull = at.begin(at.waiting_from(0), 1).await;
    at.engine.stop_polls();
    assert_eq!(pull.await.unwrap(), Ok((vec![], 0)));
    assert_eq!(at.pull(at.waiting_from(0)).await, Ok((vec![], 0)), "none waits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_read_is_an_error_of_its_own_behind_which_pulls_go_on() {
    let (at, io) = super::unreadable::in_files(false, 17).await;
    for body in ["first", "damaged", "third"] {
        at.send(body, None).await;
    }
    at.flip(&io, 1).await;
    let three = |offset| Pull {
        max: 3 - offset as usize,
        ..at.from(offset)
    };
    assert_eq!(at.pull(three(0)).await, Ok((vec![0], 1)), "what is before it");
    assert_eq!(at.engine.unreadable(), 0);
    let refused = at.pull(three(1)).await.unwrap_err();
    assert!(
        matches!(&refused, EngineError::Unreadable { offset: 1, .. }),
        "{refused:?}"
    );
    assert_eq!(refused.goes_on_at(), Some(QueueOffset(2)));
    assert_eq!(at.engine.unreadable(), 1);
    assert_eq!(at.pull(three(2)).await, Ok((vec![2], 3)));
    at.flip(&io, 1).await;
    assert_eq!(at.pull(three(0)).await, Ok((vec![0, 1, 2], 3)), "it is mended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_whose_entries_are_in_files_are_pulled_in_order_up_to_those_in_memory() {
    let at = super::cold::with_cold_entries().await;
    let mut next = 0;
    while next < super::cold::MESSAGES {
        let (offsets, behind) = at.pull(at.from(next as i64)).await.unwrap();
        assert_eq!(offsets, (next..behind).collect::<Vec<_>>());
        assert!(behind > next);
        next = behind;
    }
}

#[tokio::test]
async fn pulls_count_among_the_polls_of_which_there_may_be_so_many() {
    let at = fixture(false, 17).await;
    let max = at.engine.polls_max();
    at.engine.polls.store(max as u64 - 1, Ordering::Relaxed);
    assert_eq!(at.pull(at.from(0)).await, Ok((vec![], 0)));
    at.engine.polls.store(max as u64, Ordering::Relaxed);
    assert_eq!(at.pull(at.from(0)).await, Err(EngineError::PollsFull(max)));
    assert_eq!(at.engine.polls(), max as u64);
}
