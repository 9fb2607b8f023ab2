//! `grpc.health.v1`: whether calls are served. A broker serves a port's calls once it is ready, so that what is left to
//! tell is that it stops.

use crate::shutdown::Shutdown;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::Health as HealthService;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// The health of one port's services.
#[derive(Debug)]
pub(super) struct Health {
    stopping: Shutdown,
    services: Vec<&'static str>,
}

impl Health {
    /// Of `services`, until `stopping` begins.
    pub(super) fn new(stopping: Shutdown, services: Vec<&'static str>) -> Self {
        Self { stopping, services }
    }

    /// The empty name asks for the broker as a whole.
    fn knows(&self, request: Request<HealthCheckRequest>) -> Result<(), Status> {
        let service = request.into_inner().service;
        if service.is_empty() || self.services.contains(&service.as_str()) {
            return Ok(());
        }
        let names = self.services.join(", ");
        Err(Status::not_found(format!(
            "there is no service '{service}' at this port: ask for none, or for one of {names}"
        )))
    }
}

fn response(stopping: bool) -> HealthCheckResponse {
    let status = if stopping {
        ServingStatus::NotServing
    } else {
        ServingStatus::Serving
    };
    HealthCheckResponse {
        status: tonic_health::pb::health_check_response::ServingStatus::from(status).into(),
    }
}

#[tonic::async_trait]
impl HealthService for Health {
    type WatchStream = ReceiverStream<Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.knows(request)?;
        Ok(Response::new(response(self.stopping.has_begun())))
    }

    /// Ends once it has told that the broker stops: a stop waits for the calls that run.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.knows(request)?;
        let (told, telling) = mpsc::channel(2);
        let stopping = self.stopping.clone();
        tokio::spawn(async move {
            // Whoever does not listen any more misses nothing.
            let _ = told.send(Ok(response(stopping.has_begun()))).await;
            tokio::select! {
                () = told.closed() => {}
                () = stopping.begun() => drop(told.send(Ok(response(true))).await),
            }
        });
        Ok(Response::new(ReceiverStream::new(telling)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_stream::StreamExt as _;
    use tonic_health::pb::health_check_response::ServingStatus as Told;

    fn ask(service: &str) -> Request<HealthCheckRequest> {
        Request::new(HealthCheckRequest {
            service: service.to_owned(),
        })
    }

    #[tokio::test]
    async fn the_broker_and_each_service_serve_until_it_stops() {
        let stopping = Shutdown::default();
        let health = Health::new(stopping.clone(), vec!["a.v1.Topics"]);
        for expected in [Told::Serving, Told::NotServing] {
            for service in ["", "a.v1.Topics"] {
                let status = health.check(ask(service)).await.unwrap().into_inner().status;
                assert_eq!(status, i32::from(expected), "{service:?}");
            }
            stopping.begin();
        }
        let unknown = health.check(ask("a.v1.Groups")).await.unwrap_err();
        assert_eq!(unknown.code(), tonic::Code::NotFound);
        assert!(unknown.message().contains("a.v1.Topics"), "{unknown}");
    }

    #[tokio::test]
    async fn who_watches_is_told_that_the_broker_stops_and_then_let_go() {
        let stopping = Shutdown::default();
        let health = Health::new(stopping.clone(), Vec::new());
        let mut watch = health.watch(ask("")).await.unwrap().into_inner();
        let mut told = Vec::new();
        while let Some(response) = watch.next().await {
            told.push(response.unwrap().status);
            stopping.begin();
        }
        assert_eq!(told, [Told::Serving as i32, Told::NotServing as i32]);
    }
}
