//! RocketMQ's gRPC service: each call decodes and checks, has the engine do it, and encodes the answer. One call a file.

mod ack_message;
pub(crate) mod announcement;
mod answer;
pub mod ask;
mod begun;
pub mod body_max;
mod change_invisible_duration;
pub mod convert;
mod counted;
mod delivery;
pub(crate) mod digest;
pub(crate) mod endpoints;
mod forward_to_dlq;
mod frames;
mod get_offset;
mod handles;
mod heartbeat;
pub mod invalid;
pub(crate) mod metadata;
mod named_queue;
mod notify_client_termination;
pub(crate) mod properties;
mod pull_frames;
mod pull_message;
pub mod push;
mod query_assignment;
mod query_offset;
mod query_route;
pub mod quirks;
pub(crate) mod receive_message;
pub(crate) mod reserved;
mod send_message;
pub(crate) mod settings;
mod status;
pub mod stored;
mod telemetry;
mod turns;
mod update_offset;
pub mod validate;

use crate::budget::Budget;
use crate::clients::Clients;
use crate::config::HostPort;
use crate::engine::Engine;
use crate::listener::Unread;
use crate::metrics::{Metrics, Rpc};
use crate::receipt::Receipts;
use crate::shutdown::Shutdown;
use crate::spans::{Asked, Spans};
use answer::Answer;
use begun::Begun;
use body_max::BodyMax;
use frames::Frames;
use invalid::Invalid;
use pull_frames::PullFrames;
use sluice_core::state::Changed;
use sluice_proto::v2::messaging_service_server::MessagingService;
use sluice_proto::v2::*;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status as Refusal, Streaming};
use turns::Turns;

type Answered<T> = Result<Response<T>, Refusal>;

/// What the service is made from.
pub struct Parts {
    /// The use cases.
    pub engine: Arc<Engine>,
    /// The clients.
    pub clients: Arc<Clients>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The switch that ends telemetry streams.
    pub shutdown: Shutdown,
    /// The broker's name in routes.
    pub broker_name: String,
    /// The address in routes, if it is fixed.
    pub advertise: Option<HostPort>,
    /// The largest body that is taken.
    pub body_max: BodyMax,
    /// The bound on bodies on their way into the log.
    pub unanswered: Arc<Budget>,
    /// Where spans of calls go, if they are wanted.
    pub spans: Option<Spans>,
}

/// What all calls share.
struct Shared {
    engine: Arc<Engine>,
    clients: Arc<Clients>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
    broker_name: String,
    advertise: Option<Endpoints>,
    body_max: BodyMax,
    receipts: Receipts,
    turns: Turns,
    unanswered: Arc<Budget>,
    spans: Option<Spans>,
}

impl Shared {
    fn forget_gone(&self) {
        let tables = self.engine.tables();
        self.turns.keep(|topic| tables.topic_by_id(topic).is_some());
        self.metrics.traffic.forget_gone(tables);
    }
}

/// The service; clones share everything.
#[derive(Clone)]
pub struct Service(Arc<Shared>);

