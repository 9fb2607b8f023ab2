//! The port for alerts: taken at the start, and served from when the API server is known.

use super::args::Guarding;
use super::receiver::Receiver;
use super::request;
use crate::http::{Bounds, accept};
use anyhow::{Context as _, Result};
use futures::future::OptionFuture;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use sluice_access::tls::{self, ClientCa, Tls};
use sluice_access::tokens::Tokens;
use sluice_access::{Door, Shown};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Each has one request, with a body of a bounded length.
const BOUNDS: Bounds = Bounds {
    connections: 32,
    time: Duration::from_secs(30),
};
const HEADERS_WITHIN: Duration = Duration::from_secs(5);
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// What an Alertmanager speaks without TLS too.
const PROTOCOL: &[u8] = b"http/1.1";
/// Who was turned away is told of no more often.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// The port, taken and not yet served.
pub struct Port {
    listener: TcpListener,
    tls: Option<(TlsAcceptor, Tls)>,
    tokens: Option<Tokens>,
    client_ca: Option<ClientCa>,
}

/// What all connections share.
struct Served {
    door: Door,
    acceptor: Option<TlsAcceptor>,
    receiver: Receiver,
    turned_away: Mutex<TurnedAway>,
}

/// Requests that were turned away since it was said last.
#[derive(Debug, Default)]
struct TurnedAway {
    said: Option<Instant>,
    requests: u64,
}

impl Port {
    /// Takes it, and reads what lets callers in.
    pub async fn open(guarding: &Guarding) -> Result<Self> {
        let listen = guarding.listen;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}: choose another --webhook-listen"))?;
        let tokens = guarding.token_file.as_deref();
        let tokens = tokens
            .map(|file| Tokens::open(file, "the port for alerts"))
            .transpose();
        let client_ca = guarding.client_ca.as_deref().map(ClientCa::open).transpose();
        let client_ca = client_ca.context("--webhook-client-ca")?;
        let open = |files: &tls::TlsFiles| {
            let certificate = Tls::open(files.clone())?;
            Ok::<_, tls::TlsError>((certificate.acceptor(PROTOCOL, client_ca.as_ref())?, certificate))
        };
        let tls = guarding.tls.as_ref().map(open).transpose();
        tracing::info!(address = %listen, tls = guarding.tls.is_some(), "taking alerts at {}", request::PATH);
        Ok(Self {
            listener,
            tls: tls.context("--webhook-tls-cert and --webhook-tls-key")?,
            tokens: tokens.context("--webhook-token-file")?,
            client_ca,
        })
    }

    /// Serves until it is dropped.
    pub async fn serve(self, receiver: Receiver) {
        let door = Door {
            tokens: self.tokens.as_ref().map(Tokens::current),
            client_ca: self.client_ca.is_some(),
        };
        let (acceptor, certificate) = self.tls.unzip();
        let served = Arc::new(Served {
            door,
            acceptor,
            receiver,
            turned_away: Mutex::default(),
        });
        let accepting = accept(self.listener, BOUNDS, |stream, remote| {
            converse(stream, remote, Arc::clone(&served))
        });
        tokio::join!(
            accepting,
            OptionFuture::from(self.tokens.map(Tokens::keep_current)),
            OptionFuture::from(self.client_ca.map(ClientCa::keep_current)),
            OptionFuture::from(certificate.map(Tls::keep_current)),
        );
    }
}

impl Served {
    fn turn_away(&self, remote: SocketAddr, why: &str) {
        let mut turned_away = self.turned_away.lock();
        turned_away.requests += 1;
        if turned_away.said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
            let requests = turned_away.requests;
            tracing::warn!(%remote, requests, reason = why, "requests at the port for alerts came to nothing, this one the last");
            *turned_away = TurnedAway {
                said: Some(Instant::now()),
                requests: 0,
            };
        }
    }
}

async fn converse(stream: TcpStream, remote: SocketAddr, served: Arc<Served>) {
    let Some(acceptor) = &served.acceptor else {
        return speak(stream, remote, false, None, &served).await;
    };
    let why = match tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let subject = tls::subject(stream.get_ref().1);
            return speak(stream, remote, true, subject, &served).await;
        }
        Ok(Err(error)) => format!("TLS could not agree: {error}"),
        Err(_) => "TLS was not agreed on in time".to_owned(),
    };
    let requests = &served.receiver.metrics.alerts.requests;
    requests.with_label_values(&["HandshakeFailed"]).inc();
    served.turn_away(remote, &why);
}

/// One request, and the connection is closed: an Alertmanager that finds an idle one closed would have failed to send.
async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    remote: SocketAddr,
    encrypted: bool,
    subject: Option<Arc<str>>,
    served: &Served,
) {
    let subject = subject.as_ref();
    let service = service_fn(|request: Request<Incoming>| async move {
        let shown = Shown {
            encrypted,
            subject,
            authorization: None,
        };
        let (answer, refusal) = request::answer(request, shown, &served.door, &served.receiver).await;
        if let Some(refusal) = refusal {
            served.turn_away(remote, &refusal.to_string());
        }
        Ok::<_, Infallible>(answer)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .keep_alive(false);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection at the port for alerts broke");
    }
}
