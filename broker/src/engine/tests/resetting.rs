//! Moving groups: what the preview says is what is done, and what is received afterwards.

use super::administering::topic_put;
use super::*;
use sluice_core::ids::QueueOffset;
use sluice_core::state::{FloorMove, Refused};

fn to(to: ResetTo) -> Reset<'static> {
    Reset {
        group: "g",
        topic: "t",
        to,
        queues: Vec::new(),
        epoch: 0,
    }
}

/// From, to, skipped, repeated, voided.
fn told(reset: &[QueueReset]) -> (u64, u64, u64, u64, u64) {
    let FloorMove {
        from,
        to,
        skipped,
        repeated,
        voided,
    } = reset[0].moved;
    (from.0, to.0, skipped, repeated, voided)
}

/// Ten messages a second apart, of which a client holds the first four and has done the first two.
async fn busy(fifo: bool) -> (Fixture, Vec<Received>) {
    let at = fixture(fifo, 17).await;
    for number in 0..10 {
        at.send(&format!("{number}"), Some(&format!("group-{}", number % 7)))
            .await;
        at.pass(1000);
    }
    let ask = Receive {
        max: 4,
        ..at.ask(Duration::ZERO)
    };
    let held = at.take(ask).await;
    assert!(at.settle(&held[0], Change::Done).await);
    assert!(at.settle(&held[1], Change::Done).await);
    (at, held)
}

