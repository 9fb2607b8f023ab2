//! SendMessage, and a refusal of everything else.

use std::sync::Arc;

use sluice_proto::v2::messaging_service_server::MessagingService;
use sluice_proto::v2::*;
use tokio::sync::oneshot;
use tokio_stream::Empty;
use tonic::{Request, Response, Status as Refusal, Streaming};

use super::frame::encode_command;
use super::queue::{Append, Queue, Refused};

type Answer<T> = Result<Response<T>, Refusal>;
type NoStream<T> = Empty<Result<T, Refusal>>;

/// Encodes each message in its own task and waits for the log thread.
#[derive(Debug)]
pub struct Bare {
    /// Where the log thread takes from.
    pub queue: Arc<Queue>,
    /// Commands above this do not fit a segment.
    pub command_bytes_max: u64,
}

impl Bare {
    async fn append(&self, message: &Message) -> Result<u64, Refusal> {
        let command = encode_command(message);
        if command.len() as u64 > self.command_bytes_max {
            return Err(Refusal::invalid_argument(
                "the message does not fit a segment: raise --segment-size",
            ));
        }
        let (done, told) = oneshot::channel();
        self.queue
            .push(Append { command, done })
            .map_err(|refused| match refused {
                Refused::Full => {
                    Refusal::resource_exhausted("the queue to the log is full: send less at once")
                }
                Refused::Closed => Refusal::unavailable("the server is stopping"),
            })?;
        told.await.map_err(|_| Refusal::unavailable("the log has ended"))
    }
}

fn refuse<T>() -> Answer<T> {
    Err(Refusal::unimplemented("the bare server knows SendMessage only"))
}

#[tonic::async_trait]
impl MessagingService for Bare {
    type ReceiveMessageStream = NoStream<ReceiveMessageResponse>;
    type PullMessageStream = NoStream<PullMessageResponse>;
    type TelemetryStream = NoStream<TelemetryCommand>;

    async fn send_message(&self, request: Request<SendMessageRequest>) -> Answer<SendMessageResponse> {
        let mut messages = request.into_inner().messages;
        let Some(message) = messages.pop().filter(|_| messages.is_empty()) else {
            return Err(Refusal::invalid_argument(
                "the bare server takes one message a request",
            ));
        };
        let offset = self.append(&message).await?;
        let message_id = message
            .system_properties
            .map(|properties| properties.message_id)
            .unwrap_or_default();
        let status = Some(Status {
            code: Code::Ok.into(),
            message: String::new(),
        });
        let entry = SendResultEntry {
            status: status.clone(),
            message_id,
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
            ..Default::default()
        };
        Ok(Response::new(SendMessageResponse {
            status,
            entries: vec![entry],
        }))
    }

    async fn query_route(&self, _: Request<QueryRouteRequest>) -> Answer<QueryRouteResponse> {
        refuse()
    }

    async fn heartbeat(&self, _: Request<HeartbeatRequest>) -> Answer<HeartbeatResponse> {
        refuse()
    }

    async fn query_assignment(&self, _: Request<QueryAssignmentRequest>) -> Answer<QueryAssignmentResponse> {
        refuse()
    }

    async fn receive_message(&self, _: Request<ReceiveMessageRequest>) -> Answer<Self::ReceiveMessageStream> {
        refuse()
    }

    async fn ack_message(&self, _: Request<AckMessageRequest>) -> Answer<AckMessageResponse> {
        refuse()
    }

    async fn forward_message_to_dead_letter_queue(
        &self,
        _: Request<ForwardMessageToDeadLetterQueueRequest>,
    ) -> Answer<ForwardMessageToDeadLetterQueueResponse> {
        refuse()
    }

    async fn pull_message(&self, _: Request<PullMessageRequest>) -> Answer<Self::PullMessageStream> {
        refuse()
    }

    async fn update_offset(&self, _: Request<UpdateOffsetRequest>) -> Answer<UpdateOffsetResponse> {
        refuse()
    }

    async fn get_offset(&self, _: Request<GetOffsetRequest>) -> Answer<GetOffsetResponse> {
        refuse()
    }

    async fn query_offset(&self, _: Request<QueryOffsetRequest>) -> Answer<QueryOffsetResponse> {
        refuse()
    }

    async fn end_transaction(&self, _: Request<EndTransactionRequest>) -> Answer<EndTransactionResponse> {
        refuse()
    }

    async fn telemetry(&self, _: Request<Streaming<TelemetryCommand>>) -> Answer<Self::TelemetryStream> {
        refuse()
    }

    async fn notify_client_termination(
        &self,
        _: Request<NotifyClientTerminationRequest>,
    ) -> Answer<NotifyClientTerminationResponse> {
        refuse()
    }

    async fn change_invisible_duration(
        &self,
        _: Request<ChangeInvisibleDurationRequest>,
    ) -> Answer<ChangeInvisibleDurationResponse> {
        refuse()
    }

    async fn recall_message(&self, _: Request<RecallMessageRequest>) -> Answer<RecallMessageResponse> {
        refuse()
    }

    async fn sync_lite_subscription(
        &self,
        _: Request<SyncLiteSubscriptionRequest>,
    ) -> Answer<SyncLiteSubscriptionResponse> {
        refuse()
    }
}
