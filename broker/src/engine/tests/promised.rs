//! A start with a file for `--init` over a disk that takes nothing more.

use super::files::{one_queue, open, outgoing, receive, receive_of};
use super::*;
use crate::init::Init;
use crate::run::prepare::prepare;
use sluice_core::command::{EncodedCommand, Release, Terms, TopicSpec};
use sluice_core::ids::GroupQueueId;
use sluice_store::io::Fault;

const INIT: &str = "topics:\n  - {name: t, queues: 1}\n  - {name: orders, queues: 8, types: fifo}\n  - {name: notes}\n\
                    groups:\n  - {name: billing, fifo: true, maxAttempts: 5}\n  - {name: mails, maxAttempts: 7}\n";

/// What apply finds nothing to do for, of a size by choice.
fn nothing(engine: &Engine, size: usize) -> EncodedCommand {
    let topic = engine.tables().topic("t").unwrap();
    let group = engine.tables().group("g").unwrap();
    let at = TopicQueue {
        topic: topic.id,
        queue: QueueId(0),
    };
    Release {
        id: GroupQueueId { group: group.id, at },
        client: "nobody".repeat(size),
        visible_in_ms: 0,
    }
    .encode(engine.now())
}

/// Proposes that until the log has no room for anything.
async fn fill(engine: &Engine) {
    for size in [1000, 100, 1] {
        loop {
            let proposed = engine.propose_one(nothing(engine, size)).await;
            if let Err(error) = proposed {
                assert_eq!(error, EngineError::NoSpace);
                break;
            }
        }
    }
}

/// Files in which each of `groups` has the message `held` of the topic `t`, delivered just before their broker was killed.
async fn killed(clock: &Arc<Hand>, groups: &[&str]) -> FaultyIo {
    let io = FaultyIo::new(1);
    let before = open(&io, clock, |_| {});
    let topic = before.create_topic(one_queue("t")).await.unwrap();
    for group in groups {
        assert!(
            receive_of(&before, group).await.unwrap().is_empty(),
            "it subscribes"
        );
    }
    let sent = before.send(&topic, QueueId(0), outgoing("held", None)).await;
    sent.unwrap();
    for group in groups {
        assert_eq!(bodies(&receive_of(&before, group).await.unwrap()), ["held"]);
    }
    io.crash_keeping_all()
}

