//! Questions to clients: matched to their answers, bounded in time.

use std::time::Instant;

use sluice_proto::admin::{
    GetLagRequest, GetThreadStacksRequest, VerifyMessageRequest, VerifyMessageResponse,
};
use sluice_proto::v2;
use sluice_proto::v2::telemetry_command::Command;
use sluice_tests::admin::reason;
use sluice_tests::client::{Client, message};
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use crate::stage::Stage;

fn ask_for_stacks(stage: &Stage, client: &Client, timeout_ms: u64) -> JoinHandle<Result<String, Status>> {
    let mut clients = stage.admin.clients();
    let client_id = client.id().to_owned();
    tokio::spawn(async move {
        let request = GetThreadStacksRequest {
            client_id,
            timeout_ms,
        };
        Ok(clients.get_thread_stacks(request).await?.into_inner().stacks)
    })
}

fn have_it_verified(
    stage: &Stage,
    client: &Client,
    message_id: &str,
) -> JoinHandle<Result<VerifyMessageResponse, Status>> {
    let mut clients = stage.admin.clients();
    let request = VerifyMessageRequest {
        client_id: client.id().to_owned(),
        topic: "orders".to_owned(),
        message_id: message_id.to_owned(),
        timeout_ms: 20_000,
    };
    tokio::spawn(async move { Ok(clients.verify_message(request).await?.into_inner()) })
}

fn stacks(nonce: &str, text: &str) -> Command {
    Command::ThreadStackTrace(v2::ThreadStackTrace {
        nonce: nonce.to_owned(),
        thread_stack_trace: Some(text.to_owned()),
    })
}

fn result(nonce: &str) -> Command {
    Command::VerifyMessageResult(v2::VerifyMessageResult {
        nonce: nonce.to_owned(),
    })
}

/// How the client for Node.js refuses a trial.
fn question_again(nonce: &str) -> Command {
    Command::VerifyMessageCommand(v2::VerifyMessageCommand {
        nonce: nonce.to_owned(),
        message: None,
    })
}

fn nonce(question: &Command) -> String {
    match question {
        Command::PrintThreadStackTraceCommand(command) => command.nonce.clone(),
        Command::VerifyMessageCommand(command) => command.nonce.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn stacks_are_those_that_the_asked_client_sends_with_the_questions_nonce() {
    let stage = Stage::new();
    let (client, mut session) = stage.push_consumer("workers").await;
    let (_other, stranger) = stage.push_consumer("workers").await;
    let first = ask_for_stacks(&stage, &client, 20_000);
    let first_nonce = nonce(&session.question().await.unwrap());
    let second = ask_for_stacks(&stage, &client, 20_000);
    let second_nonce = nonce(&session.question().await.unwrap());
    assert_ne!(first_nonce, second_nonce);
    stranger
        .reply(v2::Code::Ok, stacks(&first_nonce, "of another"))
        .await
        .unwrap();
    for (nonce, text) in [
        ("made up", "nobody asked"),
        (&second_nonce, "2"),
        (&first_nonce, "1"),
        (&first_nonce, "3"),
    ] {
        session.reply(v2::Code::Ok, stacks(nonce, text)).await.unwrap();
    }
    assert_eq!(first.await.unwrap().unwrap(), "1");
    assert_eq!(second.await.unwrap().unwrap(), "2");
}

#[tokio::test]
async fn a_client_that_does_not_answer_or_cannot_or_goes_away_ends_the_wait() {
    let stage = Stage::new();
    let (client, mut session) = stage.push_consumer("workers").await;
    let asked = Instant::now();
    let late = ask_for_stacks(&stage, &client, 300).await.unwrap().unwrap_err();
    assert_eq!(late.code(), Code::Unimplemented, "{late:?}");
    assert!(
        late.message().contains("has not answered within 300 ms"),
        "{late:?}"
    );
    assert!(asked.elapsed().as_millis() >= 300);
    let late_nonce = nonce(&session.question().await.unwrap());
    session
        .reply(v2::Code::Ok, stacks(&late_nonce, "late"))
        .await
        .unwrap();

    let refused = ask_for_stacks(&stage, &client, 20_000);
    let nonce_of_refused = nonce(&session.question().await.unwrap());
    let nothing = Command::ThreadStackTrace(v2::ThreadStackTrace {
        nonce: nonce_of_refused,
        thread_stack_trace: None,
    });
    session.reply(v2::Code::Unsupported, nothing).await.unwrap();
    let refused = refused.await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented, "{refused:?}");
    assert!(refused.message().contains("answers UNSUPPORTED"), "{refused:?}");

    let left = ask_for_stacks(&stage, &client, 20_000);
    session.question().await.unwrap();
    drop(session);
    let left = left.await.unwrap().unwrap_err();
    assert!(
        left.message().contains("disconnected before it answered"),
        "{left:?}"
    );
    let nobody = ask_for_stacks(&stage, &stage.client(), 1000)
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(nobody.code(), Code::NotFound, "{nobody:?}");
    assert_eq!(reason(&nobody), "CLIENT_NOT_FOUND");
}

// Quirk node-trial: a refusal in the form of the question.
#[tokio::test]
async fn a_message_is_tried_by_a_client_and_stays_as_it_was() {
    let stage = Stage::new();
    let (client, mut session) = stage.push_consumer("workers").await;
    let sent = message("orders", "try me");
    let id = sent.system_properties.as_ref().unwrap().message_id.clone();
    client.send_ok(sent).await.unwrap();
    for (code, expected) in [
        (v2::Code::Ok, "OK"),
        (v2::Code::FailedToConsumeMessage, "FAILED_TO_CONSUME_MESSAGE"),
    ] {
        let trial = have_it_verified(&stage, &client, &id);
        let question = session.question().await.unwrap();
        let Command::VerifyMessageCommand(command) = &question else {
            panic!("{question:?}")
        };
        let message = command.message.as_ref().unwrap();
        let system = message.system_properties.as_ref().unwrap();
        assert_eq!((&message.body[..], &system.message_id), (&b"try me"[..], &id));
        assert_eq!(message.topic.as_ref().unwrap().name, "orders");
        assert_eq!(
            (system.delivery_attempt, &system.receipt_handle),
            (Some(1), &None)
        );
        assert!(system.body_digest.is_some());
        session.reply(code, result(&nonce(&question))).await.unwrap();
        assert_eq!(trial.await.unwrap().unwrap().code, expected);
    }
    for answer in [result, question_again] {
        let refused = have_it_verified(&stage, &client, &id);
        let question = session.question().await.unwrap();
        session
            .reply(v2::Code::NotImplemented, answer(&nonce(&question)))
            .await
            .unwrap();
        assert_eq!(refused.await.unwrap().unwrap_err().code(), Code::Unimplemented);
    }
    let unknown = have_it_verified(&stage, &client, "01AB")
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(
        (unknown.code(), reason(&unknown).as_str()),
        (Code::NotFound, "MESSAGE_NOT_FOUND")
    );

    let request = GetLagRequest {
        group: "workers".to_owned(),
        ..GetLagRequest::default()
    };
    let lag = stage.admin.groups().get_lag(request).await.unwrap().into_inner();
    assert!(lag.topics.iter().all(|topic| topic.inflight == 0), "{lag:?}");
    let received = crate::stage::push(&client, "workers", 1).await;
    let system = received[0].system_properties.as_ref().unwrap();
    assert_eq!(system.delivery_attempt, Some(1), "no attempt is spent");
}
