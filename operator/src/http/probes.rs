//! `/livez`, `/readyz` and `/metrics` over plain HTTP.

use super::accept::{Bounds, accept};
use super::answers::{text, with_type};
use crate::metrics::Metrics;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

const BOUNDS: Bounds = Bounds {
    connections: 64,
    time: Duration::from_secs(120),
};
const HEADERS_WITHIN: Duration = Duration::from_secs(5);

/// How far the process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// The API server has not answered yet.
    Starting,
    /// Another replica leads.
    Standby,
    /// This one does.
    Leading,
    /// It is about to end.
    Stopping,
}

/// What the answers are taken from.
pub struct Probes {
    stage: AtomicU8,
    metrics: Arc<Metrics>,
}

impl Probes {
    /// Those of a process that is starting.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            stage: AtomicU8::new(Stage::Starting as u8),
            metrics,
        }
    }

    /// From now on the process is in this stage.
    pub fn reach(&self, stage: Stage) {
        self.metrics.leader.set(i64::from(stage == Stage::Leading));
        self.stage.store(stage as u8, Ordering::Release);
    }

    fn ready(&self) -> (StatusCode, &'static str) {
        const STANDBY: u8 = Stage::Standby as u8;
        const LEADING: u8 = Stage::Leading as u8;
        const STARTING: u8 = Stage::Starting as u8;
        match self.stage.load(Ordering::Acquire) {
            LEADING => (StatusCode::OK, "leading\n"),
            STANDBY => (StatusCode::OK, "standby\n"),
            STARTING => (
                StatusCode::SERVICE_UNAVAILABLE,
                "starting: the API server has not answered yet\n",
            ),
            _ => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        }
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n");
        }
        match path {
            "/livez" => text(StatusCode::OK, "alive\n"),
            "/readyz" => {
                let (status, body) = self.ready();
                text(status, body)
            }
            "/metrics" => match self.metrics.page() {
                Ok(page) => with_type(StatusCode::OK, page, prometheus::TEXT_FORMAT),
                Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
            },
            _ => text(StatusCode::NOT_FOUND, "there are /livez, /readyz and /metrics\n"),
        }
    }
}

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, probes: Arc<Probes>) {
    accept(listener, BOUNDS, |stream, _| {
        converse(stream, Arc::clone(&probes))
    })
    .await;
}

async fn converse(stream: TcpStream, probes: Arc<Probes>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = probes.answer(request.method(), request.uri().path());
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "an HTTP connection broke");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_that_waits_is_ready_and_says_that_it_waits() {
        let probes = Probes::new(Arc::new(Metrics::new().unwrap()));
        for (stage, status, says, leader) in [
            (None, 503, "starting", 0),
            (Some(Stage::Standby), 200, "standby", 0),
            (Some(Stage::Leading), 200, "leading", 1),
            (Some(Stage::Stopping), 503, "stopping", 0),
        ] {
            if let Some(stage) = stage {
                probes.reach(stage);
            }
            let (found, body) = probes.ready();
            assert_eq!(found.as_u16(), status, "{stage:?}");
            assert!(body.starts_with(says), "{stage:?}: {body}");
            assert_eq!(probes.metrics.leader.get(), leader, "{stage:?}");
            assert_eq!(probes.answer(&Method::GET, "/livez").status(), 200);
        }
    }

    #[test]
    fn only_what_there_is_is_answered_and_only_reading_is() {
        let probes = Probes::new(Arc::new(Metrics::new().unwrap()));
        for (method, path, status) in [
            (Method::GET, "/metrics", 200),
            (Method::HEAD, "/livez", 200),
            (Method::GET, "/", 404),
            (Method::POST, "/metrics", 405),
        ] {
            assert_eq!(probes.answer(&method, path).status(), status, "{method} {path}");
        }
    }
}
