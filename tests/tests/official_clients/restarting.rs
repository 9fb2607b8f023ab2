//! A broker that is stopped and started again while clients are at work: what their callers see of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use sluice_tests::driver::{Driver, Language};
use sluice_tests::process::Setup;
use sluice_tests::wait;

use crate::stage::{Stage, of_kind, text};

const SENDERS: usize = 4;
/// Sends of each of them that must have been answered before the stop, and after the start.
const EACH: usize = 50;
/// A caller may be told in vain so long after the start: clients wait between their attempts to connect.
const FOUND_WITHIN: Duration = Duration::from_secs(30);
const DELIVERED_WITHIN: Duration = Duration::from_secs(120);

/// A send as its caller saw it.
struct Seen {
    body: String,
    /// What the client threw, if it did.
    error: Option<String>,
    ended: Instant,
}

/// Sends one message after the other until it is told to end.
fn sends(driver: &Driver, sender: usize, done: &AtomicBool) -> Vec<Seen> {
    let mut all = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let body = format!("{sender}-{}", all.len());
        let command =
            json!({"do": "send", "name": "producer", "messages": [{"topic": "orders", "body": body}]});
        let error = driver.call(command).err().map(|error| error.to_string());
        all.push(Seen {
            body,
            error,
            ended: Instant::now(),
        });
    }
    all
}

/// The bodies that were handled so far.
fn handled(driver: &Driver) -> BTreeSet<String> {
    let events = driver.events();
    let handled = of_kind(&events, "handled");
    handled.iter().map(|message| text(message, "body")).collect()
}

/// Stops the broker and starts it again while clients send and consume; all sends, and when it was started again.
fn restart_under_load(stage: &mut Stage) -> (Vec<Seen>, Instant) {
    stage.producer("orders");
    stage.push_consumer("worker", "workers", "orders", json!({}));
    let Stage { driver, broker } = stage;
    let (driver, done) = (&*driver, &AtomicBool::new(false));
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| scope.spawn(move || sends(driver, sender, done)))
            .collect();
        let work = |least: usize| {
            let worked = || handled(driver).len() >= least;
            wait::until_true("the clients are at work", DELIVERED_WITHIN, worked).unwrap();
        };
        work(SENDERS * EACH);
        let stopping = Instant::now();
        assert!(broker.stop().unwrap().success());
        broker.restart().unwrap();
        let started = Instant::now();
        println!("away for {:?}", started - stopping);
        work(handled(driver).len() + SENDERS * EACH);
        done.store(true, Ordering::Relaxed);
        let seen = senders.into_iter().flat_map(|sender| sender.join().unwrap());
        (seen.collect(), started)
    })
}

fn a_restart_under_load_loses_nothing_and_callers_see_no_more_than_that_nobody_was_there(language: Language) {
    let mut stage = Stage::new(language);
    let (seen, started) = restart_under_load(&mut stage);

    let mut failures = 0;
    for send in &seen {
        let Some(error) = &send.error else { continue };
        failures += 1;
        let nobody_was_there = ["UNAVAILABLE", "DEADLINE_EXCEEDED", "DeadlineExceeded"];
        assert!(
            nobody_was_there.iter().any(|code| error.contains(code)),
            "{}: {error}",
            send.body
        );
        assert!(
            send.ended <= started + FOUND_WITHIN,
            "the client has not found its broker: {error}"
        );
    }
    println!("{language:?}: {failures} of {} sends failed", seen.len());
    all_arrives(&stage, &seen);
}

fn a_restart_under_load_fails_no_send_where_the_socket_outlives_the_broker(language: Language) {
    let mut stage = Stage::with(language, Setup::new().holding_the_socket());
    let (seen, _) = restart_under_load(&mut stage);
    let failures: Vec<_> = seen.iter().filter_map(|send| send.error.as_deref()).collect();
    assert_eq!(failures, Vec::<&str>::new());
    all_arrives(&stage, &seen);
}

fn all_arrives(stage: &Stage, seen: &[Seen]) {
    let sent = seen.iter().filter(|send| send.error.is_none());
    let sent: BTreeSet<_> = sent.map(|send| send.body.clone()).collect();
    wait::until_true("everything sent is handled", DELIVERED_WITHIN, || {
        sent.is_subset(&handled(&stage.driver))
    })
    .unwrap();
    assert_eq!(of_kind(&stage.driver.events(), "failed").len(), 0);
}

with_clients! {
    a_restart_under_load_loses_nothing_and_callers_see_no_more_than_that_nobody_was_there: java python node go;
    a_restart_under_load_fails_no_send_where_the_socket_outlives_the_broker: java python node go;
}
