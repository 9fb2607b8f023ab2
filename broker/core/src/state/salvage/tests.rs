use super::*;
use crate::command::{CreateGroup, CreateTopic, EncodedCommand, GroupSpec, PutGroup, Subscribe, Terms};
use crate::ids::{LogIndex, PhysicalOffset};
use crate::state::CommandAt;
use std::sync::atomic::Ordering;

fn at(n: u64) -> CommandAt {
    CommandAt {
        index: LogIndex(n),
        place: 0,
        physical: PhysicalOffset(n * 100),
    }
}

fn state() -> State {
    let mut state = State::new();
    let topic = CreateTopic {
        name: "orders".to_owned(),
        queues: 2,
        types: Types::ALL,
    };
    let subscribe = Subscribe {
        group: GroupId(0),
        topic: TopicId(0),
    };
    let commands = [
        topic.encode(1),
        CreateGroup::on_first_use("readers").encode(1),
        subscribe.encode(1),
    ];
    for (n, command) in (0..).zip(commands) {
        state.apply(at(n), command.as_bytes(), &mut ()).unwrap();
    }
    let topic = state.tables.topic_by_id(TopicId(0)).unwrap();
    topic
        .tails
        .iter()
        .for_each(|tail| tail.store(7, Ordering::Release));
    state
}

/// The state again, of which this part is lost.
fn without(key: ShardKey, found: Option<FoundTopic>) -> (State, Vec<Salvaged>) {
    let mut state = state();
    let header = state.snapshot().header;
    let parts: Vec<(ShardKey, Vec<u8>)> = state
        .all_views()
        .into_iter()
        .map(|(key, view)| {
            let mut bytes = Vec::new();
            view.encode(&mut bytes);
            (key, bytes)
        })
        .collect();
    let (there, lost): (Vec<_>, Vec<_>) = parts.iter().partition(|(found, _)| *found != key);
    assert_eq!(lost.len(), 1);
    let remains = Remains {
        header: &header,
        parts: there
            .iter()
            .map(|(key, bytes)| (*key, bytes.as_slice()))
            .collect(),
        lost: vec![(key, None)],
        topics: found.map(|found| (TopicId(0), found)).into_iter().collect(),
        ..Remains::default()
    };
    State::salvage(&remains).unwrap()
}

const AT: GroupQueueId = GroupQueueId {
    group: GroupId(0),
    at: TopicQueue {
        topic: TopicId(0),
        queue: QueueId(1),
    },
};

#[test]
fn a_lost_hold_begins_again_and_the_other_stays() {
    let (state, done) = without(ShardKey::GroupQueue(AT), None);
    assert_eq!(done, [Salvaged::NewHold(AT)]);
    let subscription = state.tables.subscription(AT.group, AT.at.topic).unwrap();
    assert_eq!(subscription.shards.len(), 2);
    assert!(subscription.shards[1].read(|hold| hold.is_fresh(QueueOffset(0))));
}

#[test]
fn a_lost_topic_is_what_its_queues_and_records_say_and_else_gone() {
    let found = FoundTopic {
        count: 0,
        name: Some("orders".to_owned()),
        queues: [(0, (2, 7)), (1, (0, 5))].into(),
    };
    let (state, done) = without(ShardKey::Topic(TopicId(0)), Some(found));
    assert_eq!(done, [Salvaged::Topic(TopicId(0))]);
    let topic = state.tables.topic("orders").unwrap();
    assert_eq!(
        (
            topic.first(QueueId(0)).unwrap().0,
            topic.tail(QueueId(0)).unwrap().0
        ),
        (2, 7)
    );
    assert_eq!(topic.tail(QueueId(1)).unwrap().0, 5);
    let shards = state.tables.subscription(GroupId(0), TopicId(0)).unwrap().shards;
    let stands = shards[0].read(|hold| (hold.floor().0, hold.expired()));
    assert_eq!(
        stands,
        (2, 0),
        "it goes on where the queue begins, and retention took nothing"
    );
    let (state, done) = without(ShardKey::Topic(TopicId(0)), None);
    assert_eq!(done, [Salvaged::NoTopic(TopicId(0))]);
    assert!(state.tables.subscription(GroupId(0), TopicId(0)).is_none());
    assert_eq!(state.next_ids().0, TopicId(1), "its id is not given again");
}

