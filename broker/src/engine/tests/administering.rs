//! Topics and groups put and deleted through the engine, static subscriptions, the fence.

use super::*;
use sluice_core::command::{GroupSpec, PutGroup, PutTopic, StartFrom, StaticSubscription, Terms, TopicSpec};
use sluice_core::ids::QueueOffset;
use sluice_core::state::{Changed, Put, Refused};

pub(super) fn topic_put(name: &str, queues: u32) -> PutTopic {
    PutTopic {
        spec: TopicSpec {
            name: name.to_owned(),
            queues,
            types: Types::ALL,
            closed: false,
            retention_hours: 0,
            retention_bytes: 0,
        },
        keep_queues: false,
        terms: Terms::default(),
    }
}

pub(super) fn group_put(name: &str) -> PutGroup {
    PutGroup {
        spec: GroupSpec::on_first_use(name),
        terms: Terms::default(),
    }
}

pub(super) fn reading(topic: &str, expression: &str) -> StaticSubscription {
    StaticSubscription {
        topic: topic.to_owned(),
        expression: expression.to_owned(),
    }
}

impl Fixture {
    fn floors(&self, group: &str, topic: &str) -> Vec<u64> {
        let offsets = self.engine.offsets(group, Some(topic)).unwrap();
        offsets.iter().map(|queue| queue.floor.0).collect()
    }
}

#[tokio::test]
async fn a_topic_is_made_changed_and_deleted_by_name() {
    let at = fixture(false, 17).await;
    let made = at.engine.put_topic(topic_put("new", 2)).await.unwrap();
    assert_eq!((made.how, made.topic.generation), (Put::Created, 1));
    let grown = at.engine.put_topic(topic_put("new", 5)).await.unwrap();
    assert_eq!(
        (grown.how, grown.topic.generation, grown.topic.spec.queues),
        (Put::Changed, 2, 5)
    );
    let same = at.engine.put_topic(topic_put("new", 5)).await.unwrap();
    assert_eq!((same.how, same.topic.generation), (Put::Unchanged, 2));
    assert_eq!(at.engine.delete_topic("new", true, Terms::default()).await, Ok(0));
    let gone = at.engine.delete_topic("new", true, Terms::default()).await;
    assert_eq!(gone, Err(EngineError::NoTopic("new".to_owned())));
}

#[tokio::test]
async fn nobody_is_told_to_make_a_topic_that_only_the_broker_makes() {
    let at = fixture(false, 17).await;
    for (name, told) in [
        ("nowhere", ": make it first, or look at the list of topics"),
        (
            "%DLQ%g",
            " yet: the broker makes a group's dead-letter topic itself, with the group's first dead letter",
        ),
        (
            "%RETRY%g",
            ", and there will be none: a message is tried again in the topic that it was sent to",
        ),
    ] {
        let refused = at.engine.topic_named(name).unwrap_err();
        assert_eq!(refused.to_string(), format!("there is no topic '{name}'{told}"));
    }
}

#[tokio::test]
async fn no_group_is_made_under_a_systems_name_and_one_that_is_there_goes_on() {
    let at = fixture(false, 17).await;
    for name in ["%DLQ%g", "%RETRY%g", "CID_RMQ_SYS_TRANS", "TBW102"] {
        let refused = at.engine.put_group(group_put(name)).await;
        assert!(
            matches!(refused, Err(EngineError::NoGroupName { .. })),
            "{name}: {refused:?}"
        );
    }
    for name in ["%DLQ%g", "%RETRY%g", "CID_RMQ_SYS_TRANS"] {
        let refused = at.engine.group(name).await;
        assert!(
            matches!(refused, Err(EngineError::NoGroupName { .. })),
            "{name}: {refused:?}"
        );
        // As an older version made it.
        let made = at.engine.create_group(CreateGroup::on_first_use(name)).await;
        assert_eq!(made.unwrap().spec.name, name);
        at.engine.group(name).await.unwrap();
        at.engine.put_group(group_put(name)).await.unwrap();
    }
    // Clients have what RocketMQ lets them have.
    at.engine.group("TBW102").await.unwrap();
    at.engine.put_group(group_put("TBW102")).await.unwrap();
}

