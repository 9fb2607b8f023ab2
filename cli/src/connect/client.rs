//! The broker as RocketMQ's clients know it: sending, receiving, acknowledging.

use super::channel::connect;
use super::sending::{Sending, refused_unread};
use super::status::Asked;
use super::unreachable::Purpose;
use crate::failure::{Failure, Kind};
use crate::settings::{Address, Settings};
use sluice_proto::v2::messaging_service_client::MessagingServiceClient;
use sluice_proto::v2::receive_message_response::Content;
use sluice_proto::{LOST_HEADER, UNREADABLE_HEADER, v2};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Request, Status};

const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// A connection to the port for clients.
#[derive(Clone)]
pub struct Client {
    address: Address,
    tls: bool,
    /// What is said when a call is not answered.
    purpose: Purpose,
    timeout: Duration,
    headers: MetadataMap,
    stub: MessagingServiceClient<Channel>,
}

/// What a receive asks for.
#[derive(Clone, Debug)]
pub struct Receive {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The tag expression.
    pub tags: String,
    /// How many messages at most, up to 32.
    pub max: u32,
    /// How long they are hidden from others.
    pub invisible: Duration,
    /// How long to wait for the first.
    pub wait: Duration,
}

/// What a receive brings.
#[derive(Debug, Default)]
pub struct Received {
    /// Messages, as they came.
    pub messages: Vec<v2::Message>,
    /// Lost ones that the group was brought past: without messages there may be some behind those.
    pub lost: u64,
    /// Such as were left out because they cannot be read at present.
    pub unreadable: u64,
}

impl Client {
    /// Connects to an address with the settings' TLS.
    ///
    /// # Errors
    /// When nobody answers there.
    pub async fn connect(address: Address, settings: &Settings) -> Result<Self, Failure> {
        let channel = connect(&address, &settings.tls, settings.timeout, Purpose::Messages).await?;
        let stub = MessagingServiceClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        Ok(Self {
            address,
            tls: settings.tls.enabled,
            purpose: match settings.endpoint {
                Some(_) => Purpose::Messages,
                None => Purpose::MoreMessages,
            },
            timeout: settings.timeout,
            headers: headers()?,
            stub,
        })
    }

    /// Sends messages of one topic, in order. Those behind one that was refused are not taken either.
    pub async fn send(&mut self, topic: &str, messages: Vec<v2::Message>) -> Sending {
        let asked = Asked::topic(topic);
        let count = messages.len();
        let request = self.request(v2::SendMessageRequest { messages }, self.timeout);
        match self.stub.send_message(request).await {
            Ok(response) => {
                self.purpose = Purpose::MoreMessages;
                Sending::answered(&asked, response.into_inner(), count)
            }
            Err(status) => Sending {
                in_doubt: if refused_unread(status.code()) { 0 } else { count },
                failure: Some(self.unanswered(&asked, &status)),
                ..Sending::default()
            },
        }
    }

    /// Receives messages; none if none came in time, or only lost ones did.
    ///
    /// # Errors
    /// When the call was refused, or nobody answers.
    pub async fn receive(&mut self, receive: &Receive) -> Result<Received, Failure> {
        let asked = Asked::topic(&receive.topic);
        let request = self.request(receive.request(), receive.wait + self.timeout);
        let response = match self.stub.receive_message(request).await {
            Ok(response) => response,
            Err(status) => return Err(self.unanswered(&asked, &status)),
        };
        self.purpose = Purpose::MoreMessages;
        let [lost, unreadable] = [LOST_HEADER, UNREADABLE_HEADER].map(|name| said(response.metadata(), name));
        let mut received = Received {
            lost,
            unreadable,
            ..Received::default()
        };
        let mut stream = response.into_inner();
        loop {
            match stream.message().await {
                Ok(Some(frame)) => match frame.content {
                    Some(Content::Message(message)) => received.messages.push(message),
                    Some(Content::Status(status)) if status.code == v2::Code::MessageNotFound as i32 => {}
                    Some(Content::Status(status)) => check(&receive.asked(status.code()), Some(&status))?,
                    Some(Content::DeliveryTimestamp(_)) | None => {}
                },
                Ok(None) => return Ok(received),
                // What came is held by this client now, and is shown.
                Err(_) if !received.messages.is_empty() => return Ok(received),
                Err(status) => return Err(self.unanswered(&asked, &status)),
            }
        }
    }

