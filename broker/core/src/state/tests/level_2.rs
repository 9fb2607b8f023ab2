//! Level 2 itself: unknown below it, and kept by checkpoints.

use super::administer::{delete_group, delete_topic, present, put_group, put_topic};
use super::*;
use crate::command::{Fence, SetFloor, StartFrom, StaticSubscription, SubscribeAt, Target};

#[test]
fn below_level_2_its_kinds_are_unknown_and_not_even_time_moves() {
    let mut bench = Bench::with_group(false);
    let later = START + 500;
    let id = bench.id;
    let (group, topic, target) = (id.group, id.at.topic, Target::Latest);
    let holder = "operator".to_owned();
    let floors = Vec::new();
    let commands = [
        put_topic("new", 1).encode(later),
        put_group("new").encode(later),
        delete_topic(topic, false).encode(later),
        delete_group(group, false).encode(later),
        SubscribeAt { group, topic, floors }.encode(later),
        SetFloor { id, target, epoch: 0 }.encode(later),
        Fence { holder }.encode(later),
    ];
    let before = encoded(&bench.state);
    for command in commands {
        let refused = bench.run(command);
        assert_eq!(
            refused,
            Err(Refused::Malformed(crate::codec::Malformed::Range("command kind")))
        );
        assert_eq!(bench.state.now(), START);
    }
    assert_eq!(encoded(&bench.state), before);
}

/// Something of all that level 2 adds, beside a topic and a group that could be of level 1.
fn full() -> Bench {
    let mut bench = Bench::at_level_2(false);
    bench.run(put_topic("plain", 1).encode(START)).unwrap();
    let mut closed = put_topic("orders", 3);
    closed.spec.closed = true;
    bench.run(closed.encode(START)).unwrap();
    let mut group = put_group("workers");
    group.spec.start_from = StartFrom::Time(7);
    group.spec.invisible_ms = 90_000;
    group.spec.subscriptions = vec![StaticSubscription {
        topic: "orders".to_owned(),
        expression: "a || b".to_owned(),
    }];
    bench.run(group.encode(START)).unwrap();
    let holder = "operator".to_owned();
    bench.run(Fence { holder }.encode(START)).unwrap();
    bench.group("others", false);
    bench
}

#[test]
fn what_level_2_adds_comes_back_from_a_checkpoint() {
    let mut bench = full();
    let (parts, header) = (encoded(&bench.state), bench.state.snapshot().header);
    let restore = || {
        let parts = parts.iter().map(|(key, bytes)| (*key, bytes.as_slice()));
        State::restore(&header, parts).unwrap()
    };
    let back = restore();
    assert_eq!(encoded(&back), parts);
    assert_eq!(back.tables().fenced(), bench.state.tables().fenced());
    let (topic, restored) = (present(&bench).0, back.tables().topic("orders").unwrap());
    assert_eq!(
        (&restored.spec, restored.generation),
        (&topic.spec, topic.generation)
    );
    let (group, restored) = (present(&bench).1, back.tables().group("workers").unwrap());
    assert_eq!(
        (&restored.spec, restored.generation),
        (&group.spec, group.generation)
    );
}

#[test]
fn parts_of_level_2_that_are_cut_are_refused_and_plain_ones_have_the_bytes_of_level_1() {
    let mut bench = full();
    let (parts, header) = (encoded(&bench.state), bench.state.snapshot().header);
    let of = |key| {
        let found = parts.iter().find(|(other, _)| *other == key);
        found.unwrap().1.clone()
    };
    assert_eq!(of(ShardKey::Topic(TopicId(1))), b"\x05plain\x03\x01\x00");
    assert_eq!(of(ShardKey::Group(GroupId(1)))[..9], *b"\x06others\x00\x03");
    for (key, bytes) in &parts {
        for end in 0..bytes.len() {
            let mut cut = parts.clone();
            cut.iter_mut()
                .filter(|(other, _)| other == key)
                .for_each(|(_, bytes)| bytes.truncate(end));
            let cut = cut.iter().map(|(key, bytes)| (*key, bytes.as_slice()));
            assert!(State::restore(&header, cut).is_err(), "{key:?} cut at {end}");
        }
    }
    for end in 0..header.len() {
        assert!(State::restore(&header[..end], []).is_err(), "header cut at {end}");
    }
}

#[test]
fn a_command_of_level_2_cut_at_any_byte_changes_nothing() {
    let mut bench = full();
    let (id, target, terms) = (bench.id, Target::Newest(300), Default::default());
    let subscription = StaticSubscription {
        topic: "orders".to_owned(),
        expression: "a".to_owned(),
    };
    let mut group = put_group("new");
    group.spec.subscriptions = vec![subscription];
    let (group_id, topic) = (id.group, id.at.topic);
    let floors = vec![QueueOffset(300)];
    let holder = "operator".to_owned();
    let commands = [
        put_topic("new", 3).encode(START),
        crate::command::PutGroup { terms, ..group }.encode(START),
        delete_topic(topic, false).encode(START),
        delete_group(group_id, false).encode(START),
        SubscribeAt {
            group: group_id,
            topic,
            floors,
        }
        .encode(START),
        SetFloor {
            id,
            target,
            epoch: 300,
        }
        .encode(START),
        Fence { holder }.encode(START),
    ];
    let before = encoded(&bench.state);
    for command in commands {
        let bytes = command.as_bytes();
        for end in 0..bytes.len() {
            let refused = bench.run_bytes(&bytes[..end]);
            assert!(
                matches!(refused, Err(Refused::Malformed(_))),
                "{bytes:?} cut at {end}"
            );
        }
        let longer = [bytes, &[0]].concat();
        assert!(matches!(bench.run_bytes(&longer), Err(Refused::Malformed(_))));
    }
    assert_eq!(encoded(&bench.state), before);
}
