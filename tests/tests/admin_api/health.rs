//! Health and reflection, on both ports.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sluice_tests::admin::{Admin, Tls};
use sluice_tests::client::message;
use sluice_tests::process::Setup;
use tokio_stream::StreamExt as _;
use tonic::Streaming;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::stage::Stage;

const CLIENTS: &str = "apache.rocketmq.v2.MessagingService";
const TOPICS: &str = "sluice.admin.v1.TopicService";

fn service(name: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: name.to_owned(),
    }
}

fn channels(stage: &Stage) -> [(Channel, &'static str, &'static str); 2] {
    let clients = Admin::with(&stage.broker.endpoint(), &Tls::On).unwrap();
    [
        (clients.channel(), CLIENTS, TOPICS),
        (stage.admin.channel(), TOPICS, CLIENTS),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ports_tell_the_health_of_their_services() {
    let stage = Stage::new();
    for (channel, own, others) in channels(&stage) {
        let mut health = HealthClient::new(channel);
        for name in ["", own, "grpc.reflection.v1.ServerReflection"] {
            let response = health.check(service(name)).await;
            if name.starts_with("grpc.") {
                assert_eq!(response.unwrap_err().code(), tonic::Code::NotFound);
            } else {
                assert_eq!(
                    response.unwrap().into_inner().status(),
                    ServingStatus::Serving,
                    "{name}"
                );
            }
        }
        let unknown = health.check(service(others)).await.unwrap_err();
        assert_eq!(unknown.code(), tonic::Code::NotFound, "{unknown:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_broker_stops_both_ports_say_that_they_serve_no_longer() {
    let mut stage = Stage::new();
    stage.send("orders", 1).await;
    let mut watches = Vec::new();
    for (channel, own, _) in channels(&stage) {
        let mut watch = HealthClient::new(channel)
            .watch(service(own))
            .await
            .unwrap()
            .into_inner();
        let first = watch.message().await.unwrap().unwrap();
        assert_eq!(first.status(), ServingStatus::Serving);
        watches.push(watch);
    }
    // Tools keep such a stream open.
    let (clients, admin) = (channels(&stage)[0].0.clone(), stage.admin.channel());
    let _asking = [open_reflection(clients).await, open_reflection(admin).await];
    // The stop waits for this.
    let held = stage
        .client
        .begin_send(vec![message("orders", "held")])
        .await
        .unwrap();
    stage.broker.signal_term().unwrap();
    for watch in &mut watches {
        let last = watch.message().await.unwrap().unwrap();
        assert_eq!(last.status(), ServingStatus::NotServing);
        assert!(watch.message().await.unwrap().is_none(), "nobody is held up");
    }
    let mut health = HealthClient::new(stage.admin.channel());
    let status = health.check(service("")).await.unwrap().into_inner().status();
    assert_eq!(status, ServingStatus::NotServing, "new calls are told too");

    held.complete().await.unwrap();
    let told = Instant::now();
    assert!(stage.broker.wait_for_end().unwrap().success());
    assert!(
        told.elapsed() < Duration::from_secs(8),
        "no open stream is waited for"
    );
    assert!(!stage.broker.log().unwrap().contains("cut off"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ports_describe_what_they_serve_and_nothing_else() {
    let stage = Stage::new();
    for (channel, own, others) in channels(&stage) {
        let services = list(channel.clone()).await;
        assert!(
            services.contains(own) && !services.contains(others),
            "{services:?}"
        );
        assert!(services.contains("grpc.health.v1.Health"), "{services:?}");
        let described = ask(
            channel.clone(),
            MessageRequest::FileContainingSymbol(own.to_owned()),
        )
        .await;
        let Some(MessageResponse::FileDescriptorResponse(files)) = described.message_response else {
            panic!("{described:?}")
        };
        assert!(!files.file_descriptor_proto.is_empty());
        // The older version, which tools ask by when they do not know better.
        use tonic_reflection::pb::v1alpha::server_reflection_request::MessageRequest as Old;
        use tonic_reflection::pb::v1alpha::{ServerReflectionRequest, server_reflection_client as old};
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(Old::ListServices(String::new())),
        };
        let mut client = old::ServerReflectionClient::new(channel);
        let answers = client.server_reflection_info(tokio_stream::once(request)).await;
        assert!(answers.unwrap().into_inner().message().await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_reflection_need_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::write(&tokens, "a-token-that-nobody-shows").unwrap();
    let stage = Stage::of(Setup::new().flag("--admin-token-file", &tokens.display().to_string()));
    let mut health = HealthClient::new(stage.admin.channel());
    let status = health.check(service("")).await.unwrap().into_inner().status();
    assert_eq!(status, ServingStatus::Serving);
    assert!(list(stage.admin.channel()).await.contains(TOPICS));
}

async fn open_reflection(channel: Channel) -> Streaming<ServerReflectionResponse> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let questions = tokio_stream::once(request).chain(tokio_stream::pending());
    let mut client = ServerReflectionClient::new(channel);
    let mut answers = client
        .server_reflection_info(questions)
        .await
        .unwrap()
        .into_inner();
    assert!(answers.message().await.unwrap().is_some());
    answers
}

async fn list(channel: Channel) -> BTreeSet<String> {
    let listed = ask(channel, MessageRequest::ListServices(String::new())).await;
    let Some(MessageResponse::ListServicesResponse(list)) = listed.message_response else {
        panic!("{listed:?}")
    };
    list.service.into_iter().map(|service| service.name).collect()
}

async fn ask(channel: Channel, message_request: MessageRequest) -> ServerReflectionResponse {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message_request),
    };
    let mut client = ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(tokio_stream::once(request)).await;
    answers.unwrap().into_inner().message().await.unwrap().unwrap()
}
