use super::*;
use crate::entry::QueueEntry;
use crate::ids::*;
use crate::record::NewRecord;
use proptest::prelude::*;

mod retention;

const NOW: TimeMs = 1_795_000_000_000;

fn id() -> GroupQueueId {
    GroupQueueId {
        group: GroupId(300),
        at: TopicQueue {
            topic: TopicId(4000),
            queue: QueueId(15),
        },
    }
}

fn comes_back(encoded: &EncodedCommand, expected: Command<'_>) {
    assert_eq!(check(encoded.as_bytes()), Ok(()));
    let (time, command) = Command::decode(encoded.as_bytes()).unwrap();
    assert_eq!((time, command), (NOW, expected));
}

fn deliver(n: u64) -> Deliver {
    Deliver {
        id: id(),
        client: "host.example@4711@0@3f9a2c1b7d6e".to_owned(),
        attempt_id: 0x1234_5678_9abc_def0,
        auto_renew: true,
        resume: false,
        standing: Standing {
            in_order: true,
            moves: 0,
        },
        invisible_ms: 60_000,
        taken: (0..n)
            .map(|i| Take {
                offset: QueueOffset(9_000_000_000 + i * 2),
                group_hash: 0,
            })
            .collect(),
        skipped: vec![Span {
            start: QueueOffset(9_000_000_001),
            len: 1,
        }],
    }
}

fn settle(n: u64) -> Settle {
    let delivery = DeliveryId::new(LogIndex(5_000_000_000), 17);
    let item = |i| SettleItem {
        offset: QueueOffset(9_000_000_000 + i),
        delivery,
    };
    Settle {
        id: id(),
        change: Change::Done,
        items: (0..n).map(item).collect(),
    }
}

#[test]
fn every_command_comes_back() {
    let entry = QueueEntry {
        physical: PhysicalOffset(77),
        size: 5,
        ..QueueEntry::default()
    };
    let topic = CreateTopic {
        name: "orders".into(),
        queues: 4,
        types: Types::ALL,
    };
    let group = CreateGroup::on_first_use("workers");
    let membership = Membership {
        voters: vec![Voter {
            node: 1,
            name: "broker-a".into(),
        }],
    };
    let subscribe = Subscribe {
        group: GroupId(1),
        topic: TopicId(2),
    };
    let release = Release {
        id: id(),
        client: "c".into(),
        visible_in_ms: 1000,
    };
    let dead = DeadLetter {
        id: id(),
        offset: QueueOffset(8),
        delivery: Some(DeliveryId(0)),
        entry,
    };
    comes_back(&encode_level(NOW, 1), Command::Level(1));
    comes_back(&topic.encode(NOW), Command::CreateTopic(topic));
    comes_back(&group.encode(NOW), Command::CreateGroup(group));
    comes_back(&membership.encode(NOW), Command::Membership(membership));
    comes_back(&subscribe.encode(NOW), Command::Subscribe(subscribe));
    comes_back(&deliver(32).encode(NOW), Command::Deliver(deliver(32)));
    let moved = Deliver {
        standing: Standing {
            in_order: true,
            moves: 300,
        },
        ..deliver(2)
    };
    comes_back(&moved.encode(NOW), Command::Deliver(moved));
    comes_back(&settle(32).encode(NOW), Command::Settle(settle(32)));
    comes_back(&release.encode(NOW), Command::Release(release));
    comes_back(&dead.encode(NOW), Command::DeadLetter(dead));
    let unanswered = Unanswered {
        id: id(),
        hidden_until_min: NOW + 1,
        visible_in_ms: 60_000,
    };
    comes_back(&unanswered.encode(NOW), Command::Unanswered(unanswered));
    let nack = Settle {
        change: Change::VisibleIn(0),
        ..settle(1)
    };
    comes_back(&nack.encode(NOW), Command::Settle(nack));
    let hand_back = Settle {
        change: Change::HandBack(1000),
        ..settle(3)
    };
    comes_back(&hand_back.encode(NOW), Command::Settle(hand_back));
}

#[test]
fn every_command_of_level_2_comes_back() {
    let terms = Terms {
        expected_generation: Some(0),
        epoch: 7,
    };
    let topic = PutTopic {
        spec: TopicSpec {
            name: "orders".into(),
            queues: 8,
            types: Types::FIFO,
            closed: true,
            retention_hours: 0,
            retention_bytes: 0,
        },
        keep_queues: true,
        terms,
    };
    let subscription = |topic: &str| StaticSubscription {
        topic: topic.into(),
        expression: "a || b".into(),
    };
    let group = PutGroup {
        spec: GroupSpec {
            fifo: true,
            start_from: StartFrom::Time(NOW),
            receive_batch: 5,
            long_poll_ms: 3000,
            invisible_ms: 90_000,
            subscriptions: vec![subscription("orders"), subscription("mails")],
            ..GroupSpec::on_first_use("workers")
        },
        terms: Terms::default(),
    };
    let topic_gone = DeleteTopic {
        topic: TopicId(300),
        only_if_empty: true,
        terms,
    };
    let group_gone = DeleteGroup {
        group: GroupId(300),
        only_if_empty: false,
        terms: Terms::default(),
    };
    let subscribe = SubscribeAt {
        group: GroupId(1),
        topic: TopicId(2),
        floors: vec![QueueOffset(0), QueueOffset(1 << 40)],
    };
    let fence = Fence {
        holder: "operator-0".into(),
    };
    comes_back(&topic.encode(NOW), Command::PutTopic(topic));
    comes_back(&group.encode(NOW), Command::PutGroup(group));
    comes_back(&topic_gone.encode(NOW), Command::DeleteTopic(topic_gone));
    comes_back(&group_gone.encode(NOW), Command::DeleteGroup(group_gone));
    comes_back(&subscribe.encode(NOW), Command::SubscribeAt(subscribe));
    comes_back(&fence.encode(NOW), Command::Fence(fence));
    for target in [
        Target::Offset(QueueOffset(1 << 40)),
        Target::Latest,
        Target::Newest(9),
    ] {
        let (id, epoch) = (id(), 3);
        let floor = SetFloor { id, target, epoch };
        comes_back(&floor.encode(NOW), Command::SetFloor(floor));
    }
}

