//! What retention takes by time, the broker's and a topic's own, where the clock was set.

use super::*;
use crate::config::LiveValues;
use crate::engine::tests::administering::topic_put;
use sluice_store::retention::Ran;

/// A log of several segments that can begin later.
async fn fill(engine: &Arc<Engine>) {
    let body = "x".repeat(30_000);
    let topic = engine.create_topic(one_queue("t")).await.unwrap();
    let one_more = async || {
        let sent = engine.send(&topic, QueueId(0), outgoing(&body, None)).await;
        sent.unwrap();
    };
    engine.store().set_checkpoint_policy(CheckpointPolicy {
        bytes: 1,
        every: Duration::from_secs(3600),
    });
    let before = engine.store().log().segments();
    while engine.store().log().segments() < before + 3 {
        one_more().await;
    }
    let begun = std::time::Instant::now();
    while engine.store().trim_points().is_empty() {
        assert!(begun.elapsed() < SOON, "no checkpoint at which the log can begin");
        one_more().await;
    }
}

/// What retention does where messages are kept for two hours.
async fn look(engine: &Arc<Engine>) -> Ran {
    look_keeping(engine, 2).await
}

/// What it does where they are kept for so many, but for topics with hours of their own.
async fn look_keeping(engine: &Arc<Engine>, hours: u64) -> Ran {
    let values = LiveValues {
        retention: Duration::from_millis(hours * HOUR_MS),
        ..engine.live().values().as_ref().clone()
    };
    let engine = Arc::clone(engine);
    let looked = tokio::task::spawn_blocking(move || crate::retention::look(&engine, &values));
    looked.await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_by_time_takes_nothing_before_its_time_from_a_clock_that_was_set() {
    for by in [HOUR_MS as i64, -(HOUR_MS as i64)] {
        let (io, clocks) = (FaultyIo::new(1), Clocks::still());
        let engine = start(&io, &clocks);
        fill(&engine).await;
        clocks.set(by);
        let earliest = if by > 0 { 2 * HOUR_MS - 3_600 } else { 2 * HOUR_MS };
        pass_read(&engine, &clocks, earliest - 1);
        assert_eq!(look(&engine).await.start, None, "set by {by}: early");
        clocks.pass(5);
        assert!(look(&engine).await.start.is_some(), "set by {by}: stuck");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_with_a_clock_that_was_set_forward_has_retention_take_what_is_too_old_by_it() {
    for (hours, goes) in [(1, false), (2, true)] {
        let (io, clocks) = (FaultyIo::new(1), Clocks::still());
        let engine = start(&io, &clocks);
        fill(&engine).await;
        assert!(!ready(&engine).await.is_empty(), "a group reads the topic");
        clocks.set(hours * HOUR_MS as i64);
        assert_eq!(look(&engine).await.start, None, "the broker still runs");
        engine.store().close().unwrap();
        let engine = start(&io.crash_keeping_all(), &clocks);
        let ran = look(&engine).await;
        assert_eq!(ran.start.is_some(), goes, "{hours} hours");
        assert_eq!(ran.expired > 0, goes, "{hours} hours: unread messages count");
    }
}

/// Hours for which the broker keeps messages of which the topic keeps them for two.
const OTHERS_KEPT: u64 = 72;

/// An engine with an unread message of a topic that keeps its messages for two hours.
async fn with_own_hours(io: &FaultyIo, clocks: &Arc<Clocks>) -> Arc<Engine> {
    let engine = start(io, clocks);
    let mut put = topic_put("t", 1);
    put.spec.retention_hours = 2;
    engine.put_topic(put).await.unwrap();
    assert!(ready(&engine).await.is_empty(), "a group reads the topic");
    let topic = engine.topic("t").await.unwrap();
    let sent = engine.send(&topic, QueueId(0), outgoing("x", None)).await;
    sent.unwrap();
    engine
}

/// How many unread messages go, which are one message at most.
async fn expired(engine: &Arc<Engine>) -> u64 {
    let expired = look_keeping(engine, OTHERS_KEPT).await.expired;
    let first = engine.topic("t").await.unwrap().first(QueueId(0)).unwrap();
    assert_eq!(first.0, expired, "where its queue begins");
    expired
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_with_hours_of_its_own_gives_nothing_up_before_its_time_from_a_clock_that_was_set() {
    for by in [HOUR_MS as i64, -(HOUR_MS as i64)] {
        let (io, clocks) = (FaultyIo::new(1), Clocks::still());
        let engine = with_own_hours(&io, &clocks).await;
        clocks.set(by);
        let earliest = if by > 0 { 2 * HOUR_MS - 3_600 } else { 2 * HOUR_MS };
        pass_read(&engine, &clocks, earliest - 1);
        assert_eq!(expired(&engine).await, 0, "set by {by}: early");
        clocks.pass(5);
        assert_eq!(expired(&engine).await, 1, "set by {by}: stuck");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_with_a_clock_that_was_set_has_such_a_topic_give_up_what_is_too_old_by_it() {
    for (hours, goes) in [(-1, 0), (1, 0), (2, 1)] {
        let (io, clocks) = (FaultyIo::new(1), Clocks::still());
        let engine = with_own_hours(&io, &clocks).await;
        clocks.set(hours * HOUR_MS as i64);
        assert_eq!(expired(&engine).await, 0, "the broker still runs");
        engine.store().close().unwrap();
        let engine = start(&io.crash_keeping_all(), &clocks);
        assert_eq!(expired(&engine).await, goes, "{hours} hours");
    }
}
