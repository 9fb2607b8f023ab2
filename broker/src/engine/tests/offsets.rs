//! Offsets as clients ask for them and leave them with their group.

use super::*;
use sluice_core::command::Terms;
use sluice_core::ids::QueueOffset;

const QUEUE: QueueId = QueueId(0);

/// Five messages, a second apart.
async fn five() -> Fixture {
    let at = fixture(false, 17).await;
    for number in 0..5 {
        at.send(&format!("{number}"), None).await;
        at.pass(1000);
    }
    at
}

impl Fixture {
    async fn commit(&self, group: &str, offset: i64) -> Result<(), EngineError> {
        self.engine.commit_offset(group, &self.topic, QUEUE, offset).await
    }

    fn offset_of(&self, group: &str) -> Result<u64, EngineError> {
        let offset = self.engine.offset_of(group, &self.topic, QUEUE)?;
        Ok(offset.0)
    }

    fn log_bytes(&self) -> u64 {
        self.engine.store().log().positions().written().0
    }
}

fn no_offset(group: &str) -> Result<u64, EngineError> {
    Err(EngineError::NoOffset {
        group: group.to_owned(),
        topic: "t".to_owned(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_offset_makes_group_and_subscription_and_receives_go_on_there() {
    let at = five().await;
    for group in ["new", "g"] {
        assert_eq!(at.offset_of(group), no_offset(group));
        assert_eq!(at.commit(group, 3).await, Ok(()));
        assert_eq!(at.offset_of(group), Ok(3));
        let ask = Receive {
            group: at.engine.tables().group(group).unwrap(),
            ..at.ask(Duration::ZERO)
        };
        assert_eq!(bodies(&at.take(ask).await), ["3", "4"], "{group}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_moved_in_both_directions_and_an_offset_where_it_stands_proposes_nothing() {
    let at = five().await;
    for offset in [4, 1, 5, 0] {
        assert_eq!(at.commit("new", offset).await, Ok(()));
        let before = at.log_bytes();
        assert_eq!(at.commit("new", offset).await, Ok(()));
        assert_eq!(at.log_bytes(), before, "{offset} again");
        assert_eq!(at.offset_of("new"), Ok(offset as u64));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_back_voids_what_is_held_and_one_forward_only_what_it_passes() {
    let at = five().await;
    let held = at.receive().await;
    assert_eq!(at.commit("g", 2).await, Ok(()));
    assert!(!at.settle(&held[1], Change::Done).await);
    assert!(at.settle(&held[2], Change::Done).await);
    assert_eq!(at.offset_of("g"), Ok(3));
    assert_eq!(at.commit("g", 1).await, Ok(()));
    assert!(!at.settle(&held[4], Change::Done).await);
    assert_eq!(bodies(&at.receive().await), ["1", "2", "3", "4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offset_that_the_queue_does_not_have_is_refused_and_makes_nothing() {
    let at = five().await;
    for offset in [-1, 6, i64::MIN, i64::MAX] {
        let refused = at.commit("new", offset).await.unwrap_err();
        assert!(
            matches!(refused, EngineError::OffsetOutside { min: 0, max: 5, .. }),
            "{refused:?}"
        );
    }
    let absent = at.engine.commit_offset("new", &at.topic, QueueId(9), 0).await;
    assert!(
        matches!(absent, Err(EngineError::NoQueue { queue: 9, .. })),
        "{absent:?}"
    );
    assert!(at.engine.tables().group("new").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_and_times_are_told_as_offsets() {
    let at = five().await;
    let (min, max) = at.engine.ends(&at.topic, QUEUE).unwrap();
    assert_eq!((min, max), (QueueOffset(0), QueueOffset(5)));
    for (time, expected) in [
        (0, 0),
        (1_000_000, 0),
        (1_000_001, 1),
        (1_004_000, 4),
        (1_004_001, 5),
    ] {
        let found = at.engine.first_since(&at.topic, QUEUE, time).await;
        assert_eq!(found, Ok(QueueOffset(expected)), "{time}");
    }
    let absent = QueueId(1);
    assert!(at.engine.ends(&at.topic, absent).is_err());
    assert!(at.engine.first_since(&at.topic, absent, 0).await.is_err());
    assert!(at.engine.offset_of("g", &at.topic, absent).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offset_for_a_topic_that_has_been_deleted_says_so() {
    let at = five().await;
    at.engine
        .delete_topic("t", false, Terms::default())
        .await
        .unwrap();
    let deleted = EngineError::TopicDeleted("t".to_owned());
    let refused = at.commit("g", 0).await.unwrap_err();
    assert_eq!(refused, deleted);
    assert_eq!(at.offset_of("g"), no_offset("g"));
}