#[tokio::test]
async fn names_and_expressions_that_cannot_be_are_refused_before_they_are_proposed() {
    let at = fixture(false, 17).await;
    let written = at.engine.store().log().positions().written();
    for name in ["", "a b", "%DLQ%g", "SCHEDULE_TOPIC_XXXX"] {
        let refused = at.engine.put_topic(topic_put(name, 1)).await;
        assert!(
            matches!(refused, Err(EngineError::Invalid(_))),
            "{name}: {refused:?}"
        );
    }
    let mut groups = vec![group_put(""), group_put("a b")];
    for (topic, expression) in [("a b", "*"), ("t", "||")] {
        let mut group = group_put("new");
        group.spec.subscriptions = vec![reading(topic, expression)];
        groups.push(group);
    }
    for group in groups {
        let refused = at.engine.put_group(group.clone()).await;
        assert!(
            matches!(refused, Err(EngineError::Invalid(_))),
            "{group:?}: {refused:?}"
        );
    }
    for holder in ["", &"h".repeat(256)] {
        let refused = at.engine.fence(holder).await;
        assert!(matches!(refused, Err(EngineError::Invalid(_))), "{refused:?}");
    }
    assert_eq!(at.engine.store().log().positions().written(), written);
}

#[tokio::test]
async fn a_group_reads_its_static_subscriptions_without_a_client_whichever_comes_first() {
    let at = fixture(false, 17).await;
    at.send("before", None).await;
    let mut group = group_put("static");
    group.spec.subscriptions = vec![reading("t", " "), reading("later", "a || b")];
    let put = at.engine.put_group(group).await.unwrap();
    assert_eq!(put.group.spec.expression("t"), Some("*"), "written in one way");
    assert_eq!(at.floors("static", "t"), [0]);
    let absent = at.engine.offsets("static", Some("later"));
    assert!(matches!(absent, Err(EngineError::NoTopic(_))), "{absent:?}");
    at.engine.put_topic(topic_put("later", 2)).await.unwrap();
    assert_eq!(at.floors("static", "later"), [0, 0]);
    let all = at.engine.reads("static", None).unwrap();
    let names: Vec<&str> = all.iter().map(|(topic, _)| topic.spec.name.as_str()).collect();
    assert_eq!(names, ["later", "t"]);
    // Made on first use it is read too.
    let mut group = group_put("static");
    group.spec.subscriptions = vec![reading("first-use", "*")];
    at.engine.put_group(group).await.unwrap();
    at.engine.topic("first-use").await.unwrap();
    assert_eq!(at.floors("static", "first-use"), [0; 4]);
    assert_eq!(at.floors("static", "t"), [0], "what it read it reads on");
}

#[tokio::test]
async fn dead_letters_are_read_in_any_case_from_the_first_one_on() {
    for given_up in [true, false] {
        let at = fixture(false, 1).await;
        let mut group = group_put("static");
        group.spec.subscriptions = vec![reading("%DLQ%g", "*")];
        at.engine.put_group(group).await.unwrap();
        at.send("m", None).await;
        let held = at.receive().await.remove(0);
        if given_up {
            let dead = at.engine.dead_letter(held.id, held.offset, held.delivery);
            dead.await.unwrap();
        } else {
            assert!(at.settle(&held, Change::VisibleIn(0)).await);
            assert!(at.receive().await.is_empty());
        }
        let lag = at.engine.lag("static", None).unwrap();
        assert_eq!(lag[0].sum().ready, 1, "given up: {given_up}");
    }
}

#[tokio::test]
async fn who_listens_hears_what_changed_and_what_is_gone() {
    let at = fixture(false, 17).await;
    let mut changes = at.engine.changes();
    let (topic, group) = (at.topic.id, at.group.id);
    at.engine.put_topic(topic_put("t", 2)).await.unwrap();
    let mut put = group_put("g");
    put.spec.max_attempts = 3;
    at.engine.put_group(put.clone()).await.unwrap();
    at.engine.put_group(put).await.unwrap();
    at.engine
        .delete_topic("t", false, Terms::default())
        .await
        .unwrap();
    at.engine
        .delete_group("g", false, Terms::default())
        .await
        .unwrap();
    for expected in [
        Changed::Topic(topic),
        Changed::Group(group),
        Changed::TopicGone(topic),
        Changed::GroupGone(group),
    ] {
        assert_eq!(changes.recv().await, Ok(expected));
    }
    assert!(changes.try_recv().is_err(), "what changes nothing is not told");
}