#[tokio::test]
async fn each_reset_does_what_its_preview_says_and_the_preview_does_nothing() {
    let offset = |n| ResetTo::Offset(QueueOffset(n));
    for fifo in [false, true] {
        for (target, expected, next) in [
            (ResetTo::Earliest, (2, 0, 0, 2, 2), Some(0)),
            (offset(1), (2, 1, 0, 1, 2), Some(1)),
            (offset(2), (2, 2, 0, 0, 2), Some(2)),
            (offset(3), (2, 3, 1, 0, 1), Some(4)),
            (offset(7), (2, 7, 5, 0, 2), Some(7)),
            (offset(99), (2, 10, 8, 0, 2), None),
            (ResetTo::Latest, (2, 10, 8, 0, 2), None),
            (ResetTo::Time(1_005_000), (2, 5, 3, 0, 2), Some(5)),
            (ResetTo::Time(1_005_001), (2, 6, 4, 0, 2), Some(6)),
            (ResetTo::Time(0), (2, 0, 0, 2, 2), Some(0)),
            (ResetTo::Newest(1), (2, 9, 7, 0, 2), Some(9)),
            (ResetTo::Newest(50), (2, 2, 0, 0, 0), Some(4)),
        ] {
            let (at, held) = busy(fifo).await;
            let before = at.engine.offsets("g", None).unwrap();
            let preview = at.engine.preview_reset(&to(target)).await.unwrap();
            let after = at.engine.offsets("g", None).unwrap();
            assert_eq!(format!("{before:?}"), format!("{after:?}"));
            assert_eq!(told(&preview), expected, "{target:?}");
            assert_eq!((preview[0].min.0, preview[0].max.0), (0, 10));
            let done = at.engine.reset_offsets(&to(target)).await.unwrap();
            assert_eq!(done, preview, "{target:?}");
            let got = at.receive().await;
            assert_eq!(
                got.first().map(|first| first.offset.0),
                next,
                "{target:?}, fifo {fifo}"
            );
            let still_held = at.settle(&held[3], Change::Done).await;
            let (_, floor, .., voided) = expected;
            assert_eq!(still_held, voided < 2 && floor <= 3, "{target:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_that_waits_gets_what_a_reset_brings_back() {
    for fifo in [false, true] {
        let at = Arc::new(fixture(fifo, 17).await);
        for number in 0..3 {
            at.send(&format!("{number}"), Some("one")).await;
        }
        for message in at.receive().await {
            assert!(at.settle(&message, Change::Done).await);
        }
        let mut polls = at.park(1, Duration::from_secs(30)).await;
        at.engine.reset_offsets(&to(ResetTo::Earliest)).await.unwrap();
        let got = polls.join_next().await.unwrap().unwrap();
        assert_eq!(bodies(&got), ["0", "1", "2"], "fifo {fifo}");
    }
}

#[tokio::test]
async fn what_was_chosen_before_a_move_back_reaches_nobody_and_is_chosen_anew() {
    for fifo in [false, true] {
        let at = fixture(fifo, 17).await;
        for number in 0..3 {
            at.send(&format!("{number}"), Some("one")).await;
        }
        let two = Receive {
            max: 2,
            ..at.ask(Duration::ZERO)
        };
        for message in at.take(two).await {
            assert!(at.settle(&message, Change::Done).await);
        }
        let dispatcher = at.engine.dispatchers.find(at.group.id, at.topic.id).unwrap();
        let ask = Arc::new(at.ask(Duration::ZERO));
        let chosen = at.engine.choose(&dispatcher, &ask).await.unwrap().unwrap();
        at.engine.reset_offsets(&to(ResetTo::Earliest)).await.unwrap();
        let (late, _) = chosen.deliver(&at.engine, &ask).await.unwrap();
        assert!(late.is_empty(), "{:?}, fifo {fifo}", bodies(&late));
        assert_eq!(bodies(&at.receive().await), ["0", "1", "2"], "fifo {fifo}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_message_group_stays_in_order_while_it_is_moved_back_again_and_again() {
    const MOVES: usize = 300;
    let at = Arc::new(fixture(true, 17).await);
    assert!(at.receive().await.is_empty(), "the first receive subscribes");
    for number in 0..6 {
        at.send(&format!("{number}"), Some("one")).await;
    }
    let got = Arc::new(Hand::new(0));
    let mover = tokio::spawn({
        let (at, got) = (Arc::clone(&at), Arc::clone(&got));
        async move {
            for number in 0..MOVES {
                // Before the move: by the time its answer is here, all that it brings back may have come.
                let before = got.load(Ordering::SeqCst);
                at.engine.reset_offsets(&to(ResetTo::Earliest)).await.unwrap();
                // Fewer than there are: after the move they all come again.
                while got.load(Ordering::SeqCst) < before + number as u64 % 5 {
                    tokio::task::yield_now().await;
                }
            }
        }
    });
    let mut next = 0;
    while !mover.is_finished() {
        let ask = Receive {
            max: 1,
            ..at.ask(Duration::from_millis(200))
        };
        let deadline = ask.deadline;
        let taken = at.take(ask).await;
        assert!(
            !taken.is_empty() || Instant::now() >= deadline,
            "an empty answer comes no sooner than it may"
        );
        for message in taken {
            let offset = message.offset.0;
            assert!(offset == 0 || offset == next, "{offset} where {next} was next");
            next = offset + 1;
            got.fetch_add(1, Ordering::SeqCst);
            at.settle(&message, Change::Done).await;
        }
    }
    mover.await.unwrap();
}

#[tokio::test]
async fn a_message_group_that_waited_for_what_was_skipped_flows_on() {
    let at = fixture(true, 17).await;
    for number in 0..4 {
        at.send(&format!("{number}"), Some("one")).await;
    }
    let ask = Receive {
        max: 1,
        ..at.ask(Duration::ZERO)
    };
    assert_eq!(bodies(&at.take(ask).await), ["0"]);
    assert!(at.receive().await.is_empty(), "its message group is locked");
    at.engine
        .reset_offsets(&to(ResetTo::Offset(QueueOffset(2))))
        .await
        .unwrap();
    assert_eq!(bodies(&at.receive().await), ["2", "3"]);
}

#[tokio::test]
async fn a_reset_means_all_queues_or_those_that_are_named() {
    let at = fixture(false, 17).await;
    at.receive().await;
    at.engine.put_topic(topic_put("t", 3)).await.unwrap();
    let commands = (0..3).map(|queue| at.append(QueueId(queue), "tag", None));
    at.append_all(commands).await;
    let mut reset = to(ResetTo::Latest);
    reset.queues = vec![QueueId(2), QueueId(0), QueueId(2)];
    let done = at.engine.reset_offsets(&reset).await.unwrap();
    let queues: Vec<u32> = done.iter().map(|done| done.queue.0).collect();
    assert_eq!(queues, [0, 2]);
    let floors = at.engine.offsets("g", Some("t")).unwrap();
    let floors: Vec<u64> = floors.iter().map(|queue| queue.floor.0).collect();
    assert_eq!(floors, [1, 0, 1]);
    assert_eq!(
        at.engine.reset_offsets(&to(ResetTo::Latest)).await.unwrap().len(),
        3
    );
}

#[tokio::test]
async fn what_cannot_be_reset_is_refused_by_name() {
    let at = fixture(false, 17).await;
    let ask = |group, topic, queue| Reset {
        group,
        topic,
        queues: vec![QueueId(queue)],
        ..to(ResetTo::Earliest)
    };
    let not_reading = EngineError::NotReading {
        group: "g".to_owned(),
        topic: "t".to_owned(),
    };
    assert_eq!(at.engine.preview_reset(&ask("g", "t", 0)).await, Err(not_reading));
    at.receive().await;
    let no_queue = EngineError::NoQueue {
        topic: "t".to_owned(),
        queues: 1,
        queue: 1,
    };
    for (group, topic, queue, error) in [
        ("none", "t", 0, EngineError::NoGroup("none".to_owned())),
        ("g", "none", 0, EngineError::NoTopic("none".to_owned())),
        ("g", "t", 1, no_queue),
    ] {
        let reset = ask(group, topic, queue);
        assert_eq!(at.engine.preview_reset(&reset).await, Err(error.clone()));
        assert_eq!(at.engine.reset_offsets(&reset).await, Err(error));
    }
    at.engine.fence("first").await.unwrap();
    at.engine.fence("second").await.unwrap();
    let stale = Reset {
        epoch: 1,
        ..ask("g", "t", 0)
    };
    let refused = at.engine.reset_offsets(&stale).await;
    assert!(
        matches!(refused, Err(EngineError::Refused(Refused::Epoch { .. }))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_reset_that_ends_midway_says_what_it_has_done() {
    let setup = Setup {
        queues: 600,
        ..Setup::default()
    };
    let at = setup.make().await;
    at.receive().await;
    at.send("m", None).await;
    at.engine.fence("first").await.unwrap();
    let reset = Reset {
        epoch: 1,
        ..to(ResetTo::Latest)
    };
    // The fence stands in the log behind the first queues and before the next ones, which wait for the first.
    let (ended, fenced) = tokio::join!(
        biased;
        at.engine.reset_offsets(&reset),
        at.engine.fence("second"),
    );
    assert_eq!(fenced, Ok(2));
    let Err(EngineError::ResetMidway { done, of, cause }) = ended else {
        panic!("it ends midway, and not {ended:?}")
    };
    assert_eq!((done.len(), of), (256, 600));
    assert_eq!(told(&done), (0, 1, 1, 0, 0));
    assert!(
        matches!(*cause, EngineError::Refused(Refused::Epoch { .. })),
        "{cause:?}"
    );
    let offsets = at.engine.offsets("g", Some("t")).unwrap();
    assert_eq!(offsets[0].floor.0, 1);
    let none_done = at.engine.reset_offsets(&reset).await;
    assert!(
        matches!(none_done, Err(EngineError::Refused(Refused::Epoch { .. }))),
        "{none_done:?}"
    );
}
