//! Messages found by id, key, time and place, whatever else shares their hashes, times and places.

use super::*;
use crate::engine::find::{FindError, Finder, Found, PAGE_MAX, Search};
use sluice_core::hash;
use sluice_core::ids::{PhysicalOffset, QueueOffset};
use sluice_core::record::{property, put_property};

mod by_time;
mod places;

struct Message<'a> {
    queue: u32,
    id: &'a str,
    keys: &'a str,
}

fn of(id: &str) -> Message<'_> {
    Message {
        queue: 0,
        id,
        keys: "",
    }
}

impl Fixture {
    async fn put_in(&self, topic: &Topic, message: Message<'_>) {
        let mut properties = Vec::new();
        put_property(&mut properties, property::MESSAGE_ID, message.id);
        put_property(&mut properties, property::KEYS, message.keys);
        let outgoing = Outgoing {
            properties: &properties,
            ..files::outgoing(message.id, None)
        };
        let queue = QueueId(message.queue);
        self.engine.send(topic, queue, outgoing).await.unwrap();
    }

    async fn put(&self, message: Message<'_>) {
        self.put_in(&self.topic, message).await;
    }

    fn finder(&self) -> Finder {
        Finder::new(&self.engine)
    }

    fn entry(&self, queue: u32, offset: u64) -> sluice_core::entry::QueueEntry {
        let at = TopicQueue {
            topic: self.topic.id,
            queue: QueueId(queue),
        };
        let (mut one, queues) = (Vec::new(), self.engine.store().queues());
        queues.read(at, QueueOffset(offset), 1, &mut one).unwrap();
        one[0]
    }

    /// Makes the index say that the message is there under another key or id, as a collision of hashes would.
    fn collide(&self, hash: u64, physical: PhysicalOffset) {
        let now = self.engine.tables().now();
        self.engine.store().index().append(hash, physical, now);
    }

    /// Gives the message up: it goes to the group's dead-letter topic.
    async fn bury(&self, message: &Received) {
        let (id, item) = message.held();
        self.engine
            .dead_letter(id, item.offset, item.delivery)
            .await
            .unwrap();
    }
}

fn search(topic: &str) -> Search {
    Search {
        topic: topic.to_owned(),
        times: 0..u64::MAX,
        max: PAGE_MAX,
        after: None,
    }
}

fn names(found: &[Found]) -> Vec<String> {
    let body = |found: &Found| String::from_utf8(found.body().unwrap().to_vec()).unwrap();
    found.iter().map(body).collect()
}

