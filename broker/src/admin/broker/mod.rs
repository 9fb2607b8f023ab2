//! The broker itself.

mod fence;
mod get_config;
mod set_config;
mod status;

pub use status::Facts;

use super::audit::{Change, answer_change, asked};
use super::{Admin, Answered, answer};
use crate::config::Entry;
use sluice_proto::admin::broker_service_server::BrokerService;
use sluice_proto::admin::*;
use tonic::Request;

#[tonic::async_trait]
impl BrokerService for Admin {
    async fn get_status(&self, _: Request<GetStatusRequest>) -> Answered<BrokerStatus> {
        answer(status::handle(&self.0).await)
    }

    async fn get_config(&self, request: Request<GetConfigRequest>) -> Answered<GetConfigResponse> {
        answer(get_config::handle(&self.0, request.into_inner()))
    }

    async fn set_config(&self, request: Request<SetConfigRequest>) -> Answered<SetConfigResponse> {
        let (caller, request) = asked(request)?;
        let shared = self.shared();
        let set = async move { set_config::handle(&shared, request).await };
        answer_change(Change::by("SetConfig"), caller, set, set_config::what).await
    }

    async fn fence(&self, request: Request<FenceRequest>) -> Answered<FenceResponse> {
        let (caller, request) = asked(request)?;
        let shared = self.shared();
        let fenced = async move { fence::handle(&shared, request).await };
        answer_change(Change::by("Fence"), caller, fenced, |fenced| {
            format!("fenced: writes with an epoch before {} are refused", fenced.epoch)
        })
        .await
    }
}

/// A key as the API has it.
fn entry(entry: &Entry) -> ConfigEntry {
    ConfigEntry {
        key: entry.key.name.to_owned(),
        value: entry.value.clone().unwrap_or_default(),
        source: entry.source.to_string(),
        live: entry.key.live,
        description: entry.key.help.to_owned(),
    }
}
