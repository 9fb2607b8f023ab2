//! The broker itself.

mod status;

pub use status::Facts;

use super::{Admin, Answered, answer};
use sluice_proto::admin::broker_service_server::BrokerService;
use sluice_proto::admin::*;
use tonic::{Request, Status};

#[tonic::async_trait]
impl BrokerService for Admin {
    async fn get_status(&self, _: Request<GetStatusRequest>) -> Answered<BrokerStatus> {
        answer(status::handle(&self.0).await)
    }

    async fn get_config(&self, _: Request<GetConfigRequest>) -> Answered<GetConfigResponse> {
        Err(Status::unimplemented("GetConfig"))
    }

    async fn set_config(&self, _: Request<SetConfigRequest>) -> Answered<SetConfigResponse> {
        Err(Status::unimplemented("SetConfig"))
    }

    async fn fence(&self, _: Request<FenceRequest>) -> Answered<FenceResponse> {
        Err(Status::unimplemented("Fence"))
    }
}
