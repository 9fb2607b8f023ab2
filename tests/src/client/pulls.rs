//! The calls of clients that keep their own place in a queue.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use prost_types::Timestamp;
use sluice_proto::v2::pull_message_response::Content;
use sluice_proto::v2::{self, QueryOffsetPolicy};

use super::calls::{BEYOND_POLL, tag_expression};
use super::{Client, code, duration, resource};

/// What a pull asks for.
#[derive(Debug, Clone)]
pub struct Pull {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The queue.
    pub queue: i32,
    /// From where on.
    pub offset: i64,
    /// The tag expression.
    pub tags: String,
    /// How many messages at most.
    pub batch: i32,
    /// How long to wait for the first.
    pub poll: Duration,
}

impl Pull {
    /// 32 messages of any tag of the first queue, without waiting.
    #[must_use]
    pub fn new(group: &str, topic: &str, offset: i64) -> Self {
        Self {
            group: group.to_owned(),
            topic: topic.to_owned(),
            queue: 0,
            offset,
            tags: "*".to_owned(),
            batch: 32,
            poll: Duration::ZERO,
        }
    }
}

/// What a pull brought.
#[derive(Debug)]
pub struct Pulled {
    /// The code of the status frame.
    pub code: Option<v2::Code>,
    /// What the status frame says in words.
    pub said: String,
    /// The messages in order.
    pub messages: Vec<v2::Message>,
    /// Where the next pull goes on.
    pub next: Option<i64>,
}

impl Client {
    /// `PullMessage`, read to the end of its stream.
    ///
    /// # Errors
    /// When the call fails as such, or its frames are not in their order.
    pub async fn pull(&self, pull: &Pull) -> Result<Pulled> {
        let body = v2::PullMessageRequest {
            group: Some(resource(&pull.group)),
            message_queue: Some(queue(&pull.topic, pull.queue)),
            offset: pull.offset,
            batch_size: pull.batch,
            filter_expression: Some(tag_expression(&pull.tags)),
            long_polling_timeout: Some(duration(pull.poll)),
        };
        let request = self.request_within(body, pull.poll + BEYOND_POLL);
        let stream = self.stub().pull_message(request).await;
        let mut stream = stream.context("PullMessage")?.into_inner();
        let first = stream.message().await.context("the stream of PullMessage")?;
        let Some(Content::Status(status)) = first.and_then(|frame| frame.content) else {
            anyhow::bail!("the first frame is no status");
        };
        let mut pulled = Pulled {
            code: code(Some(&status)),
            said: status.message,
            messages: Vec::new(),
            next: None,
        };
        while let Some(frame) = stream.message().await.context("the stream of PullMessage")? {
            ensure!(pulled.next.is_none(), "a frame follows the last one: {frame:?}");
            match frame.content {
                Some(Content::Message(message)) => pulled.messages.push(message),
                Some(Content::NextOffset(next)) => pulled.next = Some(next),
                Some(Content::Status(_)) | None => anyhow::bail!("a frame out of order: {frame:?}"),
            }
        }
        Ok(pulled)
    }

    /// `UpdateOffset`.
    ///
    /// # Errors
    /// When the call fails as such.
    pub async fn update_offset(
        &self,
        group: &str,
        topic: &str,
        queue_id: i32,
        offset: i64,
    ) -> Result<Option<v2::Code>> {
        let body = v2::UpdateOffsetRequest {
            group: Some(resource(group)),
            message_queue: Some(queue(topic, queue_id)),
            offset,
        };
        let response = self.stub().update_offset(self.request(body)).await;
        let response = response.context("UpdateOffset")?.into_inner();
        Ok(code(response.status.as_ref()))
    }

    /// `GetOffset`. None if the group has no offset there.
    ///
    /// # Errors
    /// When the call fails, as such or for another reason.
    pub async fn get_offset(&self, group: &str, topic: &str, queue_id: i32) -> Result<Option<i64>> {
        let body = v2::GetOffsetRequest {
            group: Some(resource(group)),
            message_queue: Some(queue(topic, queue_id)),
        };
        let response = self.stub().get_offset(self.request(body)).await;
        let response = response.context("GetOffset")?.into_inner();
        match code(response.status.as_ref()) {
            Some(v2::Code::Ok) => Ok(Some(response.offset)),
            Some(v2::Code::OffsetNotFound) => Ok(None),
            _ => anyhow::bail!("no offset is told: {response:?}"),
        }
    }

    /// `QueryOffset`; it goes by the time if one is given.
    ///
    /// # Errors
    /// When the call fails, as such or for another reason.
    pub async fn query_offset(
        &self,
        topic: &str,
        queue_id: i32,
        policy: QueryOffsetPolicy,
        timestamp: Option<Timestamp>,
    ) -> Result<i64> {
        let body = v2::QueryOffsetRequest {
            message_queue: Some(queue(topic, queue_id)),
            query_offset_policy: policy.into(),
            timestamp,
        };
        let response = self.stub().query_offset(self.request(body)).await;
        let response = response.context("QueryOffset")?.into_inner();
        let told = code(response.status.as_ref()) == Some(v2::Code::Ok);
        ensure!(told, "no offset is told: {response:?}");
        Ok(response.offset)
    }
}

fn queue(topic: &str, id: i32) -> v2::MessageQueue {
    v2::MessageQueue {
        topic: Some(resource(topic)),
        id,
        ..Default::default()
    }
}
