//! A broker in memory: one queue, no time-outs, and faults on request.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sluice_proto::v2::messaging_service_server::MessagingService;
use sluice_proto::v2::receive_message_response::Content;
use sluice_proto::v2::*;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status as Refusal, Streaming};

type Answer<T> = Result<Response<T>, Refusal>;
type Frames<T> = Pin<Box<dyn Stream<Item = Result<T, Refusal>> + Send>>;

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<Message>,
    in_flight: HashMap<String, Message>,
    stored: u64,
    sends: u64,
    settings: u64,
    farewells: u64,
}

#[derive(Debug, Clone, Default)]
pub struct Memory {
    state: Arc<Mutex<State>>,
    refuse_third: Option<Code>,
    stall: Option<Duration>,
}

impl Memory {
    pub fn refusing_every_third(code: Code) -> Self {
        Self {
            refuse_third: Some(code),
            ..Self::default()
        }
    }

    /// The 100th send and those behind it wait.
    pub fn stalling_once(stall: Duration) -> Self {
        Self {
            stall: Some(stall),
            ..Self::default()
        }
    }

    pub fn stored(&self) -> u64 {
        self.state.lock().stored
    }

    pub fn unacknowledged(&self) -> usize {
        let state = self.state.lock();
        state.ready.len() + state.in_flight.len()
    }

    pub fn saw_settings_and_farewell(&self) -> bool {
        let state = self.state.lock();
        state.settings > 0 && state.farewells > 0
    }

    fn take(&self, count: usize) -> Vec<Message> {
        let mut state = self.state.lock();
        let count = count.min(state.ready.len());
        let mut taken: Vec<_> = state.ready.drain(..count).collect();
        for message in &mut taken {
            let properties = message.system_properties.as_mut().expect("properties");
            properties.delivery_attempt = Some(1);
            properties.receipt_handle = Some(format!("handle-{}", properties.message_id));
            state
                .in_flight
                .insert(format!("handle-{}", properties.message_id), message.clone());
        }
        taken
    }
}

fn status(code: Code) -> Option<Status> {
    Some(Status {
        code: code.into(),
        message: "said by the server in memory".to_owned(),
    })
}

fn identified<T>(request: &Request<T>) {
    assert!(
        request.metadata().contains_key("x-mq-client-id"),
        "a call without a client id"
    );
    assert!(
        request.metadata().contains_key("x-mq-language"),
        "a call without a language"
    );
}

fn refuse<T>() -> Answer<T> {
    Err(Refusal::unimplemented("not in memory"))
}

fn queue(topic: Option<Resource>) -> MessageQueue {
    MessageQueue {
        topic,
        permission: Permission::ReadWrite.into(),
        ..Default::default()
    }
}

#[tonic::async_trait]
impl MessagingService for Memory {
    type ReceiveMessageStream = Frames<ReceiveMessageResponse>;
    type PullMessageStream = Frames<PullMessageResponse>;
    type TelemetryStream = Frames<TelemetryCommand>;

    async fn query_route(&self, request: Request<QueryRouteRequest>) -> Answer<QueryRouteResponse> {
        identified(&request);
        let message_queues = vec![queue(request.into_inner().topic)];
        Ok(Response::new(QueryRouteResponse {
            status: status(Code::Ok),
            message_queues,
        }))
    }

    async fn heartbeat(&self, request: Request<HeartbeatRequest>) -> Answer<HeartbeatResponse> {
        identified(&request);
        Ok(Response::new(HeartbeatResponse {
            status: status(Code::Ok),
        }))
    }

    async fn send_message(&self, request: Request<SendMessageRequest>) -> Answer<SendMessageResponse> {
        identified(&request);
        let number = {
            let mut state = self.state.lock();
            state.sends += 1;
            state.sends
        };
        if let Some(stall) = self.stall.filter(|_| number == 100) {
            tokio::time::sleep(stall).await;
        }
        if let Some(code) = self.refuse_third.filter(|_| number % 3 == 0) {
            return Ok(Response::new(SendMessageResponse {
                status: status(code),
                entries: Vec::new(),
            }));
        }
        let mut state = self.state.lock();
        let messages = request.into_inner().messages;
        state.stored += messages.len() as u64;
        state.ready.extend(messages);
        let entry = SendResultEntry {
            status: status(Code::Ok),
            ..Default::default()
        };
        Ok(Response::new(SendMessageResponse {
            status: status(Code::Ok),
            entries: vec![entry],
        }))
    }

    async fn query_assignment(
        &self,
        request: Request<QueryAssignmentRequest>,
    ) -> Answer<QueryAssignmentResponse> {
        identified(&request);
        let message_queue = Some(queue(request.into_inner().topic));
        let assignments = vec![Assignment { message_queue }];
        Ok(Response::new(QueryAssignmentResponse {
            status: status(Code::Ok),
            assignments,
        }))
    }

    async fn receive_message(
        &self,
        request: Request<ReceiveMessageRequest>,
    ) -> Answer<Self::ReceiveMessageStream> {
        identified(&request);
        let request = request.into_inner();
        assert_ne!(
            request.auto_renew,
            request.invisible_duration.is_some(),
            "one of the two"
        );
        let mut messages = Vec::new();
        for _ in 0..20 {
            messages = self.take(usize::try_from(request.batch_size).expect("a batch size"));
            if !messages.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let code = if messages.is_empty() {
            Code::MessageNotFound
        } else {
            Code::Ok
        };
        let first = status(code).map(Content::Status);
        let last = Some(Content::DeliveryTimestamp(Default::default()));
        let contents = first
            .into_iter()
            .chain(messages.into_iter().map(Content::Message))
            .chain(last);
        let frames: Vec<_> = contents
            .map(|content| {
                Ok(ReceiveMessageResponse {
                    content: Some(content),
                })
            })
            .collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(frames))))
    }

    async fn ack_message(&self, request: Request<AckMessageRequest>) -> Answer<AckMessageResponse> {
        identified(&request);
        let mut state = self.state.lock();
        let entries: Vec<_> = request.into_inner().entries;
        let known = entries
            .iter()
            .all(|entry| state.in_flight.remove(&entry.receipt_handle).is_some());
        let code = if known {
            Code::Ok
        } else {
            Code::InvalidReceiptHandle
        };
        Ok(Response::new(AckMessageResponse {
            status: status(code),
            entries: Vec::new(),
        }))
    }

    async fn telemetry(
        &self,
        request: Request<Streaming<TelemetryCommand>>,
    ) -> Answer<Self::TelemetryStream> {
        identified(&request);
        let state = Arc::clone(&self.state);
        let replies = request.into_inner().map(move |command| {
            state.lock().settings += 1;
            command
        });
        Ok(Response::new(Box::pin(replies)))
    }

    async fn notify_client_termination(
        &self,
        request: Request<NotifyClientTerminationRequest>,
    ) -> Answer<NotifyClientTerminationResponse> {
        identified(&request);
        self.state.lock().farewells += 1;
        Ok(Response::new(NotifyClientTerminationResponse {
            status: status(Code::Ok),
        }))
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
