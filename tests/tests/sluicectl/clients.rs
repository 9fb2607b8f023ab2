//! Clients and members.

use std::sync::Arc;

use serde_json::{Value, json};
use sluice_proto::v2;
use sluice_proto::v2::telemetry_command::Command;
use sluice_tests::client::{Client, Receive, Session, message, producer_settings, push_consumer_settings};
use sluice_tests::sluicectl::{Said, Sluicectl};

use crate::stage::{has_keys, stage};

const FIGURES: [&str; 8] = [
    "client_id",
    "address",
    "connected",
    "idle_seconds",
    "held",
    "delivered",
    "acknowledged",
    "inflight",
];

fn members(sluicectl: &Sluicectl) -> Value {
    sluicectl.json(&["group", "members", "readers"]).unwrap()["members"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_listed_and_shown_with_what_they_do_and_hold() {
    let (broker, sluicectl) = stage();
    let producer = Client::new(&broker.endpoint()).unwrap();
    let _sending = Session::open(&producer, producer_settings(&producer, &["orders"]))
        .await
        .unwrap();
    for number in 0..5 {
        producer
            .send_ok(message("orders", format!("{number}")))
            .await
            .unwrap();
    }
    let consumer = Client::new(&broker.endpoint()).unwrap();
    let settings = push_consumer_settings(&consumer, "readers", &[("orders", "*")]);
    let _receiving = Session::open(&consumer, settings).await.unwrap();
    let mut receive = Receive::new("readers", "orders");
    // As the messages of a push consumer are: the broker renews them while it works on them.
    (receive.batch, receive.auto_renew) = (3, true);
    let received = consumer.receive(&receive).await.unwrap();
    consumer
        .ack_ok("readers", "orders", &received.messages[..1])
        .await
        .unwrap();

    let all = sluicectl.json(&["client", "list"]).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 2, "{all}");
    let consumers = sluicectl.json(&["client", "list", "--role", "consumer"]).unwrap();
    let one = &consumers[0];
    has_keys(one, &FIGURES);
    assert_eq!(
        (&one["role"], &one["group"], &one["inflight"]),
        (&json!("consumer"), &json!("readers"), &json!(2))
    );
    let of_group = sluicectl.json(&["client", "list", "--group", "readers"]).unwrap();
    assert_eq!(of_group[0]["client_id"], one["client_id"]);

    let member = &members(&sluicectl)[0];
    has_keys(member, &FIGURES);
    assert_eq!(member["client_id"], one["client_id"]);
    assert_eq!(
        member["subscriptions"],
        json!([{"topic": "orders", "expression": "*"}])
    );
    assert_eq!(
        (&member["acknowledged"], &member["delivered"]),
        (&json!(1), &json!(3))
    );
    let held: u64 = member["held"]
        .as_array()
        .unwrap()
        .iter()
        .map(|held| held["messages"].as_u64().unwrap())
        .sum();
    assert_eq!(held, 2);

    let id = one["client_id"].as_str().unwrap();
    let shown = sluicectl.json(&["client", "show", id]).unwrap();
    assert_eq!(shown["client_id"], json!(id));
    let text = sluicectl.ok(&["client", "show", id]).unwrap();
    assert!(text.contains("holds:") && text.contains("readers"), "{text}");
    let table = sluicectl
        .ok(&["group", "members", "readers", "-o", "wide"])
        .unwrap();
    assert!(table.contains(id) && table.contains("orders/"), "{table}");
}

/// Runs a command while a client answers the one question that it brings.
async fn while_answering(
    session: &mut Session,
    sluicectl: &Arc<Sluicectl>,
    arguments: &'static [&'static str],
    answer: impl FnOnce(Command) -> (v2::Code, Command),
) -> Said {
    let sluicectl = Arc::clone(sluicectl);
    let running = tokio::task::spawn_blocking(move || sluicectl.run(arguments));
    match session.question().await {
        Ok(question) => {
            let (code, reply) = answer(question);
            session.reply(code, reply).await.unwrap();
        }
        // What the command says instead tells more.
        Err(error) => println!("{error:#}"),
    }
    running.await.unwrap().unwrap()
}

fn json_of(said: &Said) -> Value {
    assert_eq!(said.code, 0, "{said:?}");
    serde_json::from_str(&said.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_asked_for_stacks_and_to_try_a_message() {
    let (broker, sluicectl) = stage();
    let sluicectl = Arc::new(sluicectl);
    sluicectl.ok(&["group", "create", "readers"]).unwrap();
    let sent = sluicectl.json(&["message", "send", "orders", "hello"]).unwrap();
    let id: &'static str = sent["messages"][0]["message_id"]
        .as_str()
        .unwrap()
        .to_owned()
        .leak();
    let client = Client::new(&broker.endpoint()).unwrap();
    let settings = push_consumer_settings(&client, "readers", &[("orders", "*")]);
    let mut session = Session::open(&client, settings).await.unwrap();
    let stack = &["group", "stack", "readers", "-o", "json"];

    let stacks = while_answering(&mut session, &sluicectl, stack, |question| match question {
        Command::PrintThreadStackTraceCommand(question) => {
            let answer = v2::ThreadStackTrace {
                nonce: question.nonce,
                thread_stack_trace: Some("main at work".to_owned()),
            };
            (v2::Code::Ok, Command::ThreadStackTrace(answer))
        }
        other => panic!("{other:?}"),
    })
    .await;

    let stacks = json_of(&stacks);
    assert_eq!(stacks["clients"][0]["stacks"], json!("main at work"));
    let verify = ["group", "verify", "readers", "orders", id, "-o", "json"]
        .to_vec()
        .leak();
    let trial = while_answering(&mut session, &sluicectl, verify, |question| match question {
        Command::VerifyMessageCommand(question) => {
            assert_eq!(question.message.unwrap().body, "hello");
            let answer = v2::VerifyMessageResult {
                nonce: question.nonce,
            };
            (
                v2::Code::FailedToConsumeMessage,
                Command::VerifyMessageResult(answer),
            )
        }
        other => panic!("{other:?}"),
    })
    .await;
    let trial = json_of(&trial);
    assert_eq!(
        (&trial["code"], &trial["message_id"]),
        (&json!("FAILED_TO_CONSUME_MESSAGE"), &json!(id))
    );

    // One that does not answer is told apart from one that is not there.
    let silent = ["group", "stack", "readers", "--timeout", "1s", "-o", "json"];
    let said = tokio::task::block_in_place(|| sluicectl.run(&silent)).unwrap();
    assert_eq!(
        (said.code, &said.error().unwrap()["reason"]),
        (1, &json!("CLIENT_SILENT"))
    );
}

#[test]
fn a_client_that_is_not_there_is_not_found() {
    let (_broker, sluicectl) = stage();
    let said = sluicectl.run(&["client", "show", "nobody@1"]).unwrap();
    assert_eq!(said.code, 3, "{said:?}");
    assert!(
        said.stderr.contains("nobody@1") && said.stderr.contains("sluicectl client list"),
        "{said:?}"
    );
    sluicectl.ok(&["group", "create", "readers"]).unwrap();
    assert_eq!(members(&sluicectl), json!([]));
    for command in [
        &["group", "stack", "readers"][..],
        &["group", "verify", "readers", "orders", "01AB"],
    ] {
        let said = sluicectl.run(command).unwrap();
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.stderr.contains("no connected members"), "{said:?}");
    }
}
