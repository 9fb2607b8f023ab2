//! A start with a file for `--init` over a disk that takes nothing more.

use super::files::{one_queue, open, outgoing, receive};
use super::*;
use crate::init::Init;
use crate::run::prepare::prepare;
use sluice_core::command::{Release, TopicSpec};
use sluice_core::ids::GroupQueueId;
use sluice_store::io::Fault;

const INIT: &str = "topics:\n  - {name: t, queues: 1}\n  - {name: orders, queues: 8, types: fifo}\n  - {name: notes}\n\
                    groups:\n  - {name: billing, fifo: true, maxAttempts: 5}\n  - {name: mails, maxAttempts: 7}\n";

/// Proposes what apply refuses, or finds nothing to do for, until the log has no room for anything.
async fn fill(engine: &Engine) {
    let topic = engine.tables().topic("t").unwrap();
    let group = engine.tables().group("g").unwrap();
    let nothing = |size| Release {
        id: GroupQueueId {
            group: group.id,
            at: TopicQueue {
                topic: topic.id,
                queue: QueueId(0),
            },
        },
        client: "nobody".repeat(size),
        visible_in_ms: 0,
    };
    for size in [1000, 100, 1] {
        loop {
            let proposed = engine.propose_one(nothing(size).encode(engine.now())).await;
            if let Err(error) = proposed {
                assert_eq!(error, EngineError::NoSpace);
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_any_room_comes_up_and_makes_what_is_missing_as_soon_as_there_is_some() {
    let (io, clock) = (FaultyIo::new(1), Arc::new(Hand::new(1_000_000)));
    let before = open(&io, &clock, |_| {});
    let topic = before.create_topic(one_queue("t")).await.unwrap();
    assert!(receive(&before).await.unwrap().is_empty(), "it subscribes");
    let sent = before.send(&topic, QueueId(0), outgoing("held", None)).await;
    sent.unwrap();
    assert_eq!(bodies(&receive(&before).await.unwrap()), ["held"]);
    let io = io.crash_keeping_all();
    io.plant(Fault::NoSpace { after: 0 });
    let engine = open(&io, &clock, |_| {});
    fill(&engine).await;

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
