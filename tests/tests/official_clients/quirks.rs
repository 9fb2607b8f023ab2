//! What single clients do otherwise than the protocol says, where it shows from outside. The table of quirks in
//! docs/clients.md has all of them, these and those that other tests show.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice_proto::v2::QueryOffsetPolicy;
use sluice_tests::client::{Client, fifo_message};
use sluice_tests::driver::Language;
use tokio::runtime::Builder;

use crate::stage::{SOON, Stage, bodies, numbered, of_kind, simple, text};
use crate::watching::Watcher;

const QUEUES: i32 = 4;

/// Has another client of the broker do something.
fn with_another<T>(stage: &Stage, work: impl AsyncFnOnce(Client) -> T) -> T {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { work(Client::new(&stage.broker.endpoint()).unwrap()).await })
}

/// How many messages have come to each queue of a topic.
fn by_queue(stage: &Stage, topic: &str) -> Vec<i64> {
    with_another(stage, async |client| {
        let mut ends = Vec::new();
        for queue in 0..QUEUES {
            let end = client
                .query_offset(topic, queue, QueryOffsetPolicy::End, None)
                .await;
            ends.push(end.unwrap());
        }
        ends
    })
}

// Quirks node-1093, go-1324, all-queues: it knows one queue only, or names the same one again and again.
fn every_queue_gets_messages_and_those_of_every_queue_are_received(language: Language) {
    let stage = Stage::with_init(language, &["{name: orders, queues: 4}"], &[]);
    stage.producer("orders");
    stage.send_bodies("orders", &numbered(64));
    let ends = by_queue(&stage, "orders");
    assert_eq!(ends.iter().sum::<i64>(), 64);
    assert!(ends.iter().all(|end| *end > 0), "{ends:?}");
    stage.simple_consumer("reader", "readers", "orders", "*");
    assert_eq!(bodies(&stage.receive_and_ack("reader", 64)), numbered(64));
}

// Quirk all-queues: each has a hash of its own.
fn a_message_group_has_one_queue_whoever_sends_to_it(language: Language) {
    let stage = Stage::with_init(language, &["{name: ledger, queues: 4, types: [FIFO]}"], &[]);
    stage.producer("ledger");
    for _ in 0..8 {
        let before = by_queue(&stage, "ledger");
        stage.send(vec![
            json!({"topic": "ledger", "messageGroup": "account", "body": "by the client"}),
        ]);
        let between = by_queue(&stage, "ledger");
        with_another(&stage, async |client| {
            let message = fifo_message("ledger", "account", "by another");
            client.send_ok(message).await.unwrap();
        });
        let after = by_queue(&stage, "ledger");
        let grown = |from: &[i64], to: &[i64]| {
            (0..from.len())
                .filter(|at| from[*at] < to[*at])
                .collect::<Vec<_>>()
        };
        assert_eq!(grown(&before, &between).len(), 1);
        assert_eq!(grown(&before, &between), grown(&between, &after));
    }
}

// Quirk go-await: it names no time to wait.
fn a_receive_that_waits_for_nothing_is_empty_and_no_error(language: Language) {
    let stage = Stage::new(language);
    stage.producer("orders");
    let mut options = simple("readers", "orders", "*");
    options["awaitMs"] = json!(0);
    stage.open("simple-consumer", "reader", options);
    let begun = Instant::now();
    assert!(stage.receive("reader", SOON).is_empty());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    stage.send_bodies("orders", &numbered(3));
    assert_eq!(bodies(&stage.receive_and_ack("reader", 3)), numbered(3));
}

// Quirk rust-code: the code for it is newer than the client.
fn an_empty_body_is_refused_and_the_client_goes_on(language: Language) {
    let stage = Stage::new(language);
    stage.producer("orders");
    let messages = json!([{"topic": "orders", "body": ""}]);
    let send = json!({"do": "send", "name": "producer", "messages": messages});
    let error = stage.driver.call(send).unwrap_err().to_string();
    // Some know better than to send it.
    let told = ["the message has no body", "body should not be"];
    assert!(told.iter().any(|words| error.contains(words)), "{error}");
    stage.send_bodies("orders", &numbered(1));
}

