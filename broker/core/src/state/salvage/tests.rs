use super::*;
use crate::command::{CreateGroup, CreateTopic, Subscribe};
use crate::ids::{LogIndex, PhysicalOffset};
use crate::state::CommandAt;
use std::sync::atomic::Ordering;

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
        let at = CommandAt {
            index: LogIndex(n),
            place: 0,
            physical: PhysicalOffset(n * 100),
        };
        state.apply(at, command.as_bytes(), &mut ()).unwrap();
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
        carried: Vec::new(),
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
