//! The calls, each answered by the protocol's own response.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sluice_proto::v2;
use sluice_proto::v2::receive_message_response::Content;

use super::{Client, code, duration, resource};

/// How long a call may last beyond the time that it asks the broker to wait.
pub(super) const BEYOND_POLL: Duration = Duration::from_secs(3);

/// What a receive asks for.
#[derive(Debug, Clone)]
pub struct Receive {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The tag expression.
    pub tags: String,
    /// How many messages at most.
    pub batch: i32,
    /// How long they are hidden from others.
    pub invisible: Duration,
    /// How long to wait for the first.
    pub poll: Duration,
    /// Whether the broker renews.
    pub auto_renew: bool,
    /// Repeats a receive whose answer was lost.
    pub attempt_id: Option<String>,
}

impl Receive {
    /// 32 messages of any tag, hidden for 30 s, waiting for 5 s.
    #[must_use]
    pub fn new(group: &str, topic: &str) -> Self {
        Self {
            group: group.to_owned(),
            topic: topic.to_owned(),
            tags: "*".to_owned(),
            batch: 32,
            invisible: Duration::from_secs(30),
            poll: Duration::from_secs(5),
            auto_renew: false,
            attempt_id: None,
        }
    }

    fn request(&self) -> v2::ReceiveMessageRequest {
        v2::ReceiveMessageRequest {
            group: Some(resource(&self.group)),
            message_queue: Some(v2::MessageQueue {
                topic: Some(resource(&self.topic)),
                id: -1,
                permission: v2::Permission::ReadWrite.into(),
                broker: None,
                accept_message_types: Vec::new(),
            }),
            filter_expression: Some(tag_expression(&self.tags)),
            batch_size: self.batch,
            invisible_duration: (!self.auto_renew).then(|| duration(self.invisible)),
            auto_renew: self.auto_renew,
            long_polling_timeout: Some(duration(self.poll)),
            attempt_id: self.attempt_id.clone(),
        }
    }
}

/// What a receive brought.
#[derive(Debug)]
pub struct Received {
    /// The code of the status frame.
    pub code: Option<v2::Code>,
    /// The messages in order.
    pub messages: Vec<v2::Message>,
}

impl Client {
    /// `QueryRoute`.
    ///
    /// # Errors
    /// When the call fails as such.
    pub async fn query_route(&self, topic: &str) -> Result<v2::QueryRouteResponse> {
        let body = v2::QueryRouteRequest {
            topic: Some(resource(topic)),
            endpoints: Some(self.access_point()),
        };
        let response = self.stub().query_route(self.request(body)).await;
        Ok(response.context("QueryRoute")?.into_inner())
    }

    /// `SendMessage`.
    ///
    /// # Errors
    /// When the call fails as such.
    pub async fn send(&self, messages: Vec<v2::Message>) -> Result<v2::SendMessageResponse> {
        let body = v2::SendMessageRequest { messages };
        let response = self.stub().send_message(self.request(body)).await;
        Ok(response.context("SendMessage")?.into_inner())
    }

    /// Sends one message that the broker must accept. Returns its queue offset.
    ///
    /// # Errors
    /// When it does not.
    pub async fn send_ok(&self, message: v2::Message) -> Result<i64> {
        let response = self.send(vec![message]).await?;
        let entry = response.entries.first();
        let accepted = code(response.status.as_ref()) == Some(v2::Code::Ok)
            && code(entry.and_then(|entry| entry.status.as_ref())) == Some(v2::Code::Ok);
        ensure!(accepted, "the send was refused: {response:?}");
        entry.map(|entry| entry.offset).context("the answer has no entry")
    }

    /// `ReceiveMessage`, read to the end of its stream.
    ///
    /// # Errors
    /// When the call fails as such; messages that came before that are lost to the caller.
    pub async fn receive(&self, receive: &Receive) -> Result<Received> {
        let mut messages = Vec::new();
        let code = self
            .receive_each(receive, |message| messages.push(message))
            .await?;
        Ok(Received { code, messages })
    }

    /// As [`Client::receive`], handing each message over as it comes. Returns the code of the status frame.
    ///
    /// # Errors
    /// When the call fails as such, perhaps after some messages.
    pub async fn receive_each(
        &self,
        receive: &Receive,
        mut take: impl FnMut(v2::Message),
    ) -> Result<Option<v2::Code>> {
        let request = self.request_within(receive.request(), receive.poll + BEYOND_POLL);
        let mut stub = self.stub();
        let mut stream = stub
            .receive_message(request)
            .await
            .context("ReceiveMessage")?
            .into_inner();
        let mut answer = None;
        while let Some(frame) = stream.message().await.context("the stream of ReceiveMessage")? {
            match frame.content {
                Some(Content::Status(status)) => answer = code(Some(&status)),
                Some(Content::Message(message)) => take(message),
                Some(Content::DeliveryTimestamp(_)) | None => {}
            }
        }
        Ok(answer)
    }

