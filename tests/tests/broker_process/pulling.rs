//! Clients that keep their own place in a queue: what they pull, and the offsets that they leave with their group.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sluice_proto::admin::DeleteTopicRequest;
use sluice_proto::v2::{Code, QueryOffsetPolicy};
use sluice_tests::admin::Admin;
use sluice_tests::client::{Client, Pull, Pulled, message};
use sluice_tests::process::{Broker, Setup};
use sluice_tests::wait;
use tokio::task::JoinHandle;

use crate::traffic::{SOON, bodies, consume, nothing, numbered, receive, send};

const TOPICS: &str = "topics:\n  - {name: orders, queues: 1}\n  - {name: bills, queues: 2}\n";
/// As many pulls wait.
const WAITING: &str = "sluice_polls";
const LONG: Duration = Duration::from_secs(20);

fn start() -> (Broker, Client) {
    let broker = Setup::new().init(TOPICS).start().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    (broker, client)
}

/// Pulls to the end of the queue, leaving the group's offset behind each batch; answers what came.
async fn pull_all(client: &Client, group: &str, topic: &str) -> Vec<String> {
    let mut next = client.get_offset(group, topic, 0).await.unwrap().unwrap_or(0);
    let mut all = Vec::new();
    loop {
        let pulled = client.pull(&Pull::new(group, topic, next)).await.unwrap();
        match pulled.code {
            Some(Code::Ok) => all.extend(bodies(&pulled.messages)),
            Some(Code::MessageNotFound) => return all,
            _ => panic!("{pulled:?}"),
        }
        next = pulled.next.unwrap();
        let left = client.update_offset(group, topic, 0, next).await.unwrap();
        assert_eq!(left, Some(Code::Ok));
    }
}

/// Begins a pull, and comes back when so many wait.
async fn begin(broker: &Broker, pull: Pull, waiting: f64) -> JoinHandle<anyhow::Result<Pulled>> {
    let client = Client::new(&broker.endpoint()).unwrap();
    let pull = tokio::spawn(async move { client.pull(&pull).await });
    wait::until_true_async("the pull waits", SOON, || {
        broker.metric(WAITING).is_ok_and(|polls| polls == waiting)
    })
    .await
    .unwrap();
    pull
}