    /// Acknowledges messages as they were received.
    ///
    /// # Errors
    /// When one was refused, or nobody answers.
    pub async fn acknowledge(
        &mut self,
        group: &str,
        topic: &str,
        messages: &[v2::Message],
    ) -> Result<(), Failure> {
        let asked = Asked::group(group);
        let entries = messages.iter().filter_map(|message| {
            let properties = message.system_properties.as_ref()?;
            Some(v2::AckMessageEntry {
                message_id: properties.message_id.clone(),
                receipt_handle: properties.receipt_handle.clone().unwrap_or_default(),
                lite_topic: None,
            })
        });
        let body = v2::AckMessageRequest {
            group: Some(resource(group)),
            topic: Some(resource(topic)),
            entries: entries.collect(),
        };
        let request = self.request(body, self.timeout);
        let response = match self.stub.ack_message(request).await {
            Ok(response) => response.into_inner(),
            Err(status) => return Err(self.unanswered(&asked, &status)),
        };
        let mut entries = response.entries.iter().map(|entry| entry.status.as_ref());
        entries.try_for_each(|status| check(&asked, status))?;
        check(&asked, response.status.as_ref())
    }

    fn unanswered(&self, asked: &Asked, status: &Status) -> Failure {
        asked.unanswered(&self.address, self.tls, self.purpose, status)
    }

    fn request<T>(&self, body: T, timeout: Duration) -> Request<T> {
        let mut request = Request::new(body);
        *request.metadata_mut() = self.headers.clone();
        request.set_timeout(timeout);
        request
    }
}

impl Receive {
    /// What a refusal with this code is about.
    fn asked(&self, code: v2::Code) -> Asked {
        match code {
            v2::Code::IllegalConsumerGroup | v2::Code::ConsumerGroupNotFound => Asked::group(&self.group),
            _ => Asked::topic(&self.topic),
        }
    }

    fn request(&self) -> v2::ReceiveMessageRequest {
        v2::ReceiveMessageRequest {
            group: Some(resource(&self.group)),
            message_queue: Some(v2::MessageQueue {
                topic: Some(resource(&self.topic)),
                id: -1,
                permission: v2::Permission::ReadWrite.into(),
                ..Default::default()
            }),
            filter_expression: Some(v2::FilterExpression {
                r#type: v2::FilterType::Tag.into(),
                expression: self.tags.clone(),
            }),
            batch_size: i32::try_from(self.max).unwrap_or(i32::MAX),
            invisible_duration: Some(duration(self.invisible)),
            auto_renew: false,
            long_polling_timeout: Some(duration(self.wait)),
            attempt_id: None,
        }
    }
}

/// A number in the answer's headers; 0 without it.
fn said(headers: &MetadataMap, name: &str) -> u64 {
    let text = headers.get(name).and_then(|value| value.to_str().ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

pub(super) fn check(asked: &Asked, status: Option<&v2::Status>) -> Result<(), Failure> {
    match status {
        Some(status) if status.code == v2::Code::Ok as i32 => Ok(()),
        Some(status) => Err(asked.refusal(status)),
        None => Err(Failure::new(Kind::Failed, "the broker's answer has no status")),
    }
}

/// A topic or group as the protocol names it.
fn resource(name: &str) -> v2::Resource {
    v2::Resource {
        resource_namespace: String::new(),
        name: name.to_owned(),
    }
}

fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

fn headers() -> Result<MetadataMap, Failure> {
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    let host: String = host.chars().filter(char::is_ascii_graphic).collect();
    let client_id = format!("sluicectl@{host}@{}@{:08x}", std::process::id(), entropy() as u32);
    let mut headers = MetadataMap::new();
    for (name, value) in [
        ("x-mq-client-id", client_id.as_str()),
        ("x-mq-language", "RUST"),
        ("x-mq-client-version", env!("CARGO_PKG_VERSION")),
        ("x-mq-protocol", "v2"),
    ] {
        let value = value
            .parse()
            .map_err(|_| Failure::new(Kind::Failed, format!("{value:?} is no header")))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// A new message id: 34 hexadecimal digits, as RocketMQ's clients make them; which one is chance.
pub fn message_id() -> String {
    format!("01{:016X}{:016X}", entropy(), entropy())
}

/// Chance: the standard library seeds its hashers from the system.
pub fn entropy() -> u64 {
    RandomState::new().hash_one(std::time::Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_are_34_digits_and_differ() {
        let ids: std::collections::BTreeSet<String> = (0..1000).map(|_| message_id()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(
            ids.iter()
                .all(|id| id.len() == 34 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
        );
    }
}
