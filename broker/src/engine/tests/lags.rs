//! What a group has not done, as metrics and the admin API tell it.

use super::administering::{group_put, reading, topic_put};
use super::*;
use crate::engine::lag::Lag;
use crate::engine::lag::matching::Unread;
use sluice_core::ids::{PhysicalOffset, QueueOffset};

impl Fixture {
    async fn lag(&self) -> Lag {
        self.lag_of("g").await
    }

    async fn lag_of(&self, group: &str) -> Lag {
        let lags = self.engine.lag(group, Some("t")).unwrap();
        assert_eq!(lags.len(), 1);
        lags[0].sum()
    }

    /// Group `reds`, which reads `t` for the tag `red` alone, whether or not it has clients.
    async fn reds(&self) -> Arc<Group> {
        let mut put = group_put("reds");
        put.spec.subscriptions = vec![reading("t", "red")];
        self.engine.put_group(put).await.unwrap().group
    }

    async fn send_tags(&self, tags: impl Iterator<Item = &str>) {
        self.append_all(tags.map(|tag| self.append(QueueId(0), tag, None)))
            .await;
    }

    /// Where in the log a message of the first queue stands.
    fn place_of(&self, offset: u64) -> Option<PhysicalOffset> {
        let at = TopicQueue {
            topic: self.topic.id,
            queue: QueueId(0),
        };
        let (mut entries, queues) = (Vec::new(), self.engine.store().queues());
        queues.read(at, QueueOffset(offset), 1, &mut entries).unwrap();
        entries.first().map(|entry| entry.physical)
    }

