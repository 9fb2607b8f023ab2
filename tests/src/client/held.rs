//! A call that is kept under way: its request is sent, its end is not.

use anyhow::{Context as _, Result};
use sluice_proto::v2;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

use super::Client;

const PATH: &str = "/apache.rocketmq.v2.MessagingService/SendMessage";

/// A `SendMessage` whose request the broker takes for unfinished.
#[derive(Debug)]
pub struct HeldSend {
    request: mpsc::Sender<v2::SendMessageRequest>,
    answer: JoinHandle<Result<v2::SendMessageResponse>>,
}

impl Client {
    /// Begins a send and leaves it open; returns when the broker has its beginning.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn begin_send(&self, messages: Vec<v2::Message>) -> Result<HeldSend> {
        let (request, requests) = mpsc::channel(1);
        request.send(v2::SendMessageRequest { messages }).await?;
        let (begun, begins) = oneshot::channel();
        let mut begun = Some(begun);
        let requests = ReceiverStream::new(requests).map(move |request| {
            // The body is asked for once the headers are on their way. Whoever waits for that is there.
            let _ = begun.take().map(|begun| begun.send(()));
            request
        });
        let body = self.request(requests);
        let mut grpc: Grpc<Channel> = Grpc::new(self.channel.clone());
        let answer = tokio::spawn(async move {
            grpc.ready().await.context("no connection")?;
            let codec = ProstCodec::<v2::SendMessageRequest, v2::SendMessageResponse>::new();
            let response = grpc
                .client_streaming(body, PathAndQuery::from_static(PATH), codec)
                .await;
            Ok(response.context("SendMessage")?.into_inner())
        });
        begins.await.context("the send ended before it began")?;
        // What follows on the same connection is answered later than the beginning came.
        self.query_route("orders").await?;
        Ok(HeldSend { request, answer })
    }
}

impl HeldSend {
    /// Whether the broker has it still, and did not answer before its end.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.answer.is_finished()
    }

    /// Ends the request and waits for the answer.
    ///
    /// # Errors
    /// When the call failed as such.
    pub async fn complete(self) -> Result<v2::SendMessageResponse> {
        drop(self.request);
        self.answer.await?
    }
}