#[tokio::test]
async fn a_send_to_a_topic_that_closed_or_went_on_the_way_says_which() {
    let at = fixture(false, 17).await;
    let send = || at.engine.send(&at.topic, QueueId(0), files::outgoing("m", None));
    let mut closed = topic_put("t", 1);
    closed.spec.closed = true;
    at.engine.put_topic(closed).await.unwrap();
    assert_eq!(send().await, Err(EngineError::TopicClosed("t".to_owned())));
    at.engine.delete_topic("t", true, Terms::default()).await.unwrap();
    assert_eq!(send().await, Err(EngineError::TopicDeleted("t".to_owned())));
}

#[tokio::test]
async fn what_a_broker_left_unsubscribed_is_subscribed_at_the_start() {
    let at = fixture(false, 17).await;
    let mut group = group_put("static");
    group.spec.subscriptions = vec![reading("t", "*")];
    // Left to the proposer, which looks the places up.
    group.spec.start_from = StartFrom::Time(0);
    // As if the broker had gone down between the two proposals.
    let put = at.engine.propose_one(group.encode(at.engine.now())).await;
    put.unwrap().unwrap();
    let missing = at.engine.offsets("static", Some("t"));
    assert!(
        matches!(missing, Err(EngineError::NotReading { .. })),
        "{missing:?}"
    );
    at.engine.subscribe_all().await;
    assert_eq!(at.floors("static", "t"), [0]);
}

#[tokio::test]
async fn a_group_that_starts_at_a_time_begins_with_the_first_message_that_came_then() {
    let at = fixture(false, 17).await;
    for number in 0..4 {
        at.send(&format!("{number}"), None).await;
        at.pass(1000);
    }
    // Messages came at 1,000,000 ms and every second after.
    for (time, floor) in [(0, 0), (1_000_001, 1), (1_002_000, 2), (9_000_000, 4)] {
        let name = format!("from-{time}");
        let mut group = group_put(&name);
        group.spec.start_from = StartFrom::Time(time);
        let group = at.engine.put_group(group).await.unwrap().group;
        let ask = Receive {
            group,
            ..at.ask(Duration::ZERO)
        };
        let got = at.take(ask).await;
        assert_eq!(got.len(), 4 - floor, "from {time}");
        assert_eq!(
            got.first().map(|first| first.offset),
            (floor < 4).then_some(QueueOffset(floor as u64))
        );
    }
}

#[tokio::test]
async fn a_fence_keeps_older_writers_out() {
    let at = fixture(false, 17).await;
    assert_eq!(at.engine.fence("first").await, Ok(1));
    assert_eq!(at.engine.fence("second").await, Ok(2));
    assert_eq!(at.engine.tables().fenced().holder, "second");
    let mut stale = topic_put("new", 1);
    stale.terms.epoch = 1;
    let refused = at.engine.put_topic(stale.clone()).await;
    assert!(
        matches!(refused, Err(EngineError::Refused(Refused::Epoch { .. }))),
        "{refused:?}"
    );
    stale.terms.epoch = 2;
    at.engine.put_topic(stale).await.unwrap();
}

#[tokio::test]
async fn only_what_is_empty_is_deleted_where_that_is_asked_for() {
    let at = fixture(false, 17).await;
    at.send("m", None).await;
    let got = at.receive().await;
    let terms = Terms::default();
    let not_empty = Err(EngineError::Refused(Refused::NotEmpty(1)));
    assert_eq!(at.engine.delete_topic("t", true, terms).await, not_empty);
    assert_eq!(at.engine.delete_group("g", true, terms).await, not_empty);
    assert!(at.settle(&got[0], Change::Done).await);
    assert_eq!(at.engine.delete_group("g", true, terms).await, Ok(0));
    let unread = at.engine.delete_topic("t", true, terms).await;
    assert_eq!(unread, not_empty, "nobody has read it now");
    assert_eq!(at.engine.delete_topic("t", false, terms).await, Ok(1));
}

#[tokio::test]
async fn what_is_there_already_is_answered_without_a_command() {
    let at = fixture(false, 31).await;
    let (topic, group) = (topic_put("new", 2).spec, group_put("readers").spec);
    let made = at.engine.make_topic(topic.clone()).await.unwrap();
    let readers = at.engine.make_group(group.clone()).await.unwrap();
    let before = at.engine.store().log().last();
    // A disk without room would refuse one, and a start would end by its --init.
    let again = at.engine.make_topic(topic).await.unwrap();
    assert_eq!((again.id, again.generation), (made.id, made.generation));
    assert_eq!(at.engine.make_group(group).await.unwrap().id, readers.id);
    assert_eq!(at.engine.store().log().last(), before);
}