#[test]
fn a_group_of_level_1_does_not_start_at_a_time() {
    let group = CreateGroup {
        start_from: StartFrom::Time(NOW),
        ..CreateGroup::on_first_use("workers")
    };
    assert_eq!(
        Command::decode(group.encode(NOW).as_bytes()),
        Err(Malformed::Range("start position"))
    );
}

#[test]
fn an_append_carries_its_record_and_hashes() {
    let host = "127.0.0.1:1".parse().unwrap();
    let record = NewRecord {
        topic: "orders",
        queue: 2,
        body: b"hello",
        properties: b"",
        born_ms: 1,
        born_host: host,
        store_ms: NOW,
        store_host: host,
    };
    let message = NewMessage {
        topic: TopicId(9),
        tag: Some("TagA"),
        message_group: None,
        record,
    };
    let encoded = message.encode();
    let (time, Command::Append(append)) = Command::decode(encoded.as_bytes()).unwrap() else {
        panic!("an append")
    };
    assert_eq!(
        (time, append.tag_hash, append.kind),
        (NOW, 2_598_919, MessageKind::Normal)
    );
    assert_eq!(&encoded.as_bytes()[APPEND_RECORD_AT..], append.record);
    assert_eq!(
        crate::record::Record::parse(append.record).unwrap().body,
        b"hello"
    );
    assert!(encoded.is_append());
}

#[test]
fn deliveries_and_acknowledgements_stay_within_their_budget_of_log() {
    let settle = settle(32).encode(NOW).len();
    let deliver = |moves| {
        let standing = Standing {
            in_order: true,
            moves,
        };
        let deliver = Deliver {
            standing,
            ..deliver(32)
        };
        deliver.encode(NOW).len()
    };
    for moves in [0, 1, u32::MAX] {
        let deliver = deliver(moves);
        assert!(
            deliver + settle <= 32 * 24,
            "a batch of 32 costs {deliver} + {settle} bytes after {moves} moves"
        );
    }
    let more = |moves| deliver(moves) - deliver(0);
    assert_eq!(
        [1, 127, 128, u32::MAX].map(more),
        [1, 1, 2, 5],
        "moves cost what they are"
    );
    let lone = self::settle(1).encode(NOW).len();
    assert!(lone <= 40, "a lone acknowledgement costs {lone} bytes");
}

#[test]
fn no_command_is_longer_than_it_says_it_may_be() {
    let id = GroupQueueId {
        group: GroupId(u32::MAX),
        at: TopicQueue {
            topic: TopicId(u32::MAX),
            queue: QueueId(u32::MAX),
        },
    };
    let far = QueueOffset(u64::MAX - 8);
    let bare = Deliver {
        id,
        client: "c".repeat(crate::limits::CLIENT_ID_MAX),
        standing: Standing {
            in_order: true,
            moves: u32::MAX,
        },
        invisible_ms: u64::MAX,
        taken: Vec::new(),
        skipped: Vec::new(),
        ..deliver(0)
    };
    let full = Deliver {
        taken: vec![Take {
            offset: far,
            group_hash: u32::MAX,
        }],
        skipped: vec![Span { start: far, len: 8 }],
        ..bare.clone()
    };
    let dead = DeadLetter {
        id,
        offset: far,
        delivery: Some(DeliveryId(u64::MAX - 1)),
        entry: QueueEntry::default(),
    };
    let (bare, full) = (bare.encode(u64::MAX).len(), full.encode(u64::MAX).len());
    let (bare_max, dead_max) = (Deliver::BYTES_MAX, DeadLetter::BYTES_MAX);
    let full_max = bare_max + Deliver::TAKEN_BYTES_MAX + Deliver::SKIPPED_BYTES_MAX;
    assert!(bare <= bare_max, "{bare} > {bare_max}");
    assert!(full <= full_max, "{full} > {full_max}");
    // As tight as they are, so that they bound nothing away.
    assert!(full_max - full <= 3 * 10, "{full_max} is far from {full}");
    assert_eq!(dead.encode(u64::MAX).len(), dead_max);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 9..200), kind in 0_u8..27) {
        bytes[COMMAND_HEADER_BYTES] = kind;
        let _ = Command::decode(&bytes);
        let _ = check(&bytes);
    }

    #[test]
    fn a_flipped_bit_is_noticed(at in 0_usize..10_000, bit in 0_u8..8) {
        let mut bytes = deliver(8).encode(NOW).as_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert!(check(&bytes).is_err());
    }

    #[test]
    fn a_cut_command_is_refused(n in 0_u64..40, cut in 1_usize..60) {
        let bytes = deliver(n).encode(NOW);
        let end = bytes.len().saturating_sub(cut).max(COMMAND_HEADER_BYTES);
        prop_assert!(Command::decode(&bytes.as_bytes()[..end]).is_err());
    }
}
