//! HTTP/2 on a client's connection, and the way from there to the service.
//!
//! The service is called without the layers of a server framework in between: each adds a future, a body and a box to
//! every call, and there is no hotter path.

use super::activity;
use super::arriving::Arriving;
use super::io::ClientIo;
use super::leaving;
use super::places::{Lost, OpenConnections};
use crate::shutdown::Shutdown;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tonic::body::Body;
use tonic::codegen::{Service, http::Response};

const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
const STREAMS_MAX: u32 = 1024;
/// Streams that may be reset before they were looked at. All calls of a client can time out at one moment while the broker
/// has too much to do: were its connection closed for that, every call on it would fail. Beyond this it is an attack.
const RESETS_MAX: usize = STREAMS_MAX as usize;
const HEADER_BYTES_MAX: u32 = 16 << 10;
/// Finds connections whose other end is gone without a word. Clients may ping as often as they like.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Among the headers it is an answer without anything else.
const GRPC_STATUS: &str = "grpc-status";
/// An idle connection that gives way may take so long to hear of it: another waits for its place.
const GIVES_WAY_WITHIN: Duration = Duration::from_millis(100);

/// What answers requests: a generated gRPC server, or several by their paths.
pub trait Answers:
    Service<
        Request<Arriving>,
        Response = Response<Body>,
        Error = Infallible,
        Future: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Answers for S where
    S: Service<
            Request<Arriving>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

/// Serves one connection to its end, or until something on its way over it takes too long: then it is closed, for nothing else
/// would end what neither comes nor goes.
pub(super) async fn connection(
    client: ClientIo,
    service: impl Answers,
    shutdown: Shutdown,
    open: &OpenConnections,
) {
    let peer = client.peer();
    tokio::select! {
        () = to_its_end(client, service, shutdown) => {}
        () = peer.connection.transfers().overdue() => {
            open.lose(Lost::Stalled);
            let (remote, within) = (peer.remote, peer.connection.bounds().transfer);
            tracing::warn!(%remote, ?within, "a request did not come to its end in time, or an answer was not read: its connection is closed");
        }
    }
}

/// Once the shutdown begins, or it gives way to another, running calls end and no new one begins.
async fn to_its_end(client: ClientIo, service: impl Answers, shutdown: Shutdown) {
    let (peer, activity) = (client.peer(), Arc::clone(client.activity()));
    let remote = peer.remote;
    let calls = service_fn(move |request: Request<Incoming>| {
        let connection = Arc::clone(&peer.connection);
        let mut request = Arriving::of(request, &connection);
        request.extensions_mut().insert(peer.clone());
        // Generated servers are always ready.
        let answering = service.clone().call(request);
        let busy = connection.activity().any_call();
        async move {
            let answer = answering.await?;
            drop(busy);
            if answer.headers().contains_key(GRPC_STATUS) {
                connection.bounds().refused.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, Infallible>(leaving::held(answer, &connection))
        }
    });
    let served = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .keep_alive_interval(KEEPALIVE_EVERY)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(client), calls);
    let mut served = std::pin::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = shutdown.begun() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
        () = activity::displaced(Arc::clone(&activity)) => {
            served.as_mut().graceful_shutdown();
            match tokio::time::timeout(GIVES_WAY_WITHIN, served.as_mut()).await {
                Ok(ended) => ended,
                // A call may have begun meanwhile.
                Err(_) if activity.idle_since().is_none() => served.await,
                Err(_) => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%remote, %error, "a connection broke");
    }
}
