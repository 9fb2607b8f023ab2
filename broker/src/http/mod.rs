//! `/livez`, `/readyz` and `/metrics` over plain HTTP.

use crate::listener::{Lost, OpenConnections};
use crate::metrics::{Metrics, Sources};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

const HEADERS_WITHIN: Duration = Duration::from_secs(5);
/// A whole connection, with all its requests.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(120);
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// Looks at all metrics at one time. A look goes on when its connection is dropped, and takes a thread meanwhile.
const LOOKS_MAX: usize = 4;

/// What the answers are taken from.
pub struct Health {
    ready: AtomicBool,
    running: OnceLock<Running>,
    looks: Arc<Semaphore>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            ready: AtomicBool::new(false),
            running: OnceLock::new(),
            looks: Arc::new(Semaphore::new(LOOKS_MAX)),
        }
    }
}

struct Running {
    sources: Sources,
    metrics: Arc<Metrics>,
}

impl Health {
    /// From now on there are metrics.
    pub fn observe(&self, sources: Sources, metrics: Arc<Metrics>) {
        // Told a second time, it stays with the first.
        let _ = self.running.set(Running { sources, metrics });
    }

    /// Whether clients may come.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n"));
        }
        Ok(match request.uri().path() {
            "/livez" => text(StatusCode::OK, "alive\n"),
            "/readyz" if self.ready.load(Ordering::Acquire) => text(StatusCode::OK, "ready\n"),
            "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            "/metrics" => self.metrics().await,
            _ => text(StatusCode::NOT_FOUND, "there are /livez, /readyz and /metrics\n"),
        })
    }

    async fn metrics(self: Arc<Self>) -> Response<Full<Bytes>> {
        // The semaphore is never closed.
        let look = Arc::clone(&self.looks).acquire_owned().await.ok();
        // Looking at backlogs reads files.
        let encoded = tokio::task::spawn_blocking(move || {
            let _look = look;
            let running = self.running.get()?;
            Some(running.metrics.tell(&running.sources))
        });
        match encoded.await {
            Ok(Some(Ok(page))) => with_type(StatusCode::OK, page, prometheus::TEXT_FORMAT),
            Ok(None) => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            Ok(Some(Err(error))) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
        }
    }
}

/// Serves until it is dropped, up to as many `connections` at one time as may be. A new one takes the place of the oldest: whoever
/// holds connections without asking for anything cannot keep a probe out, which is answered at once.
pub async fn serve(listener: TcpListener, connections: OpenConnections, health: Arc<Health>) {
    let places = connections.max() as usize;
    let mut conversations: VecDeque<JoinHandle<()>> = VecDeque::with_capacity(places);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                make_place(&mut conversations, places, &connections).await;
                let (health, standing) = (Arc::clone(&health), connections.opened());
                let conversation = tokio::spawn(async move {
                    let _standing = standing;
                    // Whoever is slower than that asks again.
                    let _ = tokio::time::timeout(CONNECTION_TIME_MAX, converse(stream, health)).await;
                });
                conversations.push_back(conversation);
            }
            Err(error) => {
                connections.lose(Lost::NotAccepted);
                tracing::warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

async fn make_place(
    conversations: &mut VecDeque<JoinHandle<()>>,
    places: usize,
    connections: &OpenConnections,
) {
    conversations.retain(|conversation| !conversation.is_finished());
    while conversations.len() >= places
        && let Some(oldest) = conversations.pop_front()
    {
        oldest.abort();
        connections.lose(Lost::Displaced);
        // The connection is closed when the runtime has dropped the task. That it was cancelled is no news.
        let _ = oldest.await;
    }
}

async fn converse(stream: TcpStream, health: Arc<Health>) {
    let service = service_fn(move |request| Arc::clone(&health).answer(request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "an HTTP connection broke");
    }
}

fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    with_type(status, body.to_owned(), "text/plain; charset=utf-8")
}

fn with_type(status: StatusCode, body: String, content_type: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
