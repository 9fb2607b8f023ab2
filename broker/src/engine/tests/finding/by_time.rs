//! Over all queues by time, in pages.

use super::*;
use sluice_core::limits;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_a_time_come_oldest_first_over_all_queues_and_in_pages() {
    let setup = Setup {
        queues: 5,
        ..Setup::default()
    };
    let at = setup.make().await;
    let mut expected = Vec::new();
    for n in 0..300_u32 {
        let (queue, id) = (n * 7 % 4, format!("{n:03}"));
        at.put(Message { queue, ..of(&id) }).await;
        let put_ms = at.engine.tables().now();
        expected.push((put_ms, queue, id));
        at.pass(u64::from(n % 10 == 0));
    }
    expected.sort();
    let start = at.entry(0, 0).put_ms;
    let finder = at.finder();
    for (from, to, max) in [
        (0, u64::MAX, 1000),
        (0, u64::MAX, 7),
        (0, u64::MAX, 1),
        (start + 5, start + 9, 3),
        (start + 5, start + 5, 3),
        (start + 1000, u64::MAX, 3),
    ] {
        let within = expected.iter().filter(|(put_ms, ..)| (from..to).contains(put_ms));
        let within: Vec<String> = within.map(|(_, _, id)| id.clone()).collect();
        let mut ask = Search {
            times: from..to,
            max,
            ..search("t")
        };
        let mut found = Vec::new();
        loop {
            let page = finder.by_time(ask.clone()).await.unwrap();
            found.extend(names(&page.messages));
            ask.after = page.next;
            if ask.after.is_none() {
                break;
            }
            assert_eq!(page.messages.len(), max);
        }
        assert_eq!(found, within, "{from} to {to} by {max}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_between_two_pages_is_neither_missed_nor_repeated() {
    let setup = Setup {
        queues: 3,
        ..Setup::default()
    };
    let at = setup.make().await;
    let put = |queue, id| at.put(Message { queue, ..of(id) });
    put(1, "a").await;
    put(2, "b").await;
    put(2, "c").await;
    let finder = at.finder();
    let ask = |after, max| Search {
        after,
        max,
        ..search("t")
    };
    let page = finder.by_time(ask(None, 2)).await.unwrap();
    assert_eq!(names(&page.messages), ["a", "b"]);
    // All of the same millisecond, in queues before and behind where the page ended.
    put(0, "d").await;
    put(1, "e").await;
    put(2, "f").await;
    let page = finder.by_time(ask(page.next, 10)).await.unwrap();
    assert_eq!(names(&page.messages), ["d", "e", "c", "f"]);
    assert_eq!(page.next, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_of_other_searches_are_refused() {
    let at = fixture(false, 17).await;
    let other = at.engine.create_topic(files::one_queue("other")).await.unwrap();
    for id in ["A", "B"] {
        for topic in [&at.topic, &other] {
            at.put_in(topic, Message { keys: "k", ..of(id) }).await;
        }
    }
    let finder = at.finder();
    let one = |topic: &str| Search {
        max: 1,
        ..search(topic)
    };
    let by_key = finder.by_key("k", one("t")).await.unwrap().next;
    let by_time = finder.by_time(one("t")).await.unwrap().next;
    let elsewhere = finder.by_time(one("other")).await.unwrap().next;
    let refused = Some(FindError::Position("t".into()));
    for after in [&by_key, &elsewhere, &Some("nonsense".into())] {
        assert!(after.is_some());
        let ask = Search {
            after: after.clone(),
            ..search("t")
        };
        assert_eq!(finder.by_time(ask).await.err(), refused, "{after:?}");
    }
    let ask = Search {
        after: by_time,
        ..search("t")
    };
    assert_eq!(finder.by_key("k", ask.clone()).await.err(), refused);
    assert_eq!(names(&finder.by_time(ask).await.unwrap().messages), ["B"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_ends_after_so_many_bytes_and_says_where_the_next_begins() {
    const EACH: usize = 4 << 20;
    let setup = Setup {
        segment_bytes: 128 << 20,
        ..Setup::default()
    };
    let at = setup.make().await;
    let body = "x".repeat(EACH.min(limits::BODY_BYTES_MAX));
    for _ in 0..9 {
        at.send(&body, None).await;
    }
    let finder = at.finder();
    let first = finder.by_time(search("t")).await.unwrap();
    assert_eq!(first.messages.len(), 8);
    let ask = Search {
        after: first.next,
        ..search("t")
    };
    let second = finder.by_time(ask).await.unwrap();
    assert_eq!((second.messages.len(), second.next), (1, None));
}
