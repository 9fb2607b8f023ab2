//! Series that there are one of for each topic or group, over state without a store.

use super::*;
use sluice_core::command::{
    CreateGroup, CreateTopic, DeleteGroup, DeleteTopic, EncodedCommand, PutTopic, Terms, TopicSpec, Types,
    encode_level,
};
use sluice_core::ids::{LogIndex, PhysicalOffset};
use sluice_core::state::{CommandAt, LEVEL, State};
use std::time::Duration;

/// How long the broker keeps messages.
const KEPT: Duration = Duration::from_secs(72 * 3_600);

fn apply(state: &mut State, command: &EncodedCommand) {
    let at = CommandAt {
        index: LogIndex(0),
        place: 0,
        physical: PhysicalOffset(0),
    };
    state.apply(at, command.as_bytes(), &mut ()).unwrap();
}

fn state() -> State {
    let mut state = State::new();
    for level in 1..=LEVEL {
        apply(&mut state, &encode_level(1, level));
    }
    let topic = CreateTopic {
        name: "orders".to_owned(),
        queues: 8,
        types: Types::ALL,
    };
    apply(&mut state, &topic.encode(1));
    apply(&mut state, &CreateGroup::on_first_use("readers").encode(1));
    state
}

/// The lines that have this in them.
fn lines<'a>(text: &'a str, label: &str) -> Vec<&'a str> {
    let lines = text.lines().filter(|line| line.contains(label));
    lines.collect()
}

#[test]
fn series_go_with_their_topic_and_their_group() {
    let common = Common::new(&[("node_id", "a")]);
    let (mut topics, traffic) = (Topics::new(common.clone()), TrafficMetrics::new(common.clone()));
    let mut state = state();
    let tables = Arc::clone(state.tables());
    let (topic, group) = (tables.topic("orders").unwrap(), tables.group("readers").unwrap());
    traffic.in_to(&topic, "normal").count(2000);
    traffic.out_of(&topic, &group).count(2000);
    let mut tell = || {
        let mut page = Page::new(&common, 0);
        topics.write(&mut page, &tables, KEPT);
        traffic.write(&mut page, &tables);
        page.finish()
    };
    let text = tell();
    for line in [
        "rocketmq_topic_queue_number{node_id=\"a\",topic=\"orders\",perm=\"write\"} 8",
        "rocketmq_messages_in_total{node_id=\"a\",topic=\"orders\",message_type=\"normal\",is_system=\"false\"} 1",
        "rocketmq_send_to_dlq_messages_total{node_id=\"a\",consumer_group=\"readers\",topic=\"%DLQ%readers\",is_system=\"true\"} 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert_eq!(lines(&text, "consumer_group=\"readers\"").len(), 3);
    let (only_if_empty, terms) = (false, Terms::default());
    let delete = DeleteTopic {
        topic: topic.id,
        only_if_empty,
        terms,
    };
    apply(&mut state, &delete.encode(2));
    let text = tell();
    assert_eq!(lines(&text, "\"orders\""), Vec::<&str>::new());
    assert_eq!(
        lines(&text, "consumer_group=\"readers\"").len(),
        1,
        "its dead letters"
    );
    let delete = DeleteGroup {
        group: group.id,
        only_if_empty,
        terms,
    };
    apply(&mut state, &delete.encode(3));
    assert_eq!(lines(&tell(), "readers"), Vec::<&str>::new());
}

#[test]
fn nobody_writes_to_the_queues_of_a_closed_topic_and_all_can_be_read() {
    let common = Common::new(&[]);
    let mut topics = Topics::new(common.clone());
    let mut state = state();
    let tables = Arc::clone(state.tables());
    let closed = PutTopic {
        spec: TopicSpec {
            closed: true,
            ..tables.topic("orders").unwrap().spec.clone()
        },
        keep_queues: true,
        terms: Terms::default(),
    };
    apply(&mut state, &closed.encode(2));
    let mut page = Page::new(&common, 0);
    topics.write(&mut page, &tables, KEPT);
    let text = page.finish();
    assert!(text.contains("{topic=\"orders\",perm=\"read\"} 8\n"), "{text}");
    assert!(text.contains("{topic=\"orders\",perm=\"write\"} 0\n"), "{text}");
}

#[test]
fn a_topic_tells_how_long_and_how_many_messages_it_keeps_where_that_is_its_own() {
    let common = Common::new(&[]);
    let mut topics = Topics::new(common.clone());
    let mut state = state();
    let tables = Arc::clone(state.tables());
    for (own, kept, expected) in [
        (0, KEPT, None),
        (
            24,
            KEPT,
            Some("sluice_topic_retention_seconds{topic=\"orders\"} 86400"),
        ),
        (72, KEPT, None),
        (
            73,
            KEPT,
            Some("sluice_topic_retention_seconds{topic=\"orders\"} 262800"),
        ),
        (144, 2 * KEPT, None),
    ] {
        let put = PutTopic {
            spec: TopicSpec {
                retention_hours: own,
                retention_bytes: u64::from(own) << 20,
                ..tables.topic("orders").unwrap().spec.clone()
            },
            keep_queues: true,
            terms: Terms::default(),
        };
        apply(&mut state, &put.encode(2));
        let mut page = Page::new(&common, 0);
        topics.write(&mut page, &tables, kept);
        let text = page.finish();
        let found = lines(&text, "sluice_topic_retention_seconds{");
        assert_eq!(found, Vec::from_iter(expected), "{own} hours, of {kept:?}");
        let bound = format!(
            "sluice_topic_retention_bytes{{topic=\"orders\"}} {}",
            u64::from(own) << 20
        );
        let expected = Some(bound.as_str()).filter(|_| own > 0);
        let found = lines(&text, "sluice_topic_retention_bytes{");
        assert_eq!(found, Vec::from_iter(expected), "{own} MiB");
    }
}
