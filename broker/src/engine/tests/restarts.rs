//! Deliveries that the broker renews, over its restart.

use super::files::{one_queue, open, outgoing};
use super::*;

/// What a client received of the messages `0`, `1`, … one at a time, a second apart.
async fn deliver(engine: &Arc<Engine>, clock: &Hand, count: usize) -> Vec<Received> {
    let topic = engine.create_topic(one_queue("t")).await.unwrap();
    let mut received = Vec::new();
    for n in 0..count {
        let body = n.to_string();
        engine
            .send(&topic, QueueId(0), outgoing(&body, None))
            .await
            .unwrap();
        clock.fetch_add(1000, Ordering::SeqCst);
        received.extend(receive(engine).await);
    }
    assert_eq!(received.len(), count);
    received
}

async fn receive(engine: &Arc<Engine>) -> Vec<Received> {
    files::receive(engine).await.unwrap()
}

async fn acknowledge(engine: &Engine, message: &Received) -> bool {
    let items = vec![SettleItem {
        offset: message.offset,
        delivery: message.delivery,
    }];
    let settled = engine.settle(message.id, Change::Done, items).await.unwrap();
    settled.accepted[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_delivered_just_before_a_kill_comes_again_unless_it_is_settled() {
    let (io, clock) = (FaultyIo::new(1), Arc::new(Hand::new(1_000_000)));
    let before = open(&io, &clock, |_| {});
    let held = deliver(&before, &clock, 20).await;
    assert!(acknowledge(&before, &held[19]).await);

    // An hour passes; the client is there all the time, so that nothing is released for its absence.
    clock.fetch_add(3_600_000, Ordering::SeqCst);
    let io = io.crash_keeping_all();
    let after = open(&io, &clock, |_| {});
    assert_eq!(
        after.take_back().await.unwrap(),
        10,
        "the last ten seconds but for one"
    );
    assert!(
        receive(&after).await.is_empty(),
        "whoever has them may settle them yet"
    );
    for message in [&held[0], &held[15]] {
        assert!(acknowledge(&after, message).await);
    }
    clock.fetch_add(60_000, Ordering::SeqCst);
    let again = receive(&after).await;
    let expected: Vec<_> = (9..19).filter(|n| *n != 15).map(|n| n.to_string()).collect();
    assert_eq!(bodies(&again), expected);
    assert!(again.iter().all(|message| message.attempt == 2));
    assert!(
        acknowledge(&after, &held[8]).await,
        "what was answered is renewed as ever"
    );
}

#[tokio::test]
async fn what_was_delivered_around_a_standstill_comes_again_unless_it_is_settled() {
    let (io, clock) = (FaultyIo::new(1), Arc::new(Hand::new(1_000_000)));
    let engine = open(&io, &clock, |_| {});
    let held = deliver(&engine, &clock, 20).await;
    tokio::time::pause();
    tokio::spawn(crate::standstill::follow(Arc::clone(&engine)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    clock.fetch_add(35_000, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(35)).await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    // What it has proposed by now takes its own time.
    tokio::time::resume();
    let hidden_for_hours = || {
        let subscription = engine
            .tables()
            .subscription(held[0].id.group, held[0].id.at.topic);
        subscription.unwrap().shards[0].read(|queue| {
            let later = 1_000_000 + 3_600_000;
            queue.by_visibility().filter(|(when, _)| *when > later).count()
        })
    };
    let begun = Instant::now();
    while hidden_for_hours() == 20 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing is bounded");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(hidden_for_hours(), 9, "what was delivered long before");
    assert!(acknowledge(&engine, &held[15]).await);
    clock.fetch_add(60_000, Ordering::SeqCst);
    let again = receive(&engine).await;
    let expected: Vec<_> = (9..20).filter(|n| *n != 15).map(|n| n.to_string()).collect();
    assert_eq!(bodies(&again), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_start_grants_no_second_wait() {
    let (io, clock) = (FaultyIo::new(1), Arc::new(Hand::new(1_000_000)));
    let held = deliver(&open(&io, &clock, |_| {}), &clock, 1).await;
    let io = io.crash_keeping_all();
    assert_eq!(open(&io, &clock, |_| {}).take_back().await.unwrap(), 1);
    clock.fetch_add(59_000, Ordering::SeqCst);
    let io = io.crash_keeping_all();
    let third = open(&io, &clock, |_| {});
    assert_eq!(third.take_back().await.unwrap(), 0);
    clock.fetch_add(1_000, Ordering::SeqCst);
    assert_eq!(bodies(&receive(&third).await), bodies(&held));
}