fn waiting(topic: &str, queue: i32) -> Pull {
    Pull {
        queue,
        poll: LONG,
        ..Pull::new("pullers", topic, 0)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_pulls_goes_on_where_it_left_its_offset_also_after_a_kill() {
    let (mut broker, client) = start();
    send(&client, "orders", &numbered(0..100)).await;
    assert_eq!(client.get_offset("pullers", "orders", 0).await.unwrap(), None);
    assert_eq!(pull_all(&client, "pullers", "orders").await, numbered(0..100));
    send(&client, "orders", &numbered(100..120)).await;
    broker.kill().unwrap();
    broker.restart().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    assert_eq!(
        client.get_offset("pullers", "orders", 0).await.unwrap(),
        Some(100)
    );
    assert_eq!(pull_all(&client, "pullers", "orders").await, numbered(100..120));
    assert_eq!(pull_all(&client, "others", "orders").await, numbered(0..120));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulls_leave_what_receives_are_given_and_an_offset_moves_it() {
    let (_broker, client) = start();
    send(&client, "orders", &numbered(0..10)).await;
    let held = receive(&client, "readers", "orders", 10).await;
    let pulled = client.pull(&Pull::new("readers", "orders", 0)).await.unwrap();
    assert_eq!(bodies(&pulled.messages), numbered(0..10));
    client.ack_ok("readers", "orders", &held[..4]).await.unwrap();
    assert_eq!(client.get_offset("readers", "orders", 0).await.unwrap(), Some(4));
    let moved = client.update_offset("readers", "orders", 0, 2).await.unwrap();
    assert_eq!(moved, Some(Code::Ok));
    let lost = client.ack("readers", "orders", &held[4..5]).await.unwrap();
    assert_eq!(lost.status.unwrap().code(), Code::InvalidReceiptHandle);
    assert_eq!(consume(&client, "readers", "orders", 8).await, numbered(2..10));
    let moved = client.update_offset("readers", "orders", 0, 11).await.unwrap();
    assert_eq!(moved, Some(Code::IllegalOffset));
    nothing(&client, "readers", "orders").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offset_is_found_by_the_time_of_its_message() {
    let (_broker, client) = start();
    send(&client, "orders", &numbered(0..1)).await;
    let stored = |message: &sluice_proto::v2::Message| {
        let properties = message.system_properties.as_ref().unwrap();
        properties.store_timestamp.unwrap()
    };
    let first = client.pull(&Pull::new("pullers", "orders", 0)).await.unwrap();
    let first = stored(&first.messages[0]);
    let mut later = first;
    // Another time, told apart to the millisecond.
    while (later.seconds, later.nanos) <= (first.seconds, first.nanos + 10_000_000) {
        let end = client
            .query_offset("orders", 0, QueryOffsetPolicy::End, None)
            .await;
        let end = end.unwrap();
        send(&client, "orders", &numbered(1..2)).await;
        let last = client.pull(&Pull::new("pullers", "orders", end)).await.unwrap();
        later = stored(&last.messages[0]);
    }
    let policy = QueryOffsetPolicy::Timestamp;
    let by_time = client
        .query_offset("orders", 0, policy, Some(later))
        .await
        .unwrap();
    let found = client
        .pull(&Pull::new("pullers", "orders", by_time))
        .await
        .unwrap();
    let found = stored(&found.messages[0]);
    assert_eq!((found.seconds, found.nanos), (later.seconds, later.nanos));
    let before = client
        .pull(&Pull::new("pullers", "orders", by_time - 1))
        .await
        .unwrap();
    let before = stored(&before.messages[0]);
    assert!((before.seconds, before.nanos) < (later.seconds, later.nanos));
    let beginning = QueryOffsetPolicy::Beginning;
    let found = client.query_offset("orders", 0, beginning, None).await.unwrap();
    assert_eq!(found, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_answers_every_pull_that_waits_at_its_queue_and_no_other() {
    let (broker, client) = start();
    let mut pulls = Vec::new();
    for (already, queue) in [0, 0, 0, 1, 1, 1].into_iter().enumerate() {
        pulls.push(begin(&broker, waiting("bills", queue), already as f64 + 1.0).await);
    }
    let begun = Instant::now();
    client.send_ok(message("bills", "one")).await.unwrap();
    let route = [0, 1].map(|queue| Pull {
        queue,
        ..Pull::new("pullers", "bills", 0)
    });
    let first = client.pull(&route[0]).await.unwrap();
    let at = usize::from(first.messages.is_empty());
    let (answered, others) = pulls.split_at_mut(3);
    let (answered, others) = if at == 0 {
        (answered, others)
    } else {
        (others, answered)
    };
    for pull in answered {
        let pulled = pull.await.unwrap().unwrap();
        assert_eq!(
            (bodies(&pulled.messages), pulled.next),
            (vec!["one".to_owned()], Some(1))
        );
    }
    assert!(begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
    assert!(others.iter().all(|pull| !pull.is_finished()));
    let wakeups = broker.metric("sluice_poll_wakeups_total").unwrap();
    assert!(wakeups <= 3.0, "{wakeups} wake-ups");
    client.send_ok(message("bills", "two")).await.unwrap();
    for pull in others {
        let pulled = pull.await.unwrap().unwrap();
        assert_eq!(bodies(&pulled.messages), ["two"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_pull_ends_when_its_topic_is_deleted_and_when_the_broker_stops() {
    let (mut broker, client) = start();
    let pull = begin(&broker, waiting("bills", 1), 1.0).await;
    let admin = Admin::new(&broker.admin_endpoint()).unwrap();
    let request = DeleteTopicRequest {
        name: "bills".to_owned(),
        ..Default::default()
    };
    admin.topics().delete_topic(request).await.unwrap();
    let ended = pull.await.unwrap().unwrap();
    assert_eq!(ended.code, Some(Code::TopicNotFound));
    assert!(ended.said.contains("was deleted"), "{}", ended.said);

    send(&client, "orders", &numbered(0..2)).await;
    let at_the_end = Pull {
        offset: 2,
        ..waiting("orders", 0)
    };
    let pull = begin(&broker, at_the_end, 1.0).await;
    assert_eq!(broker.stop().unwrap().code(), Some(0));
    let ended = pull.await.unwrap().expect("it is answered, not cut off");
    assert_eq!((ended.code, ended.next), (Some(Code::MessageNotFound), Some(2)));
}

/// Flips all bits of the first byte of this text in the log of a broker that is down.
fn damage(broker: &Broker, text: &str) {
    let segments = broker.shard_dir().join("log");
    let segments = std::fs::read_dir(segments).unwrap();
    let segments: Vec<PathBuf> = segments.map(|entry| entry.unwrap().path()).collect();
    let mut places = 0;
    for path in segments {
        let file = std::fs::OpenOptions::new().read(true).write(true).open(path);
        let (mut file, mut bytes) = (file.unwrap(), Vec::new());
        file.read_to_end(&mut bytes).unwrap();
        let windows = bytes.windows(text.len()).enumerate();
        for (place, _) in windows.filter(|(_, window)| *window == text.as_bytes()) {
            file.seek(SeekFrom::Start(place as u64)).unwrap();
            file.write_all(&[!bytes[place]]).unwrap();
            places += 1;
        }
    }
    assert_eq!(places, 1, "{text:?} stands in the log once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_message_is_an_error_of_its_own_and_pulls_go_on_behind_it() {
    let setup = Setup::new().init(TOPICS).flag("--checkpoint-seconds", "1");
    let mut broker = setup.start().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    send(&client, "orders", &numbered(0..6)).await;
    assert!(broker.stop().unwrap().success());
    damage(&broker, "m-003");
    broker.restart().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    let pull = |offset| {
        let (client, pull) = (client.clone(), Pull::new("pullers", "orders", offset));
        async move { client.pull(&pull).await.unwrap() }
    };

    let before = pull(0).await;
    assert_eq!(before.code, Some(Code::Ok));
    assert_eq!((bodies(&before.messages), before.next), (numbered(0..3), Some(3)));
    let unreadable = "sluice_unreadable_messages_total";
    assert_eq!(broker.metric(unreadable).unwrap(), 0.0);
    let damaged = pull(3).await;
    assert_eq!(
        (damaged.code, damaged.next),
        (Some(Code::MessageCorrupted), Some(4))
    );
    assert!(
        damaged.messages.is_empty() && damaged.said.contains("message 3 of queue 0 of topic 'orders'"),
        "{damaged:?}"
    );
    assert_eq!(broker.metric(unreadable).unwrap(), 1.0);
    let behind = pull(4).await;
    assert_eq!((bodies(&behind.messages), behind.next), (numbered(4..6), Some(6)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_takes_tags_and_passes_by_the_others() {
    let (_broker, client) = start();
    for (number, tag) in ["red", "blue", "red", "green", "blue"].into_iter().enumerate() {
        let mut message = message("orders", format!("m-{number:03}"));
        message.system_properties.as_mut().unwrap().tag = Some(tag.to_owned());
        client.send_ok(message).await.unwrap();
    }
    for (tags, expected) in [
        ("red", &["m-000", "m-002"][..]),
        ("green || blue", &["m-001", "m-003", "m-004"]),
        ("none", &[]),
    ] {
        let pull = Pull {
            tags: tags.to_owned(),
            ..Pull::new("pullers", "orders", 0)
        };
        let pulled = client.pull(&pull).await.unwrap();
        assert_eq!(bodies(&pulled.messages), expected, "{tags}");
        assert_eq!(pulled.next, Some(5), "{tags}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_pulled_by_their_origin_and_stay() {
    let (_broker, client) = start();
    send(&client, "orders", &numbered(0..3)).await;
    let dead = "%DLQ%workers";
    let none = client.pull(&Pull::new("pullers", dead, 0)).await.unwrap();
    assert_eq!(none.code, Some(Code::TopicNotFound), "{none:?}");
    for message in receive(&client, "workers", "orders", 3).await {
        let given_up = client
            .forward_to_dead_letters("workers", "orders", &message)
            .await;
        assert_eq!(given_up.unwrap().status.unwrap().code(), Code::Ok);
    }

    for _ in 0..2 {
        let pulled = client.pull(&Pull::new("pullers", dead, 0)).await.unwrap();
        assert_eq!(bodies(&pulled.messages), numbered(0..3), "{pulled:?}");
        assert_eq!(pulled.next, Some(3));
        for message in &pulled.messages {
            assert_eq!(message.topic.as_ref().unwrap().name, dead);
            let origin = message.system_properties.as_ref().unwrap();
            let origin = origin.dead_letter_queue.as_ref().unwrap();
            assert_eq!(origin.topic, "orders");
        }
    }
    // A group may keep its place there as in any topic.
    assert_eq!(pull_all(&client, "pullers", dead).await, numbered(0..3));
    assert_eq!(client.get_offset("pullers", dead, 0).await.unwrap(), Some(3));
    assert_eq!(consume(&client, "undertakers", dead, 3).await, numbered(0..3));
}
