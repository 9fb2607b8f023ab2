//! Who is let in: by a token or by a client certificate, where the broker was given either; without both the port is
//! on the loopback interface alone, and everyone there is let in. What becomes of calls is counted here too.

use super::answered::counted;
use super::status::{Denied, Failure};
use crate::listener::{Answering, Arriving, Peer, Routes, is_of, refuse};
use crate::metrics::AdminCalls;
use hyper::Request;
use hyper::header::AUTHORIZATION;
use parking_lot::Mutex;
use sluice_access::{By, Door, Shown};
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

/// Admin calls that run at one time. Health and reflection do not count.
const CALLS_MAX: usize = 128;
/// Who was not let in is told of no more often.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Who was let in, as the log names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// By what.
    pub by: By,
    /// From where.
    pub remote: SocketAddr,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            By::Loopback => write!(f, "{}", self.remote),
            by => write!(f, "{by} from {}", self.remote),
        }
    }
}

/// Who is let in, or why not.
fn admit(door: &Door, peer: &Peer, authorization: Option<&[u8]>) -> Result<Caller, Denied> {
    let by = door.let_in(&Shown {
        encrypted: peer.encrypted,
        subject: peer.subject.as_ref(),
        authorization,
    })?;
    Ok(Caller {
        by,
        remote: peer.remote,
    })
}

/// The port's services behind the door.
#[derive(Clone)]
pub struct Guarded {
    door: Arc<Door>,
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
    /// These services behind that door, with their calls counted.
    pub fn new(door: Door, routes: Routes, calls: Arc<AdminCalls>) -> Self {
        Self {
            door: Arc::new(door),
            routes: Arc::new(routes),
            calls,
            places: Arc::new(Semaphore::new(CALLS_MAX)),
            turned_away: Arc::default(),
        }
    }

    /// Lets the call in, with the place that it takes if it is not open to all.
    fn admit(&self, request: &mut Request<Arriving>) -> Result<Option<OwnedSemaphorePermit>, Denied> {
        // Every connection has put it there.
        let Some(peer) = request.extensions().get::<Peer>() else {
            return Err(Denied::Plaintext);
        };
        if is_open_to_all(request) {
            self.door.check_transport(peer.encrypted)?;
            return Ok(None);
        }
        let authorization = request.headers().get(AUTHORIZATION);
        let authorization = authorization.map(|value| value.as_bytes());
        let admitted = admit(&self.door, peer, authorization);
        let caller = admitted.inspect_err(|denied| self.turned_away.lock().one_more(peer, denied))?;
        request.extensions_mut().insert(caller);
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.map(Some).map_err(|_| Denied::TooMany(CALLS_MAX))
    }
}

impl Service<Request<Arriving>> for Guarded {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Arriving>) -> Answering {
        let call = (!is_open_to_all(&request)).then(|| self.calls.begin(request.uri().path()));
        let peer = request.extensions().get::<Peer>();
        let busy = peer.map(|peer| peer.connection.busy());
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

fn is_open_to_all(request: &Request<Arriving>) -> bool {
    let path = request.uri().path();
    OPEN_TO_ALL.iter().any(|name| is_of(path, name))
}