    /// What `lag` says of a group, counted from the entries themselves.
    fn counted(&self, group: &str) -> u64 {
        let (topic, held) = self.engine.reads(group, Some("t")).unwrap().remove(0);
        let red = TagFilter::parse("red").unwrap();
        let tail = topic.tail(QueueId(0)).unwrap();
        let mut entries = Vec::new();
        let at = TopicQueue {
            topic: topic.id,
            queue: QueueId(0),
        };
        let first = QueueOffset(0);
        let queues = self.engine.store().queues();
        queues.read(at, first, tail.0 as usize, &mut entries).unwrap();
        let now = self.engine.now();
        let ready = held.shards[0].read(|held| held.ready_ranges(tail, now));
        let ready = ready.into_iter().flat_map(|(start, end)| start..end);
        ready
            .filter(|offset| red.may_take(&entries[*offset as usize]))
            .count() as u64
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lag_tells_ready_and_held_messages_apart_and_how_old_the_oldest_of_them_are() {
    let at = fixture(false, 17).await;
    assert!(at.receive().await.is_empty(), "the first receive subscribes");
    assert_eq!(at.lag().await, Lag::default());
    let sent = at.engine.now();
    at.send("one", None).await;
    let got = at.receive().await;
    at.pass(1000);
    at.send("two", None).await;
    at.pass(500);
    let lag = at.lag().await;
    let (since, ready_since) = (Some(sent), Some(sent + 1000));
    let expected = Lag {
        ready: 1,
        in_flight: 1,
        since,
        ready_since,
        ready_at: at.place_of(1),
        uncounted: 0,
    };
    assert_eq!(lag, expected);
    let now = at.engine.now();
    assert_eq!(
        (lag.messages(), lag.age_ms(now), lag.ready_age_ms(now)),
        (2, 1500, 500)
    );
    assert!(at.settle(&got[0], Change::Done).await);
    let lag = at.lag().await;
    assert_eq!(
        (lag.messages(), lag.since, lag.ready_since),
        (1, ready_since, ready_since),
        "what is remembered is known to be of another message"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_static_subscription_only_what_its_tags_take_is_lag() {
    let at = fixture(false, 17).await;
    let reds = at.reds().await;
    assert_eq!(at.lag_of("reds").await, Lag::default());
    let sent = at.engine.now();
    at.send_tags(["blue", "blue"].into_iter()).await;
    assert_eq!(at.lag_of("reds").await, Lag::default(), "nothing of it matches");
    at.pass(1000);
    at.send_tags(["red", "blue", "red"].into_iter()).await;
    let since = Some(sent + 1000);
    let expected = Lag {
        ready: 2,
        in_flight: 0,
        since,
        ready_since: since,
        ready_at: at.place_of(2),
        uncounted: 0,
    };
    assert_eq!(at.lag_of("reds").await, expected);
    let topic = at.engine.lag("reds", None).unwrap().remove(0);
    assert_eq!((topic.expression.as_str(), topic.queues.len()), ("red", 1));
    // A client takes the first, and with it passes the blue ones by.
    let ask = Receive {
        group: reds,
        filter: Arc::new(TagFilter::parse("red").unwrap()),
        max: 1,
        ..at.ask(Duration::ZERO)
    };
    at.pass(1000);
    let held = at.take(ask).await;
    let lag = at.lag_of("reds").await;
    assert_eq!((lag.ready, lag.in_flight, lag.since), (1, 1, since));
    assert!(at.settle(&held[0], Change::Done).await);
    assert_eq!(at.lag_of("reds").await.messages(), 1);
    assert_eq!(at.engine.lag("reds", Some("t")).unwrap()[0].sum().messages(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matches_are_counted_over_many_blocks_whatever_of_them_is_done_or_moved() {
    let at = fixture(false, 17).await;
    let reds = at.reds().await;
    let tags = ["red", "blue", "green"];
    at.send_tags((0..10_000).map(|n| if n < 5000 { "blue" } else { tags[n % 3] }))
        .await;
    for round in 0..3 {
        assert_eq!(at.lag_of("reds").await.ready, at.counted("reds"), "round {round}");
        at.send_tags((0..3000).map(|n| tags[n % 3])).await;
        let lag = at.lag_of("reds").await;
        assert_eq!(lag.ready, at.counted("reds"), "round {round}, with more");
        // Some are taken, and every other one of them is done: what is ready has gaps.
        for _ in 0..20 {
            let ask = Receive {
                group: Arc::clone(&reds),
                filter: Arc::new(TagFilter::parse("red").unwrap()),
                ..at.ask(Duration::ZERO)
            };
            for (number, message) in at.take(ask).await.iter().enumerate() {
                if number % 2 == 0 {
                    assert!(at.settle(message, Change::Done).await);
                }
            }
        }
        let lag = at.lag_of("reds").await;
        assert_eq!(lag.ready, at.counted("reds"), "round {round}, with gaps");
        assert!(lag.in_flight > 0);
        let back = Reset {
            group: "reds",
            topic: "t",
            to: ResetTo::Offset(sluice_core::ids::QueueOffset(round * 2000)),
            queues: Vec::new(),
            epoch: 0,
        };
        at.engine.reset_offsets(&back).await.unwrap();
        let lag = at.lag_of("reds").await;
        assert_eq!(lag.ready, at.counted("reds"), "round {round}, moved back");
        at.pass(120_000);
    }
    // Another expression counts anew.
    let mut put = group_put("reds");
    put.spec.subscriptions = vec![reading("t", "red || green")];
    let before = at.lag_of("reds").await.ready;
    at.engine.put_group(put).await.unwrap();
    assert!(at.lag_of("reds").await.ready > before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_reads_no_more_than_it_may_and_says_how_much_it_has_not_counted() {
    const BLOCK: u64 = 4096;
    let at = fixture(false, 17).await;
    let reds = at.reds().await;
    let sent = at.engine.now();
    // Four complete blocks, the first without a match, and a bit of a fifth.
    let tags = (0..4 * BLOCK + 100).map(|n| match n {
        n if n < BLOCK => "blue",
        n if n.is_multiple_of(2) => "red",
        _ => "blue",
    });
    at.send_tags(tags).await;
    let (topic, held) = at.engine.reads("reds", Some("t")).unwrap().remove(0);
    let look = |blocks, group: &Group| {
        let (unread, now) = (Unread::blocks(blocks), at.engine.now());
        let by_queue = at.engine.lag_within(unread, group, &topic, &held, now);
        by_queue[0]
    };
    let exact = 3 * BLOCK / 2 + 50;
    for (blocks, ready, uncounted) in [
        (0, 4 * BLOCK + 50, 4 * BLOCK),
        (1, 3 * BLOCK + 50, 3 * BLOCK),
        (2, BLOCK + BLOCK + 50, BLOCK),
        (0, BLOCK + BLOCK + 50, BLOCK),
        (2, exact, 0),
        (0, exact, 0),
    ] {
        let lag = look(blocks, &reds);
        assert_eq!((lag.ready, lag.uncounted), (ready, uncounted), "{blocks} more");
        assert_eq!((lag.since, lag.ready_since), (Some(sent), Some(sent)));
        assert!(lag.ready >= at.counted("reds"), "an upper bound");
    }
    assert_eq!(at.lag_of("reds").await.ready, at.counted("reds"));
    // Another expression knows nothing yet.
    let mut put = group_put("reds");
    put.spec.subscriptions = vec![reading("t", "blue")];
    let blues = at.engine.put_group(put).await.unwrap().group;
    assert_eq!(look(0, &blues).uncounted, 4 * BLOCK);
    assert_eq!(
        at.lag_of("reds").await.uncounted,
        0,
        "a look of its own reads them all"
    );
}

#[tokio::test]
async fn what_looks_have_read_goes_with_the_subscriptions_some_time() {
    let at = fixture(false, 17).await;
    for number in 0..1200 {
        let name = format!("group-{number}");
        let mut put = group_put(&name);
        put.spec.subscriptions = vec![reading("t", "*")];
        at.engine.put_group(put).await.unwrap();
        at.lag_of(&name).await;
        at.engine
            .delete_group(&name, false, Default::default())
            .await
            .unwrap();
    }
    assert!(at.engine.looks_len() <= 1025, "{}", at.engine.looks_len());
    at.engine.put_topic(topic_put("other", 1)).await.unwrap();
    let absent = at.engine.lag("g", None).unwrap();
    assert!(absent.is_empty(), "it has read nothing yet");
}