/// Asks until the log's helper has found that there is room again; messages wait for that longer than all else.
async fn until_there_is_room(ask: impl AsyncFn() -> Result<(), EngineError>) {
    let begun = Instant::now();
    while let Err(error) = ask().await {
        assert_eq!(error, EngineError::NoSpace);
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "there is room, and nothing is taken"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn wait_for_room(engine: &Engine) {
    until_there_is_room(async || engine.propose_one(nothing(engine, 1)).await.map(drop)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_any_room_comes_up_and_makes_what_is_missing_as_soon_as_there_is_some() {
    let clock = Arc::new(Hand::new(1_000_000));
    let io = killed(&clock, &["g"]).await;
    io.plant(Fault::NoSpace { after: 0 });
    let engine = open(&io, &clock, |_| {});
    fill(&engine).await;
    let topic = engine.topic("t").await.unwrap();

    let mut undone = prepare(&engine, Init::parse(INIT).unwrap()).await.unwrap();
    assert!(!undone.is_nothing());
    let no_space = || Some(EngineError::NoSpace);
    assert_eq!(engine.topic("orders").await.err(), no_space());
    assert_eq!(engine.group("billing").await.err(), no_space());
    let off = ("autoCreateTopics".to_owned(), Some("false".to_owned()));
    engine.live().set(&[off]).unwrap();
    assert_eq!(
        engine.topic("orders").await.err(),
        no_space(),
        "nobody is told that there is no such topic"
    );
    undone.again(&engine).await.unwrap();
    assert!(!undone.is_nothing(), "there is no room yet");
    let tables = engine.tables();
    assert!(tables.topic("orders").is_none() && tables.group("mails").is_none());

    io.lift_no_space();
    let begun = Instant::now();
    // Who comes first has what the file says, and not what anything is on first use.
    let orders = loop {
        match engine.topic("orders").await {
            Ok(orders) => break orders,
            Err(error) => assert_eq!(error, EngineError::NoSpace),
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "there is room, and nothing is made"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let expected = TopicSpec {
        queues: 8,
        types: Types::FIFO,
        ..TopicSpec::clone(&topic.spec)
    };
    let expected = TopicSpec {
        name: "orders".to_owned(),
        ..expected
    };
    assert_eq!(orders.spec, expected);
    assert!(engine.group("billing").await.unwrap().spec.fifo);
    undone.again(&engine).await.unwrap();
    assert!(undone.is_nothing());
    assert!(tables.topic("notes").is_some());
    assert_eq!(tables.group("mails").unwrap().spec.max_attempts, 7);
    clock.fetch_add(60_000, Ordering::SeqCst);
    assert_eq!(
        bodies(&receive(&engine).await.unwrap()),
        ["held"],
        "what was delivered just before the end is no longer hidden for hours"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_starts_as_come_over_the_same_full_files_come_up_and_the_last_one_goes_on() {
    let clock = Arc::new(Hand::new(1_000_000));
    let mut io = killed(&clock, &["g"]).await;
    for start in 0..6 {
        io = io.crash_keeping_all();
        io.plant(Fault::NoSpace { after: 0 });
        println!("start {start}");
        let engine = open(&io, &clock, |_| {});
        fill(&engine).await;
        let undone = prepare(&engine, Init::parse(INIT).unwrap()).await.unwrap();
        assert!(!undone.is_nothing(), "start {start}");
    }
    io = io.crash_keeping_all();
    io.plant(Fault::NoSpace { after: 0 });
    let engine = open(&io, &clock, |_| {});
    let mut undone = prepare(&engine, Init::parse(INIT).unwrap()).await.unwrap();
    io.lift_no_space();
    wait_for_room(&engine).await;
    undone.again(&engine).await.unwrap();
    assert!(undone.is_nothing());
    assert!(engine.tables().topic("notes").is_some());
    clock.fetch_add(60_000, Ordering::SeqCst);
    assert_eq!(bodies(&receive(&engine).await.unwrap()), ["held"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_back_late_is_what_was_delivered_before_the_start_and_nothing_of_this_run() {
    let clock = Arc::new(Hand::new(1_000_000));
    let io = killed(&clock, &["g", "h"]).await;
    io.plant(Fault::NoSpace { after: 0 });
    let engine = open(&io, &clock, |_| {});
    fill(&engine).await;
    let mut undone = prepare(&engine, Init::parse(INIT).unwrap()).await.unwrap();
    assert!(!undone.is_nothing());
    clock.fetch_add(3_000_000, Ordering::SeqCst);
    io.lift_no_space();
    wait_for_room(&engine).await;
    let topic = engine.topic("t").await.unwrap();
    let send = || engine.send(&topic, QueueId(0), outgoing("live", None));
    until_there_is_room(async || send().await.map(drop)).await;
    assert_eq!(bodies(&receive(&engine).await.unwrap()), ["live"]);
    clock.fetch_add(9_000, Ordering::SeqCst);
    undone.again(&engine).await.unwrap();
    assert!(undone.is_nothing());
    assert_eq!(bodies(&receive_of(&engine, "h").await.unwrap()), ["live"]);
    clock.fetch_add(60_000, Ordering::SeqCst);
    for group in ["g", "h"] {
        let again = receive_of(&engine, group).await.unwrap();
        assert_eq!(bodies(&again), ["held"], "group {group}");
        assert_eq!(again[0].attempt, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_of_a_start_waits_also_for_a_busy_log_and_for_no_group_that_was_deleted_meanwhile() {
    let clock = Arc::new(Hand::new(1_000_000));
    let io = killed(&clock, &["g", "h"]).await;
    io.plant(Fault::NoSpace { after: 0 });
    let engine = open(&io, &clock, |log| log.inbox_commands = 1);
    fill(&engine).await;
    let mut undone = prepare(&engine, Init::parse(INIT).unwrap()).await.unwrap();
    io.lift_no_space();
    wait_for_room(&engine).await;
    engine.delete_group("h", false, Terms::default()).await.unwrap();

    // One command is at a slow sync, and the next one takes all of the queue.
    let by = Duration::from_secs(5);
    io.plant(Fault::SlowSyncs { by });
    let propose = || {
        let (engine, command) = (Arc::clone(&engine), nothing(&engine, 1));
        tokio::spawn(async move { engine.propose_one(command).await.unwrap().unwrap() })
    };
    let (queue, log) = (|| engine.store().log().queued()[0].0, engine.store().log());
    let written = || log.positions().written();
    let before = written();
    let syncing = propose();
    while written() == before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let queued = propose();
    while queue() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    io.plant(Fault::SlowSyncs { by: Duration::ZERO });
    assert_eq!(
        engine.propose_one(nothing(&engine, 1)).await,
        Err(EngineError::Busy)
    );
    undone.again(&engine).await.unwrap();
    assert!(!undone.is_nothing(), "nothing of it was done");
    for proposed in [syncing, queued] {
        proposed.await.unwrap();
    }

    undone.again(&engine).await.unwrap();
    assert!(undone.is_nothing());
    assert!(engine.tables().topic("notes").is_some());
    clock.fetch_add(60_000, Ordering::SeqCst);
    assert_eq!(bodies(&receive(&engine).await.unwrap()), ["held"]);
}