// Quirks node-back-off, node-units, python-back-off: in the form and the units that it reads.
fn a_back_off_that_grows_is_waited_for(language: Language) {
    let group = "{name: workers, backoff: {initial: 2s, max: 1m, multiplier: 2}}";
    let stage = Stage::with_init(language, &["{name: orders}"], &[group]);
    stage.producer("orders");
    stage.push_consumer("worker", "workers", "orders", json!({"failFirst": 2}));
    stage.send_bodies("orders", &numbered(1));
    let events = stage.handled("worker", 1, SOON);
    let received: Vec<_> = events.iter().filter(|event| event.kind == "received").collect();
    let waits: Vec<_> = received.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    assert_eq!(waits.len(), 2);
    for (waited, least) in waits.iter().zip([2, 4]) {
        let (least, most) = (
            Duration::from_millis(least * 1000 - 100),
            Duration::from_secs(least + 5),
        );
        assert!((least..most).contains(waited), "{waits:?}");
    }
}

// Quirks go-1316, go-1165: it waits for settings without having asked for any.
fn a_client_without_topics_never_starts(language: Language) {
    let stage = Stage::new(language);
    let open = json!({"do": "producer", "name": "producer", "endpoints": stage.broker.endpoint()});
    let error = stage.driver.call(open).unwrap_err().to_string();
    assert!(error.contains("has not started within"), "{error}");
    // The process goes on.
    stage.producer("orders");
    stage.send_bodies("orders", &numbered(1));
}

// Quirk go-entries: a refused acknowledgement looks like a good one.
fn an_old_handle_settles_nothing_though_its_caller_is_not_told(language: Language) {
    let stage = Stage::new(language);
    stage.producer("orders");
    stage.send_bodies("orders", &numbered(1));
    stage.simple_consumer("reader", "readers", "orders", "*");
    let invisible = Duration::from_secs(10);
    let receive = || -> Value {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(message) = stage.receive("reader", invisible).pop() {
                return message;
            }
            assert!(Instant::now() < deadline, "the message has not come");
        }
    };
    let first = receive();
    let second = receive();
    assert_eq!(second["attempt"], json!(2));
    stage.ack("reader", &first);
    let third = receive();
    assert_eq!(third["attempt"], json!(3));
    stage.ack("reader", &third);
    stage.settled();
}

// Quirk go-fifo: it goes on with the next message of the group.
fn a_failing_message_does_not_hold_back_the_next_of_its_message_group(language: Language) {
    let stage = Stage::with_init(
        language,
        &["{name: ledger, queues: 4, types: [FIFO]}"],
        &["{name: auditors, fifo: true, backoff: [2s]}"],
    );
    stage.producer("ledger");
    let options = json!({"failFirst": 1, "failBody": "bad"});
    stage.push_consumer("auditor", "auditors", "ledger", options);
    let message = |body| json!({"topic": "ledger", "messageGroup": "account", "body": body});
    stage.send(["first", "bad", "after"].map(message).into());

    let events = stage.handled("auditor", 3, SOON);

    let handled: Vec<_> = of_kind(&events, "handled")
        .iter()
        .map(|message| text(message, "body"))
        .collect();
    assert_eq!(handled, ["first", "after", "bad"]);
}

// Quirk node-trial: it refuses in the form of the question.
fn a_client_that_tries_no_messages_says_so(language: Language) {
    let stage = Stage::with_init(language, &["{name: orders}"], &["{name: workers}"]);
    stage.producer("orders");
    stage.push_consumer("worker", "workers", "orders", json!({}));
    let ids = stage.send_bodies("orders", &numbered(1));
    stage.handled("worker", 1, SOON);
    let watcher = Watcher::of(&stage);
    let worker = watcher.only_client("workers").client_id;
    let cannot = watcher.verify(&worker, &ids[0]).unwrap_err();
    assert_eq!(cannot.code(), tonic::Code::Unimplemented, "{cannot:?}");
    assert!(cannot.message().contains("it answers"), "{cannot:?}");
}

with_clients! {
    every_queue_gets_messages_and_those_of_every_queue_are_received: java python node go rust;
    a_message_group_has_one_queue_whoever_sends_to_it: java python node go rust;
    a_receive_that_waits_for_nothing_is_empty_and_no_error: java python node go;
    an_empty_body_is_refused_and_the_client_goes_on: java python node go rust;
    a_back_off_that_grows_is_waited_for: java python node go;
    a_client_without_topics_never_starts: go;
    an_old_handle_settles_nothing_though_its_caller_is_not_told: go;
    a_failing_message_does_not_hold_back_the_next_of_its_message_group: go;
    a_client_that_tries_no_messages_says_so: node go;
}
