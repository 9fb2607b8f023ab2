//! Who is let in: by a token or by a client certificate, where the broker was given either; without both the port is
//! on the loopback interface alone, and everyone there is let in. What becomes of calls is counted here too.

use super::answered::counted;
use super::status::{Denied, Failure};
use super::tokens::{self, Current};
use crate::listener::{Answering, Peer, Routes, is_of, refuse};
use crate::metrics::AdminCalls;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use parking_lot::Mutex;
use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;
use tonic::codegen::{Service, http::Response};

/// What tells nothing but what anyone may know: probes have no token.
const OPEN_TO_ALL: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];
const SCHEME: &str = "Bearer ";

/// Admin calls that run at one time. Health and reflection do not count.
const CALLS_MAX: usize = 128;
/// Who was not let in is told of no more often.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Who is let in by what.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The tokens, if there is a file of them.
    pub tokens: Option<Current>,
    /// Whether there is a CA for clients: then plaintext is refused.
    pub client_ca: bool,
}

/// Who was let in, as the log names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// By what.
    pub by: By,
    /// From where.
    pub remote: SocketAddr,
}

/// What let a caller in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// Being on this host.
    Loopback,
    /// The first or second token of the file.
    Token(usize),
    /// A certificate with this subject.
    Certificate(Arc<str>),
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            By::Loopback => write!(f, "{}", self.remote),
            By::Token(number) => write!(f, "token {number} from {}", self.remote),
            By::Certificate(subject) => write!(f, "certificate '{subject}' from {}", self.remote),
        }
    }
}

impl Guard {
    fn admit(&self, peer: &Peer, authorization: Option<&[u8]>) -> Result<Caller, Denied> {
        let by = self.by_what(peer, authorization)?;
        Ok(Caller {
            by,
            remote: peer.remote,
        })
    }

    fn by_what(&self, peer: &Peer, authorization: Option<&[u8]>) -> Result<By, Denied> {
        self.check_transport(peer)?;
        if let Some(subject) = &peer.subject {
            return Ok(By::Certificate(Arc::clone(subject)));
        }
        let Some(tokens) = &self.tokens else {
            return if self.client_ca {
                Err(Denied::NoCertificate)
            } else {
                Ok(By::Loopback)
            };
        };
        let or_certificate = self.client_ca;
        let token = authorization.and_then(|value| value.split_at_checked(SCHEME.len()));
        match token {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME.as_bytes()) => {
                let number = tokens::number_of(&tokens.load(), token);
                number.map(By::Token).ok_or(Denied::WrongToken)
            }
            _ => Err(Denied::NoToken { or_certificate }),
        }
    }

    /// Whoever shows certificates is not to send anything that others can read.
    fn check_transport(&self, peer: &Peer) -> Result<(), Denied> {
        if self.client_ca && !peer.encrypted {
            return Err(Denied::Plaintext);
        }
        Ok(())
    }
}

/// The port's services behind the guard.
#[derive(Clone)]
pub struct Guarded {
    guard: Arc<Guard>,
    routes: Arc<Routes>,
    calls: Arc<AdminCalls>,
    places: Arc<Semaphore>,
    turned_away: Arc<Mutex<TurnedAway>>,
}

/// Calls that were not let in since it was said last.
#[derive(Debug, Default)]
struct TurnedAway {
    said: Option<Instant>,
    calls: u64,
}

impl TurnedAway {
    fn one_more(&mut self, peer: &Peer, denied: &Denied) {
        self.calls += 1;
        if self.said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
            let (remote, calls) = (peer.remote, self.calls);
            tracing::warn!(%remote, calls, reason = %denied, "admin calls were not let in, this one the last");
            *self = Self {
                said: Some(Instant::now()),
                calls: 0,
            };
        }
    }
}

impl Guarded {
    /// These services behind that guard, with their calls counted.
    pub fn new(guard: Guard, routes: Routes, calls: Arc<AdminCalls>) -> Self {
        Self {
            guard: Arc::new(guard),
            routes: Arc::new(routes),
            calls,
            places: Arc::new(Semaphore::new(CALLS_MAX)),
            turned_away: Arc::default(),
        }
    }

    /// Lets the call in, with the place that it takes if it is not open to all.
    fn admit(&self, request: &mut Request<Incoming>) -> Result<Option<OwnedSemaphorePermit>, Denied> {
        // Every connection has put it there.
        let Some(peer) = request.extensions().get::<Peer>() else {
            return Err(Denied::Plaintext);
        };
        if is_open_to_all(request) {
            return self.guard.check_transport(peer).map(|()| None);
        }
        let authorization = request.headers().get(AUTHORIZATION);
        let authorization = authorization.map(|value| value.as_bytes());
        let admitted = self.guard.admit(peer, authorization);
        let caller = admitted.inspect_err(|denied| self.turned_away.lock().one_more(peer, denied))?;
        request.extensions_mut().insert(caller);
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.map(Some).map_err(|_| Denied::TooMany(CALLS_MAX))
    }
}

impl Service<Request<Incoming>> for Guarded {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Answering {
        let call = (!is_open_to_all(&request)).then(|| self.calls.begin(request.uri().path()));
        let peer = request.extensions().get::<Peer>();
        let busy = peer.and_then(|peer| peer.connection.busy());
        let (place, answer) = match self.admit(&mut request) {
            Ok(place) => (place, self.routes.answer(request)),
            Err(denied) => (None, refuse(Failure::from(denied).into())),
        };
        let Some(call) = call else {
            return answer;
        };
        Box::pin(async move {
            let _held = (place, busy);
            answer.await.map(|answer| counted(answer, call))
        })
    }
}

fn is_open_to_all(request: &Request<Incoming>) -> bool {
    let path = request.uri().path();
    OPEN_TO_ALL.iter().any(|name| is_of(path, name))
}