impl Service {
    /// The service over these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Shared {
            receipts: Receipts::new(parts.engine.shard_uuid()),
            engine: parts.engine,
            clients: parts.clients,
            metrics: parts.metrics,
            shutdown: parts.shutdown,
            broker_name: parts.broker_name,
            advertise: parts.advertise.as_ref().map(endpoints::of),
            body_max: parts.body_max,
            turns: Turns::default(),
            unanswered: parts.unanswered,
            spans: parts.spans,
        }))
    }

    /// Follows topics and groups that change and go, for as long as it is polled: what is kept by their ids goes with them.
    pub fn follow_changes(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut changes = self.0.engine.changes();
        let shared = Arc::clone(&self.0);
        async move {
            loop {
                match changes.recv().await {
                    // Who was too slow has missed some, and looks at all.
                    Ok(Changed::TopicGone(_) | Changed::GroupGone(_)) | Err(RecvError::Lagged(_)) => {
                        shared.forget_gone()
                    }
                    Ok(Changed::Topic(_) | Changed::Group(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        }
    }

    fn begin<T: Asked>(&self, rpc: Rpc, request: &Request<T>) -> Begun<'_> {
        let begin = |spans: &Spans| spans.begin(rpc.name(), request.metadata(), request.get_ref());
        Begun {
            call: self.0.metrics.rpc.begin(rpc),
            span: self.0.spans.as_ref().map(|spans| Box::new(begin(spans))),
        }
    }

    fn not_implemented<A: Answer>(&self, rpc: Rpc, request: &Request<impl Asked>) -> Answered<A> {
        answer(
            self.begin(rpc, request),
            Err(Invalid::NotImplemented(rpc.name()).into()),
        )
    }
}

/// Observes a call and turns its failure into the call's own answer. It takes what came out and not the work itself: a
/// future handed on is kept twice, and copied with each call.
fn answer<A: Answer>(call: Begun<'_>, result: Result<A, status::Failure>) -> Answered<A> {
    let mut answer = result.unwrap_or_else(|failure| {
        let (name, code) = (call.rpc().name(), failure.code.as_str_name());
        tracing::debug!(call = name, code, reason = %failure.message, "refused");
        A::refused(failure.into_status())
    });
    call.finish(answer.code());
    let unread = answer.unread();
    let mut headers = MetadataMap::new();
    answer.write_headers(&mut headers);
    let mut response = Response::new(answer);
    *response.metadata_mut() = headers;
    if let Some(share) = unread {
        response.extensions_mut().insert(Unread::from(share));
    }
    Ok(response)
}

#[tonic::async_trait]
impl MessagingService for Service {
    type ReceiveMessageStream = Frames;
    type PullMessageStream = PullFrames;
    type TelemetryStream = ReceiverStream<Result<TelemetryCommand, Refusal>>;

    async fn query_route(&self, request: Request<QueryRouteRequest>) -> Answered<QueryRouteResponse> {
        let call = self.begin(Rpc::QueryRoute, &request);
        answer(call, query_route::handle(&self.0, request).await)
    }

    async fn query_assignment(
        &self,
        request: Request<QueryAssignmentRequest>,
    ) -> Answered<QueryAssignmentResponse> {
        let call = self.begin(Rpc::QueryAssignment, &request);
        answer(call, query_assignment::handle(&self.0, request).await)
    }

    async fn heartbeat(&self, request: Request<HeartbeatRequest>) -> Answered<HeartbeatResponse> {
        let call = self.begin(Rpc::Heartbeat, &request);
        answer(call, heartbeat::handle(&self.0, request).await)
    }

    async fn send_message(&self, request: Request<SendMessageRequest>) -> Answered<SendMessageResponse> {
        let call = self.begin(Rpc::SendMessage, &request);
        answer(call, send_message::handle(&self.0, request).await)
    }

    async fn receive_message(&self, request: Request<ReceiveMessageRequest>) -> Answered<Frames> {
        let call = self.begin(Rpc::ReceiveMessage, &request);
        answer(call, receive_message::handle(&self.0, request).await)
    }

    async fn ack_message(&self, request: Request<AckMessageRequest>) -> Answered<AckMessageResponse> {
        let call = self.begin(Rpc::AckMessage, &request);
        answer(call, ack_message::handle(&self.0, request).await)
    }

    async fn change_invisible_duration(
        &self,
        request: Request<ChangeInvisibleDurationRequest>,
    ) -> Answered<ChangeInvisibleDurationResponse> {
        let call = self.begin(Rpc::ChangeInvisibleDuration, &request);
        answer(call, change_invisible_duration::handle(&self.0, request).await)
    }

    async fn forward_message_to_dead_letter_queue(
        &self,
        request: Request<ForwardMessageToDeadLetterQueueRequest>,
    ) -> Answered<ForwardMessageToDeadLetterQueueResponse> {
        let call = self.begin(Rpc::ForwardMessageToDeadLetterQueue, &request);
        answer(call, forward_to_dlq::handle(&self.0, request).await)
    }

    async fn notify_client_termination(
        &self,
        request: Request<NotifyClientTerminationRequest>,
    ) -> Answered<NotifyClientTerminationResponse> {
        let call = self.begin(Rpc::NotifyClientTermination, &request);
        answer(call, notify_client_termination::handle(&self.0, request).await)
    }

    async fn telemetry(
        &self,
        request: Request<Streaming<TelemetryCommand>>,
    ) -> Answered<Self::TelemetryStream> {
        let call = self.begin(Rpc::Telemetry, &request);
        match telemetry::open(&self.0, request) {
            Ok(stream) => {
                call.finish(Code::Ok.into());
                Ok(Response::new(stream))
            }
            Err(failure) => {
                call.finish(failure.code.into());
                Err(failure.into_refusal())
            }
        }
    }

    async fn pull_message(&self, request: Request<PullMessageRequest>) -> Answered<PullFrames> {
        let call = self.begin(Rpc::PullMessage, &request);
        answer(call, pull_message::handle(&self.0, request).await)
    }

    async fn update_offset(&self, request: Request<UpdateOffsetRequest>) -> Answered<UpdateOffsetResponse> {
        let call = self.begin(Rpc::UpdateOffset, &request);
        answer(call, update_offset::handle(&self.0, request).await)
    }

    async fn get_offset(&self, request: Request<GetOffsetRequest>) -> Answered<GetOffsetResponse> {
        let call = self.begin(Rpc::GetOffset, &request);
        answer(call, get_offset::handle(&self.0, request).await)
    }

    async fn query_offset(&self, request: Request<QueryOffsetRequest>) -> Answered<QueryOffsetResponse> {
        let call = self.begin(Rpc::QueryOffset, &request);
        answer(call, query_offset::handle(&self.0, request).await)
    }

    async fn end_transaction(
        &self,
        request: Request<EndTransactionRequest>,
    ) -> Answered<EndTransactionResponse> {
        self.not_implemented(Rpc::EndTransaction, &request)
    }

    async fn recall_message(
        &self,
        request: Request<RecallMessageRequest>,
    ) -> Answered<RecallMessageResponse> {
        self.not_implemented(Rpc::RecallMessage, &request)
    }

    async fn sync_lite_subscription(
        &self,
        request: Request<SyncLiteSubscriptionRequest>,
    ) -> Answered<SyncLiteSubscriptionResponse> {
        self.not_implemented(Rpc::SyncLiteSubscription, &request)
    }
}
