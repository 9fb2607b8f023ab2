//! Clients and members: who they are, what they hold, what they do, and what they are asked (B11).

use sluice_proto::admin::*;
use sluice_proto::v2::telemetry_command::Command;
use sluice_proto::v2::{self, ThreadStackTrace, VerifyMessageResult};
use sluice_tests::admin::reason;
use sluice_tests::client::{
    Client as Rocket, Receive, Session, message, message_id, producer_settings, push_consumer_settings,
};
use sluice_tests::wait;
use tonic::{Code, Response, Status};

use crate::stage::{SOON, Stage, refused};

async fn members(stage: &Stage, group: &str) -> Result<Vec<Member>, Status> {
    let request = ListMembersRequest {
        group: group.to_owned(),
    };
    let listed = stage.admin.groups().list_members(request).await?;
    Ok(listed.into_inner().members)
}

async fn list(stage: &Stage, request: ListClientsRequest) -> Result<ListClientsResponse, Status> {
    Ok(stage.admin.clients().list_clients(request).await?.into_inner())
}

async fn describe(stage: &Stage, id: &str) -> Result<Response<Client>, Status> {
    let request = DescribeClientRequest {
        client_id: id.to_owned(),
    };
    stage.admin.clients().describe_client(request).await
}

async fn consumer(stage: &Stage) -> Session {
    let settings = push_consumer_settings(&stage.client, "billing", &[("orders", "red || green")]);
    Session::open(&stage.client, settings).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_groups_members_are_told_with_what_they_hold_and_do() {
    let stage = Stage::with("topics:\n  - {name: orders, queues: 1}\n");
    stage.send("orders", 5).await;
    let session = consumer(&stage).await;
    let receive = Receive {
        batch: 3,
        auto_renew: true,
        ..Receive::new("billing", "orders")
    };
    let held = stage.client.receive(&receive).await.unwrap().messages;
    assert_eq!(held.len(), 3);
    stage
        .client
        .ack_ok("billing", "orders", &held[..1])
        .await
        .unwrap();

    let told = members(&stage, "billing").await.unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    let member = &told[0];
    assert_eq!(member.client_id, stage.client.id());
    assert_eq!((member.language.as_str(), member.connected), ("RUST", true));
    assert!(member.address.starts_with("127.0.0.1:"), "{member:?}");
    assert_eq!(member.subscriptions[0].expression, "red || green");
    assert_eq!(
        (
            member.held.len(),
            member.held[0].topic.as_str(),
            member.held[0].messages
        ),
        (1, "orders", 2)
    );
    let figures = member.figures.as_ref().unwrap();
    assert_eq!(
        (figures.delivered, figures.acknowledged, figures.inflight),
        (3, 1, 2)
    );
    assert!(
        figures.handling_ms_mean.is_some() && figures.delivered_per_second > 0.0,
        "{figures:?}"
    );

    let described = describe(&stage, stage.client.id()).await.unwrap().into_inner();
    assert_eq!(
        (described.role(), described.group.as_str()),
        (ClientRole::Consumer, "billing")
    );
    assert_eq!(described.held[0].messages, 2);
    let group = DescribeGroupRequest {
        name: "billing".to_owned(),
    };
    let group = stage
        .admin
        .groups()
        .describe_group(group)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(group.members, 1);
    drop(session);
    refused(
        members(&stage, "nobody").await.map(Response::new),
        Code::NotFound,
        "GROUP_NOT_FOUND",
        "'nobody'",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_gone_and_still_holds_messages_is_a_member() {
    let mut stage = Stage::with("topics:\n  - {name: orders, queues: 1}\n");
    stage.send("orders", 1).await;
    stage.receive("billing", "orders", 1).await;
    let id = stage.client.id().to_owned();
    stage.kill_and_start().await;
    let told = members(&stage, "billing").await.unwrap();
    assert_eq!(
        (told.len(), told[0].client_id.as_str(), told[0].connected),
        (1, id.as_str(), false)
    );
    assert_eq!(told[0].held[0].messages, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_listed_by_id_role_and_group_a_page_at_a_time() {
    let stage = Stage::new();
    let _consumer = consumer(&stage).await;
    let sender = Rocket::new(&stage.broker.endpoint()).unwrap();
    let _producer = Session::open(&sender, producer_settings(&sender, &["orders"]))
        .await
        .unwrap();

    let all = list(&stage, ListClientsRequest::default()).await.unwrap().clients;
    let mut ids = [stage.client.id().to_owned(), sender.id().to_owned()];
    ids.sort();
    assert_eq!(
        all.iter()
            .map(|client| client.client_id.clone())
            .collect::<Vec<_>>(),
        ids
    );
    let page = ListClientsRequest {
        page_size: 1,
        ..Default::default()
    };
    let first = list(&stage, page.clone()).await.unwrap();
    assert_eq!(first.clients[0].client_id, ids[0]);
    let second = ListClientsRequest {
        page_token: first.next_page_token.clone(),
        ..page
    };
    let second = list(&stage, second).await.unwrap();
    assert_eq!(
        (
            second.clients[0].client_id.as_str(),
            second.next_page_token.as_str()
        ),
        (ids[1].as_str(), "")
    );

    let producers = ListClientsRequest {
        role: ClientRole::Producer.into(),
        ..Default::default()
    };
    let producers = list(&stage, producers).await.unwrap().clients;
    assert_eq!(
        (producers.len(), producers[0].topics.as_slice()),
        (1, &["orders".to_owned()][..])
    );
    let of_group = ListClientsRequest {
        group: "billing".to_owned(),
        ..Default::default()
    };
    assert_eq!(list(&stage, of_group).await.unwrap().clients.len(), 1);
    stage.send("orders", 1).await;
    let topic = DescribeTopicRequest {
        name: "orders".to_owned(),
    };
    let topic = stage
        .admin
        .topics()
        .describe_topic(topic)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(topic.producers, 1);
    let status = stage
        .admin
        .broker()
        .get_status(GetStatusRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!((status.producers, status.consumers), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_clients_that_cannot_be_is_refused() {
    let stage = Stage::new();
    for (request, why) in [
        (
            ListClientsRequest {
                role: 9,
                ..Default::default()
            },
            "REQUEST_INVALID",
        ),
        (
            ListClientsRequest {
                group: "a b".to_owned(),
                ..Default::default()
            },
            "GROUP_NAME_INVALID",
        ),
        (
            ListClientsRequest {
                page_token: "forged".to_owned(),
                ..Default::default()
            },
            "PAGE_TOKEN_INVALID",
        ),
    ] {
        let listed = list(&stage, request).await.map(Response::new);
        refused(listed, Code::InvalidArgument, why, "");
    }
    refused(
        describe(&stage, "nobody").await,
        Code::NotFound,
        "CLIENT_NOT_FOUND",
        "'nobody'",
    );
    refused(
        describe(&stage, "").await,
        Code::InvalidArgument,
        "REQUEST_INVALID",
        "client_id",
    );
}

async fn stacks(
    stage: &Stage,
    id: &str,
    timeout_ms: u64,
) -> Result<Response<GetThreadStacksResponse>, Status> {
    let request = GetThreadStacksRequest {
        client_id: id.to_owned(),
        timeout_ms,
    };
    stage.admin.clients().get_thread_stacks(request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_shows_the_stacks_of_its_threads() {
    let stage = Stage::new();
    let mut session = consumer(&stage).await;
    let id = stage.client.id().to_owned();
    let (shown, ()) = tokio::join!(stacks(&stage, &id, 0), async {
        let Command::PrintThreadStackTraceCommand(question) = session.question().await.unwrap() else {
            panic!("another question")
        };
        let answer = Command::ThreadStackTrace(ThreadStackTrace {
            nonce: question.nonce,
            thread_stack_trace: Some("main: at work".to_owned()),
        });
        session.reply(v2::Code::Ok, answer).await.unwrap();
    });
    assert_eq!(shown.unwrap().into_inner().stacks, "main: at work");

    refused(
        stacks(&stage, &id, 50).await,
        Code::Unimplemented,
        "CLIENT_SILENT",
        "within 50 ms",
    );
    refused(
        stacks(&stage, &id, 60_001).await,
        Code::InvalidArgument,
        "REQUEST_INVALID",
        "at most 60000",
    );
    refused(
        stacks(&stage, "nobody", 0).await,
        Code::NotFound,
        "CLIENT_NOT_FOUND",
        "'nobody'",
    );
    refused(
        stacks(&stage, "", 0).await,
        Code::InvalidArgument,
        "REQUEST_INVALID",
        "client_id",
    );
    drop(session);
    wait::until_async("the client has no stream any more", SOON, async || {
        let refusal = stacks(&stage, &id, 1).await.unwrap_err();
        Ok((reason(&refusal) == "CLIENT_NOT_CONNECTED").then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_handles_a_message_as_a_trial_and_settles_nothing() {
    let stage = Stage::new();
    let sent = message("orders", "tried");
    let message_id = message_id(&sent);
    stage.client.send_ok(sent).await.unwrap();
    let mut session = consumer(&stage).await;
    let verify = |client_id: &str, topic: &str, message_id: &str| VerifyMessageRequest {
        client_id: client_id.to_owned(),
        topic: topic.to_owned(),
        message_id: message_id.to_owned(),
        timeout_ms: 0,
    };
    let id = stage.client.id().to_owned();
    let mut clients = stage.admin.clients();
    let trial = clients.verify_message(verify(&id, "orders", &message_id));
    let (verdict, ()) = tokio::join!(trial, async {
        let Command::VerifyMessageCommand(question) = session.question().await.unwrap() else {
            panic!("another question")
        };
        assert_eq!(question.message.unwrap().body, "tried");
        let answer = Command::VerifyMessageResult(VerifyMessageResult {
            nonce: question.nonce,
        });
        session
            .reply(v2::Code::FailedToConsumeMessage, answer)
            .await
            .unwrap();
    });
    assert_eq!(verdict.unwrap().into_inner().code, "FAILED_TO_CONSUME_MESSAGE");
    stage.consume("billing", "orders", 1).await;

    let (refusal, ()) = tokio::join!(
        async {
            stage
                .admin
                .clients()
                .verify_message(verify(&id, "", &message_id))
                .await
        },
        async {
            let Command::VerifyMessageCommand(question) = session.question().await.unwrap() else {
                panic!("another question")
            };
            let answer = Command::VerifyMessageResult(VerifyMessageResult {
                nonce: question.nonce,
            });
            session.reply(v2::Code::Unsupported, answer).await.unwrap();
        }
    );
    refused(refusal, Code::Unimplemented, "CLIENT_REFUSES", "UNSUPPORTED");
    for (request, code, why) in [
        (
            verify("nobody", "orders", &message_id),
            Code::NotFound,
            "CLIENT_NOT_FOUND",
        ),
        (
            verify(&id, "nothing", &message_id),
            Code::NotFound,
            "TOPIC_NOT_FOUND",
        ),
        (verify(&id, "orders", "0123"), Code::NotFound, "MESSAGE_NOT_FOUND"),
        (
            verify(&id, "orders", ""),
            Code::InvalidArgument,
            "REQUEST_INVALID",
        ),
    ] {
        refused(stage.admin.clients().verify_message(request).await, code, why, "");
    }
}
