//! A broker on free ports over a folder of its own, and a client of it.

use sluice_broker::config::{Config, Live};
use sluice_broker::run::{Broker, Sockets};
use sluice_proto::v2::messaging_service_client::MessagingServiceClient;
use sluice_proto::v2::receive_message_response::Content;
use sluice_proto::v2::*;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tonic::Request;
use tonic::transport::Channel;

pub const DEADLINE: Duration = Duration::from_secs(10);

pub struct Fixture {
    pub address: SocketAddr,
    pub stub: MessagingServiceClient<Channel>,
    pub client: String,
    pub broker: Broker,
    pub live: Arc<Live>,
    _folder: TempDir,
}

impl Fixture {
    pub async fn new() -> Self {
        Self::with("", &[]).await
    }

    pub async fn with(init: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (data, yaml) = (folder.path().join("data"), folder.path().join("init.yaml"));
        std::fs::write(&yaml, init).unwrap();
        let (data, yaml) = (data.display().to_string(), yaml.display().to_string());
        let mut all = vec!["--data-dir", &data, "--init", &yaml];
        for listen in ["--grpc-listen", "--admin-listen", "--http-listen"] {
            all.extend([listen, "127.0.0.1:0"]);
        }
        // However full the disk is on which the tests run.
        all.extend(["--refuse-sends-percent", "0"]);
        if !flags.contains(&"--segment-size") {
            all.extend(["--segment-size", "64MiB"]);
        }
        all.extend(flags);
        let config = Config::of_flags(&all).unwrap();
        let live = Arc::clone(&config.live);
        let broker = Broker::start(
            config,
            Sockets::default(),
            Arc::new(|reason| panic!("the store failed: {reason}")),
        )
        .await
        .unwrap();
        let address = broker.grpc_address();
        let channel = Channel::from_shared(format!("http://{address}"))
            .unwrap()
            .connect_lazy();
        let stub = MessagingServiceClient::new(channel).max_decoding_message_size(16 << 20);
        Self {
            address,
            stub,
            client: "client-1".to_owned(),
            broker,
            live,
            _folder: folder,
        }
    }

    pub fn stub(&self) -> MessagingServiceClient<Channel> {
        self.stub.clone()
    }

    pub fn request<T>(&self, body: T) -> Request<T> {
        self.request_by(&self.client, body)
    }

    pub fn request_by<T>(&self, client: &str, body: T) -> Request<T> {
        let mut request = Request::new(body);
        request
            .metadata_mut()
            .insert("x-mq-client-id", client.parse().unwrap());
        request
            .metadata_mut()
            .insert("x-mq-language", "JAVA".parse().unwrap());
        request.set_timeout(DEADLINE);
        request
    }

    pub async fn send(&self, messages: Vec<Message>) -> SendMessageResponse {
        self.stub()
            .send_message(self.request(SendMessageRequest { messages }))
            .await
            .unwrap()
            .into_inner()
    }

    pub async fn send_ok(&self, message: Message) {
        let sent = self.send(vec![message]).await;
        assert_eq!(code(&sent.status), Code::Ok, "{sent:?}");
    }

    pub async fn receive(&self, change: impl FnOnce(&mut ReceiveMessageRequest)) -> Received {
        self.receive_by(&self.client, change).await
    }

    pub async fn receive_by(
        &self,
        client: &str,
        change: impl FnOnce(&mut ReceiveMessageRequest),
    ) -> Received {
        let mut body = receive_request("g", "t");
        change(&mut body);
        let request = self.request_by(client, body);
        let mut frames = self.stub().receive_message(request).await.unwrap().into_inner();
        let mut received = Received::default();
        while let Some(frame) = frames.message().await.unwrap() {
            match frame.content.unwrap() {
                Content::Status(status) => received.status = Some(status),
                Content::Message(message) => received.messages.push(message),
                Content::DeliveryTimestamp(_) => received.timestamps += 1,
            }
        }
        received
    }

    pub async fn ack(&self, group: &str, topic: &str, handles: &[&str]) -> AckMessageResponse {
        let entry = |handle: &&str| AckMessageEntry {
            message_id: "id".to_owned(),
            receipt_handle: (*handle).to_owned(),
            lite_topic: None,
        };
        let entries = handles.iter().map(entry).collect();
        let body = AckMessageRequest {
            group: named(group),
            topic: named(topic),
            entries,
        };
        self.stub()
            .ack_message(self.request(body))
            .await
            .unwrap()
            .into_inner()
    }
}

#[derive(Debug, Default)]
pub struct Received {
    pub status: Option<Status>,
    pub messages: Vec<Message>,
    pub timestamps: usize,
}

impl Received {
    pub fn bodies(&self) -> Vec<String> {
        self.messages
            .iter()
            .map(|message| String::from_utf8(message.body.to_vec()).unwrap())
            .collect()
    }
}

pub fn receive_request(group: &str, topic: &str) -> ReceiveMessageRequest {
    ReceiveMessageRequest {
        group: named(group),
        message_queue: Some(MessageQueue {
            topic: named(topic),
            ..Default::default()
        }),
        filter_expression: Some(FilterExpression {
            r#type: FilterType::Tag.into(),
            expression: "*".into(),
        }),
        batch_size: 32,
        invisible_duration: Some(seconds(30)),
        long_polling_timeout: Some(millis(300)),
        ..Default::default()
    }
}

pub fn named(name: &str) -> Option<Resource> {
    Some(Resource {
        resource_namespace: String::new(),
        name: name.to_owned(),
    })
}

pub fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

pub fn millis(ms: i32) -> prost_types::Duration {
    prost_types::Duration {
        seconds: 0,
        nanos: ms * 1_000_000,
    }
}

pub fn message(topic: &str, body: &str) -> Message {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = format!("01{:032X}", NEXT.fetch_add(1, Ordering::Relaxed));
    Message {
        topic: named(topic),
        system_properties: Some(SystemProperties {
            message_id: id,
            ..Default::default()
        }),
        body: body.to_owned().into(),
        ..Default::default()
    }
}

pub fn with(mut message: Message, change: impl FnOnce(&mut SystemProperties)) -> Message {
    change(message.system_properties.as_mut().unwrap());
    message
}

pub fn code(status: &Option<Status>) -> Code {
    Code::try_from(status.as_ref().unwrap().code).unwrap()
}

pub fn system(message: &Message) -> &SystemProperties {
    message.system_properties.as_ref().unwrap()
}

pub fn handle(message: &Message) -> &str {
    system(message).receipt_handle.as_deref().unwrap()
}
