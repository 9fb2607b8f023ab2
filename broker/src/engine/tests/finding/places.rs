//! At a place, among dead letters, and where records are damaged.

use super::*;
use sluice_store::io::{LogIo, read_exact_at, write_all_at};
use std::path::Path;

/// Where segments' frames begin in their files.
const PAGE_BYTES: u64 = 4096;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_found_at_its_place() {
    let setup = Setup {
        queues: 2,
        ..Setup::default()
    };
    let at = setup.make().await;
    for id in ["a", "b"] {
        at.put(Message { queue: 1, ..of(id) }).await;
    }
    let finder = at.finder();
    let found = finder.at("t", 1, 1).await.unwrap();
    assert_eq!(
        (names(std::slice::from_ref(&found)), place(&found)),
        (vec!["b".to_owned()], (1, 1))
    );
    for (topic, queue, offset, error) in [
        ("nowhere", 0, 0, "there is no topic 'nowhere'"),
        ("t", 2, 0, "topic 't' has no queue 2: its queues are 0 to 1"),
        (
            "t",
            u32::MAX,
            0,
            "topic 't' has no queue 4294967295: its queues are 0 to 1",
        ),
        (
            "t",
            1,
            2,
            "queue 1 of topic 't' has no message at offset 2: it holds 0 up to, and without, 2",
        ),
        (
            "t",
            0,
            u64::MAX,
            "queue 0 of topic 't' has no message at offset 18446744073709551615: it holds 0 up to, and without, 0",
        ),
    ] {
        assert_eq!(
            finder.at(topic, queue, offset).await.unwrap_err().to_string(),
            error
        );
    }
}

#[test]
fn a_place_that_retention_has_taken_is_told_with_where_the_queue_begins_now() {
    for (offset, first, end, told) in [
        (
            7,
            8,
            12,
            "any more: retention has taken it, and the queue begins at offset 8 now",
        ),
        (
            9,
            8,
            12,
            "any more: retention has taken it, and has left older ones that wait",
        ),
        (
            7,
            12,
            12,
            "any more: retention has taken all that it held, and its next message has offset 12",
        ),
    ] {
        let error = FindError::NoOffset {
            topic: "t".to_owned(),
            queue: 1,
            offset,
            first,
            end,
        };
        let whole = format!("queue 1 of topic 't' has no message at offset {offset} {told}");
        assert_eq!(error.to_string(), whole);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_found_where_they_are_and_where_they_come_from() {
    let at = fixture(false, 17).await;
    assert!(at.receive().await.is_empty(), "the first receive subscribes");
    for n in 0..600 {
        let (id, keys) = (format!("{n}"), if n % 100 == 0 { "round k" } else { "k" });
        at.put(Message { keys, ..of(&id) }).await;
    }
    let mut buried = Vec::new();
    while buried.len() < 600 {
        let messages = at.receive().await;
        assert!(!messages.is_empty());
        for message in messages {
            at.bury(&message).await;
            buried.extend(bodies(&[message]));
        }
        at.pass(1);
    }
    buried.reverse();
    let (finder, dead) = (at.finder(), dead_letter_topic("g"));
    for id in ["0", "311", "599"] {
        let found = finder.by_id(id, Some(&dead)).await.unwrap();
        assert_eq!(names(std::slice::from_ref(&found)), [id]);
        assert_eq!(
            (found.topic.spec.name.as_str(), found.origin_topic()),
            (dead.as_str(), Some("t"))
        );
        let found = finder.by_id(id, None).await.unwrap();
        assert_eq!(
            (found.topic.spec.name.as_str(), found.origin_topic()),
            ("t", None)
        );
    }
    let none = finder.by_id("600", Some(&dead)).await;
    assert_eq!(none.err(), Some(FindError::NoId("600".into())));
    let page = finder.by_key("round", search(&dead)).await.unwrap();
    assert_eq!(names(&page.messages), ["500", "400", "300", "200", "100", "0"]);
    let (mut found, mut ask) = (
        Vec::new(),
        Search {
            max: 250,
            ..search(&dead)
        },
    );
    loop {
        let page = finder.by_key("k", ask.clone()).await.unwrap();
        found.extend(names(&page.messages));
        ask.after = page.next;
        if ask.after.is_none() {
            break;
        }
    }
    assert!(found == buried, "{found:?}");
    let page = finder.by_time(search(&dead)).await.unwrap();
    buried.reverse();
    assert!(names(&page.messages) == buried);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_cannot_be_read_are_left_out_and_counted() {
    let setup = Setup {
        ring_bytes: 0,
        ..Setup::default()
    };
    let io = Arc::clone(&setup.io);
    let at = setup.make().await;
    for id in ["A", "B", "C"] {
        at.put(Message { keys: "k", ..of(id) }).await;
    }
    let damaged = at.entry(0, 1);
    while at.engine.store().reader().is_hot(damaged.physical) {
        at.send("later", None).await;
    }
    let segment = io.open(Path::new("/data/broker-a/log/00000000000000000000.seg"));
    let (segment, last) = (
        segment.unwrap(),
        PAGE_BYTES + damaged.physical.0 + u64::from(damaged.size) - 1,
    );
    let mut byte = [0];
    read_exact_at(segment.as_ref(), &mut byte, last).unwrap();
    write_all_at(segment.as_ref(), &[!byte[0]], last).unwrap();

    let finder = at.finder();
    let page = finder.by_key("k", search("t")).await.unwrap();
    assert_eq!(
        (names(&page.messages), page.unreadable),
        (vec!["C".into(), "A".into()], 1)
    );
    let ask = Search {
        max: 2,
        ..search("t")
    };
    let page = finder.by_time(ask).await.unwrap();
    assert_eq!(
        (names(&page.messages), page.unreadable),
        (vec!["A".into(), "C".into()], 1)
    );
    for error in [
        finder.by_id("B", None).await.unwrap_err(),
        finder.at("t", 0, 1).await.unwrap_err(),
    ] {
        assert!(matches!(error, FindError::Unreadable { .. }), "{error}");
        assert!(
            error.to_string().contains("00000000000000000000.seg is damaged"),
            "{error}"
        );
    }
}
