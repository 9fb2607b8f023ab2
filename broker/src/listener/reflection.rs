//! Reflection: tools such as grpcurl learn the calls of a port from the port.

use super::arriving::Arriving;
use super::routes::{Answering, Routes};
use crate::shutdown::Shutdown;
use futures::StreamExt as _;
use http_body_util::{BodyStream, StreamBody};
use hyper::Request;
use std::convert::Infallible;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codegen::{Service, http::Response};
use tonic::server::NamedService;
use tonic_reflection::server::{Builder, Error};

/// Both versions of reflection, over `more` and the services there are so far: tools still ask by the older one.
pub(super) fn over(routes: Routes, more: &[&'static str], stopping: &Shutdown) -> Result<Routes, Error> {
    let names: Vec<_> = more.iter().copied().chain(routes.names()).collect();
    let builder = || {
        let described = Builder::configure()
            .register_encoded_file_descriptor_set(sluice_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        let names = names.iter().copied();
        names.fold(described, |builder, name| builder.with_service_name(name))
    };
    let (v1, v1alpha) = (builder().build_v1()?, builder().build_v1alpha()?);
    Ok(routes
        .with(Ending(v1, stopping.clone()))
        .with(Ending(v1alpha, stopping.clone())))
}

/// A service whose questions end when the broker stops, and its answers with them: tools keep the stream of their questions
/// open, and would hold up the end.
#[derive(Clone)]
struct Ending<S>(S, Shutdown);

impl<S: NamedService> NamedService for Ending<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Arriving>> for Ending<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answering>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Arriving>) -> Answering {
        let stopping = self.1.clone();
        let stopped = Box::pin(async move { stopping.begun().await });
        self.0.call(request.map(|questions| {
            let frames = BodyStream::new(questions).take_until(stopped);
            Body::new(StreamBody::new(frames))
        }))
    }
}
