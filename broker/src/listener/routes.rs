//! Several generated services on one port, told apart by the beginning of a call's path, `/package.Service/`.

use super::arriving::Arriving;
use super::health::Health;
use super::reflection;
use crate::shutdown::Shutdown;
use hyper::Request;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http::Response};
use tonic::server::NamedService;
use tonic_health::pb::health_server::HealthServer;

/// An answer under way, as generated services give it: passed on without another box around it.
pub type Answering = BoxFuture<Response<Body>, Infallible>;

/// A generated service.
pub trait Serves:
    Service<Request<Arriving>, Response = Response<Body>, Error = Infallible, Future = Answering>
    + NamedService
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Serves for S where
    S: Service<Request<Arriving>, Response = Response<Body>, Error = Infallible, Future = Answering>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static
{
}

trait Route: Send + Sync {
    fn answer(&self, request: Request<Arriving>) -> Answering;
}

impl<S: Serves> Route for S {
    fn answer(&self, request: Request<Arriving>) -> Answering {
        // Generated services are handles, and always ready.
        self.clone().call(request)
    }
}

/// Services by their names.
#[derive(Default)]
pub struct Routes(Vec<(&'static str, Box<dyn Route>)>);

impl Routes {
    /// One service more.
    pub fn with<S: Serves>(mut self, service: S) -> Self {
        self.0.push((S::NAME, Box::new(service)));
        self
    }

    /// What every port has beside its own services: health, which is not serving once `stopping` begins, and reflection.
    /// `more` are services of the port that are not among these routes.
    pub fn with_the_usual(
        self,
        stopping: &Shutdown,
        more: &[&'static str],
    ) -> Result<Self, tonic_reflection::server::Error> {
        let names: Vec<_> = more.iter().copied().chain(self.names()).collect();
        let health = HealthServer::new(Health::new(stopping.clone(), names));
        reflection::over(self.with(health), more, stopping)
    }

    /// The names of the services, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().map(|(name, _)| *name)
    }

    /// Answers by the service that the path names.
    pub fn answer(&self, request: Request<Arriving>) -> Answering {
        let path = request.uri().path();
        match self.0.iter().find(|(name, _)| is_of(path, name)) {
            Some((_, route)) => route.answer(request),
            None => {
                let names: Vec<_> = self.names().collect();
                refuse(Status::unimplemented(format!(
                    "there is no call {path} at this port: it serves {}",
                    names.join(", ")
                )))
            }
        }
    }
}

/// Answers a call with a status alone.
pub fn refuse(status: Status) -> Answering {
    Box::pin(std::future::ready(Ok(status.into_http())))
}

/// Whether `path` is that of a call of the service `name`.
pub fn is_of(path: &str, name: &str) -> bool {
    let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(name));
    rest.is_some_and(|rest| rest.starts_with('/'))
}

/// One service that nearly all calls are for, and others: those of the first take no detour.
#[derive(Clone)]
pub struct First<S> {
    first: S,
    others: Arc<Routes>,
}

impl<S> First<S> {
    /// `first` before `others`.
    pub fn new(first: S, others: Routes) -> Self {
        Self {
            first,
            others: Arc::new(others),
        }
    }
}

impl<S: Serves> Service<Request<Arriving>> for First<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.first.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Arriving>) -> Answering {
        if is_of(request.uri().path(), S::NAME) {
            self.first.call(request)
        } else {
            self.others.answer(request)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_of_the_service_that_it_names_whole() {
        assert!(is_of("/a.v1.Topics/Create", "a.v1.Topics"));
        for path in [
            "/a.v1.TopicsX/Create",
            "/a.v1.Topics",
            "a.v1.Topics/Create",
            "/",
            "",
        ] {
            assert!(!is_of(path, "a.v1.Topics"), "{path}");
        }
    }
}