#[test]
fn a_lost_group_is_gone_with_what_it_held() {
    let (state, done) = without(ShardKey::Group(GroupId(0)), None);
    assert_eq!(done, [Salvaged::NoGroup(GroupId(0))]);
    assert!(state.tables.topic("orders").is_some());
    assert!(state.tables.subscription(GroupId(0), TopicId(0)).is_none());
    assert_eq!(state.next_ids().1, GroupId(1));
}

#[test]
fn what_the_log_says_of_groups_counts_if_it_agrees_with_the_later_checkpoint() {
    let log = ["late", "readers", "later"].map(|name| CreateGroup::on_first_use(name).encode(1));
    let mut state = state();
    let before = state.snapshot().header;
    let mut readers = Vec::new();
    let views = state.all_views().into_iter();
    views
        .filter(|(key, _)| *key == ShardKey::Group(GroupId(0)))
        .for_each(|(_, view)| view.encode(&mut readers));
    for (n, command) in (3..).zip(&log) {
        // The second one is there.
        let _ = state.apply(at(n), command.as_bytes(), &mut ());
    }
    let later = state.snapshot().header;
    let fold = |knows_readers: bool, left_out: Option<usize>, of_later: &str| {
        let parts = [(GroupId(0), readers.as_slice())];
        let parts = parts.into_iter().filter(|_| knows_readers);
        let mut fold = GroupFold::from_checkpoint(&before, parts).unwrap();
        for (n, command) in log.iter().enumerate().filter(|(n, _)| Some(*n) != left_out) {
            fold.command(at(3 + n as u64), command.as_bytes(), |_| true);
        }
        let found = fold.finish(&later, &[(GroupId(2), of_later.to_owned())].into());
        found.map(|groups| {
            let named = groups.into_iter();
            let named = named.map(|(id, group)| (id.0, group.spec.name.clone()));
            named.collect::<Vec<_>>()
        })
    };
    let named = |id: u32, name: &str| (id, name.to_owned());
    let all = vec![named(0, "readers"), named(1, "late"), named(2, "later")];
    assert_eq!(fold(true, None, "later"), Some(all));
    assert_eq!(fold(true, Some(0), "later"), None, "an id is missing");
    assert_eq!(fold(false, None, "later"), None, "it may have been refused");
    assert_eq!(fold(true, None, "other"), None, "names are others");
}

#[test]
fn behind_a_gap_a_change_that_may_have_made_its_group_leaves_only_those_before_the_gap() {
    let mut state = State::new();
    let level = |level| crate::command::encode_level(1, level);
    let mut n = 0;
    let mut apply = |command: &EncodedCommand| {
        n += 1;
        state.apply(at(n), command.as_bytes(), &mut ()).unwrap();
    };
    let create = |name: &str| CreateGroup::on_first_use(name).encode(1);
    let put = |name: &str, expected_generation| {
        let put = PutGroup {
            spec: GroupSpec {
                max_attempts: 3,
                ..GroupSpec::on_first_use(name)
            },
            terms: Terms {
                expected_generation,
                ..Terms::default()
            },
        };
        put.encode(1)
    };
    let log = [
        level(1),
        level(2),
        create("before"),
        create("lost"),
        create("behind"),
        put("lost", None),
    ];
    log.iter().for_each(&mut apply);
    let later = state.snapshot().header;
    let told = |last: EncodedCommand| {
        let mut fold = GroupFold::default();
        for (n, command) in (1..).zip(log[..5].iter().chain([&last])) {
            match n {
                4 => fold.gap(),
                _ => fold.command(at(n), command.as_bytes(), |_| true),
            }
        }
        let found = fold.finish(&later, &BTreeMap::new())?;
        let names = found.values().map(|group| group.spec.name.clone());
        Some(names.collect::<Vec<_>>())
    };
    // As many ids as there were, and two of them are others.
    assert_eq!(told(put("lost", None)), Some(vec!["before".to_owned()]));
    assert_eq!(told(put("behind", None)), None, "an id is missing");
}