    /// `AckMessage` for messages as they were received.
    ///
    /// # Errors
    /// When the call fails as such.
    pub async fn ack(
        &self,
        group: &str,
        topic: &str,
        messages: &[v2::Message],
    ) -> Result<v2::AckMessageResponse> {
        let entries = messages.iter().map(|message| v2::AckMessageEntry {
            message_id: message_id(message),
            receipt_handle: handle(message),
            lite_topic: None,
        });
        let body = v2::AckMessageRequest {
            group: Some(resource(group)),
            topic: Some(resource(topic)),
            entries: entries.collect(),
        };
        let response = self.stub().ack_message(self.request(body)).await;
        Ok(response.context("AckMessage")?.into_inner())
    }

    /// Acknowledges messages; each must be accepted.
    ///
    /// # Errors
    /// When one is not.
    pub async fn ack_ok(&self, group: &str, topic: &str, messages: &[v2::Message]) -> Result<()> {
        let response = self.ack(group, topic, messages).await?;
        let accepted = code(response.status.as_ref()) == Some(v2::Code::Ok)
            && response
                .entries
                .iter()
                .all(|entry| code(entry.status.as_ref()) == Some(v2::Code::Ok));
        ensure!(accepted, "an acknowledgement was refused: {response:?}");
        Ok(())
    }

    /// `NotifyClientTermination`: the broker gives what it renews for this client to others.
    ///
    /// # Errors
    /// When the call fails as such, or the broker does not take it.
    pub async fn farewell(&self) -> Result<()> {
        let request = self.request(v2::NotifyClientTerminationRequest::default());
        let response = self.stub().notify_client_termination(request).await;
        let status = response.context("NotifyClientTermination")?.into_inner().status;
        ensure!(
            code(status.as_ref()) == Some(v2::Code::Ok),
            "the farewell was refused: {status:?}"
        );
        Ok(())
    }

    /// `ChangeInvisibleDuration` for a message as it was received.
    ///
    /// # Errors
    /// When the call fails as such.
    pub async fn change_invisible(
        &self,
        group: &str,
        topic: &str,
        message: &v2::Message,
        invisible: Duration,
    ) -> Result<v2::ChangeInvisibleDurationResponse> {
        let body = v2::ChangeInvisibleDurationRequest {
            group: Some(resource(group)),
            topic: Some(resource(topic)),
            receipt_handle: handle(message),
            invisible_duration: Some(duration(invisible)),
            message_id: message_id(message),
            ..Default::default()
        };
        let response = self.stub().change_invisible_duration(self.request(body)).await;
        Ok(response.context("ChangeInvisibleDuration")?.into_inner())
    }

    /// `ForwardMessageToDeadLetterQueue` for a message as it was received.
    ///
    /// # Errors
    /// When the call fails as such.
    pub async fn forward_to_dead_letters(
        &self,
        group: &str,
        topic: &str,
        message: &v2::Message,
    ) -> Result<v2::ForwardMessageToDeadLetterQueueResponse> {
        let body = v2::ForwardMessageToDeadLetterQueueRequest {
            group: Some(resource(group)),
            topic: Some(resource(topic)),
            receipt_handle: handle(message),
            message_id: message_id(message),
            delivery_attempt: attempt(message),
            max_delivery_attempts: attempt(message),
            lite_topic: None,
        };
        let request = self.request(body);
        let response = self.stub().forward_message_to_dead_letter_queue(request).await;
        Ok(response.context("ForwardMessageToDeadLetterQueue")?.into_inner())
    }
}

/// The id of a message.
#[must_use]
pub fn message_id(message: &v2::Message) -> String {
    message
        .system_properties
        .as_ref()
        .map_or_else(String::new, |properties| properties.message_id.clone())
}

fn handle(message: &v2::Message) -> String {
    let properties = message.system_properties.as_ref();
    properties
        .and_then(|properties| properties.receipt_handle.clone())
        .unwrap_or_default()
}

/// Which delivery of the message it is, from 1.
#[must_use]
pub fn attempt(message: &v2::Message) -> i32 {
    let properties = message.system_properties.as_ref();
    properties
        .and_then(|properties| properties.delivery_attempt)
        .unwrap_or(0)
}

pub(super) fn tag_expression(tags: &str) -> v2::FilterExpression {
    v2::FilterExpression {
        r#type: v2::FilterType::Tag.into(),
        expression: tags.to_owned(),
    }
}