fn place(found: &Found) -> (u32, u64) {
    (found.queue.0, found.offset.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_message_with_an_id_is_found() {
    let at = fixture(false, 17).await;
    for id in ["A", "B", "A", "C"] {
        at.put(of(id)).await;
        at.pass(10);
    }
    let other = at.engine.create_topic(files::one_queue("other")).await.unwrap();
    at.put_in(&other, of("B")).await;
    let finder = at.finder();
    for (id, topic, expected) in [
        ("A", None, Ok(("t", 2))),
        ("C", None, Ok(("t", 3))),
        ("B", None, Ok(("other", 0))),
        ("B", Some("t"), Ok(("t", 1))),
        ("A", Some("other"), Err(FindError::NoId("A".into()))),
        ("D", None, Err(FindError::NoId("D".into()))),
        ("", None, Err(FindError::NoId(String::new()))),
        ("A", Some("nowhere"), Err(FindError::NoTopic("nowhere".into()))),
    ] {
        let found = finder.by_id(id, topic).await;
        let found = found.map(|found| (found.topic.spec.name.clone(), found.offset.0));
        let expected = expected.map(|(topic, offset)| (topic.to_owned(), offset));
        assert_eq!(found, expected, "{id} in {topic:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_message_than_the_index_leads_to_is_damage_and_hides_none() {
    let at = fixture(false, 17).await;
    at.put(Message {
        keys: "k1 k2",
        ..of("A")
    })
    .await;
    at.put(of("B")).await;
    let other = at.engine.create_topic(files::one_queue("other")).await.unwrap();
    at.put_in(
        &other,
        Message {
            keys: "k1",
            ..of("C")
        },
    )
    .await;
    let (a, b) = (at.entry(0, 0).physical, at.entry(0, 1).physical);
    at.collide(hash::message_id_key(b"A"), b);
    at.collide(hash::message_id_key(b"X"), a);
    at.collide(hash::message_key(at.topic.id, b"k1"), b);
    let finder = at.finder();
    assert_eq!(place(&finder.by_id("A", None).await.unwrap()), (0, 0));
    let error = finder.by_id("X", None).await.unwrap_err().to_string();
    assert!(
        error.contains("no message stands there that has what the index says"),
        "{error}"
    );
    let page = finder.by_key("k1", search("t")).await.unwrap();
    assert_eq!((names(&page.messages), page.next), (vec!["A".to_owned()], None));
    assert_eq!(page.unreadable, 1);
    for (key, expected) in [("k2", 1), ("k", 0), ("k1 k2", 0), ("", 0)] {
        let page = finder.by_key(key, search("t")).await.unwrap();
        assert_eq!(page.messages.len(), expected, "{key:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_a_deleted_topic_are_not_found_and_those_of_its_successor_are() {
    let at = fixture(false, 17).await;
    let first = Message { keys: "k", ..of("A") };
    at.put(first).await;
    let finder = at.finder();
    let one = Search {
        max: 1,
        ..search("t")
    };
    at.put(of("B")).await;
    let old = finder.by_time(one).await.unwrap().next;
    at.engine
        .delete_topic("t", false, Default::default())
        .await
        .unwrap();
    assert_eq!(
        finder.by_id("A", None).await.err(),
        Some(FindError::NoId("A".into()))
    );
    let gone = Some(FindError::NoTopic("t".into()));
    assert_eq!(finder.by_key("k", search("t")).await.err(), gone);
    let again = at.engine.create_topic(files::one_queue("t")).await.unwrap();
    let second = Message { keys: "k", ..of("C") };
    at.put_in(&again, second).await;
    let page = finder.by_key("k", search("t")).await.unwrap();
    assert_eq!(names(&page.messages), ["C"]);
    assert_eq!(
        finder.by_id("A", Some("t")).await.err(),
        Some(FindError::NoId("A".into()))
    );
    let ask = Search {
        after: old,
        ..search("t")
    };
    let refused = Some(FindError::Position("t".into()));
    assert_eq!(
        finder.by_time(ask).await.err(),
        refused,
        "a position in the old topic"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_with_a_key_come_newest_first_and_in_pages() {
    let setup = Setup {
        queues: 3,
        ..Setup::default()
    };
    let at = setup.make().await;
    let ids: Vec<String> = (0..200).map(|n| format!("{n:03}")).collect();
    for (n, id) in (0..).zip(&ids) {
        let keys = if n % 2 == 0 { "even all" } else { "odd all" };
        let queue = n % 3;
        at.put(Message { queue, id, keys }).await;
        at.pass(u64::from(n % 4 == 0));
    }
    let finder = at.finder();
    for (key, step, max) in [
        ("all", 1, 7),
        ("all", 1, 200),
        ("all", 1, 199),
        ("even", 2, 33),
        ("odd", 2, 1),
    ] {
        let first = usize::from(key == "odd");
        let mut expected: Vec<String> = ids.iter().skip(first).step_by(step).cloned().collect();
        expected.reverse();
        let (mut found, mut ask) = (Vec::new(), Search { max, ..search("t") });
        loop {
            let page = finder.by_key(key, ask.clone()).await.unwrap();
            assert!(page.messages.len() <= max, "{key} by {max}");
            found.extend(names(&page.messages));
            ask.after = page.next;
            if ask.after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{key} by {max}");
    }
    let start = at.entry(0, 0).put_ms;
    let ask = Search {
        times: start + 10..start + 11,
        ..search("t")
    };
    let page = finder.by_key("all", ask).await.unwrap();
    assert_eq!(names(&page.messages), ["040", "039", "038", "037"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_ends_after_so_many_records_though_it_has_found_nothing() {
    let at = fixture(false, 17).await;
    at.put(Message {
        keys: "rare",
        ..of("A")
    })
    .await;
    for n in 1..5000 {
        at.put(of("B")).await;
        at.collide(hash::message_key(at.topic.id, b"rare"), at.entry(0, n).physical);
    }
    let finder = at.finder();
    let page = finder.by_key("rare", search("t")).await.unwrap();
    assert!(page.messages.is_empty());
    let ask = Search {
        after: page.next,
        ..search("t")
    };
    let page = finder.by_key("rare", ask).await.unwrap();
    assert_eq!((names(&page.messages), page.next), (vec!["A".to_owned()], None));
}
