//! Lines for machines, and what is in none.

use serde_json::Value;
use sluice_tests::client::{Client, Receive, message};
use sluice_tests::process::{Broker, Setup};
use sluice_tests::wait;

use crate::SOON;

/// Some of everything: sends, receives, refusals.
async fn traffic(broker: &Broker, body: &str) {
    let client = Client::new(&broker.endpoint()).unwrap();
    client.send_ok(message("orders", body.to_owned())).await.unwrap();
    let received = client.receive(&Receive::new("readers", "orders")).await.unwrap();
    client
        .ack_ok("readers", "orders", &received.messages)
        .await
        .unwrap();
    client.query_route("no topic").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_line_of_json_is_an_object_with_time_level_and_message() {
    let mut broker = Setup::new()
        .flag("--profile", "container")
        .environment("SLUICE_LOG", "debug")
        .start()
        .unwrap();
    traffic(&broker, "x").await;
    assert!(broker.stop().unwrap().success());
    let log = broker.log().unwrap();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for line in &lines {
        for field in ["timestamp", "level", "message", "target"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
    }
    let with = |message: &str| {
        lines
            .iter()
            .find(|line| line["message"].as_str().unwrap().contains(message))
    };
    assert!(
        with("ready after").is_some() && with("stopped").is_some(),
        "{log}"
    );
    let refusal = with("refused").unwrap();
    assert_eq!(
        (&refusal["level"], &refusal["call"]),
        (&"DEBUG".into(), &"QueryRoute".into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_body_is_logged_though_everything_else_is() {
    let everything = "trace,h2=trace,hyper=trace,hyper_util=trace,rustls=trace,tonic=trace,tower=trace";
    let broker = Setup::new().flag("--log", everything).start().unwrap();
    traffic(&broker, "a body that nobody else may read").await;
    wait::until("something is logged at trace", SOON, || {
        Ok(broker.log()?.contains("TRACE").then_some(()))
    })
    .unwrap();
    let log = broker.log().unwrap();
    assert!(!log.contains("nobody else may read"));
}

#[test]
fn text_without_colours_is_what_a_file_gets() {
    let mut broker = Setup::new().start().unwrap();
    assert!(broker.stop().unwrap().success());
    let log = broker.log().unwrap();
    assert!(
        log.lines()
            .any(|line| line.contains(" INFO sluice_broker::run: stopped")),
        "{log}"
    );
    assert!(!log.contains('\u{1b}'), "{log}");
}
