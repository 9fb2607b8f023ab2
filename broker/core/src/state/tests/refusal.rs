//! Commands that do not fit change nothing.

use super::*;

/// A busy state: pending, settled and fresh messages, and a held delivery.
fn busy() -> (Bench, DeliveryId) {
    let mut bench = Bench::with_group(true);
    bench.send_groups(&["a", "b", "a", "", "c"]);
    let delivery = bench.deliver("c", &[0, 1, 3]).delivery;
    bench.ack(1, delivery);
    (bench, delivery)
}

fn changes_nothing(bench: &mut Bench, what: &str, bytes: &[u8]) -> Refused {
    let (parts, now) = (encoded(&bench.state), bench.state.now());
    let (entries, ready) = (bench.seen.entries.len(), bench.seen.ready.len());
    let refused = bench.run_bytes(bytes).expect_err(what);
    assert_eq!(encoded(&bench.state), parts, "{what}");
    assert_eq!(bench.state.now(), now, "{what}");
    assert_eq!(
        (bench.seen.entries.len(), bench.seen.ready.len()),
        (entries, ready),
        "{what}"
    );
    refused
}

#[test]
fn a_command_cut_at_any_byte_changes_nothing() {
    let (mut bench, delivery) = busy();
    let settle = Settle {
        id: bench.id,
        change: Change::Done,
        items: vec![SettleItem {
            offset: QueueOffset(0),
            delivery,
        }],
    };
    let commands = [
        ("topic", topic_spec("new", 1).encode(START)),
        ("group", group_spec("new", false).encode(START)),
        ("deliver", bench.taking("c", &[2, 4]).encode(START)),
        ("settle", settle.encode(START)),
        ("level", encode_level(START, 1)),
    ];
    for (name, command) in commands {
        for end in 0..command.len() {
            let what = format!("{name} cut at {end}");
            let refused = changes_nothing(&mut bench, &what, &command.as_bytes()[..end]);
            assert!(matches!(refused, Refused::Malformed(_)), "{what}: {refused}");
        }
        let mut longer = command.as_bytes().to_vec();
        longer.push(0);
        changes_nothing(&mut bench, "a byte too many", &longer);
    }
}

#[test]
fn an_unknown_kind_changes_nothing() {
    let (mut bench, _) = busy();
    let mut bytes = encode_level(START + 99, 1).as_bytes().to_vec();
    for kind in [0, 6, 15, 22, 255] {
        bytes[8] = kind;
        changes_nothing(&mut bench, &format!("kind {kind}"), &bytes);
    }
}

#[test]
fn ids_that_do_not_exist_change_nothing() {
    let (mut bench, _) = busy();
    let good = bench.id;
    let (mut group, mut topic, mut queue) = (good, good, good);
    (group.group, topic.at.topic, queue.at.queue) = (GroupId(9), TopicId(9), QueueId(9));
    let no_queue = Refused::NoQueue(good.at.topic, QueueId(9));
    let wrong = [
        (group, Refused::NotSubscribed(GroupId(9), good.at.topic)),
        (topic, Refused::NoTopic(TopicId(9))),
        (queue, no_queue),
    ];
    for (id, expected) in wrong {
        let deliver = Deliver {
            id,
            ..bench.taking("c", &[4])
        };
        let refused = changes_nothing(&mut bench, "deliver", deliver.encode(START).as_bytes());
        assert_eq!(refused, expected);
        let settle = Settle {
            id,
            change: Change::Done,
            items: Vec::new(),
        };
        changes_nothing(&mut bench, "settle", settle.encode(START).as_bytes());
        let release = Release {
            id,
            client: "c".to_owned(),
            visible_in_ms: 0,
        };
        changes_nothing(&mut bench, "release", release.encode(START).as_bytes());
        let dead = DeadLetter {
            id,
            offset: QueueOffset(0),
            delivery: None,
            entry: QueueEntry::default(),
        };
        changes_nothing(&mut bench, "dead letter", dead.encode(START).as_bytes());
    }
}

#[test]
fn a_client_id_beyond_its_bound_is_refused() {
    let (mut bench, _) = busy();
    let longest = crate::limits::CLIENT_ID_MAX;
    let too_long = bench.taking(&"c".repeat(longest + 1), &[4]);
    changes_nothing(&mut bench, "client id", too_long.encode(START).as_bytes());
    let taken = bench.deliver(&"c".repeat(longest), &[4]);
    assert_eq!(offsets(&taken), [4]);
}

#[test]
fn a_refused_command_still_moves_time_and_digest() {
    let (mut bench, _) = busy();
    let (parts, digest) = (encoded(&bench.state), bench.state.digest());
    let refused = bench.run(topic_spec("orders", 1).encode(START + 77));
    assert_eq!(refused, Err(Refused::TopicExists(TopicId(0))));
    assert_eq!(bench.state.now(), START + 77);
    assert_ne!(bench.state.digest(), digest);
    assert_eq!(encoded(&bench.state), parts);
}

#[test]
fn offsets_and_times_at_the_ends_of_their_range_do_no_harm() {
    let (mut bench, delivery) = busy();
    let ends = [Change::VisibleIn(u64::MAX - 1), Change::HandBack(u64::MAX)];
    for change in [Change::Done].into_iter().chain(ends) {
        let far = [(u64::MAX, delivery), (u64::MAX - 1, DeliveryId(u64::MAX))];
        assert_eq!(bench.settle(change, &far).1, [false, false]);
    }
    let far = Deliver {
        invisible_ms: u64::MAX,
        skipped: vec![Span {
            start: QueueOffset(4),
            len: u64::MAX - 6,
        }],
        ..bench.taking("c", &[2, u64::MAX - 2])
    };
    assert!(
        bench.deliver_with(far).taken.is_empty(),
        "2 is locked, the other not there"
    );
    assert_eq!(bench.lag(), (1, 2));
    assert_eq!(bench.dead_letter(u64::MAX, None), Err(Refused::NotHeld));
    bench.release("c", u64::MAX);
    assert_eq!(bench.lag(), (1, 2));
}
