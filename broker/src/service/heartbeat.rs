//! `Heartbeat`: the client is still there.

use super::Shared;
use super::metadata::Caller;
use super::status::{self, Failure};
use super::telemetry::settings_command;
use super::validate::Invalid;
use crate::clients::Heartbeat;
use sluice_proto::v2::{HeartbeatRequest, HeartbeatResponse};
use tonic::Request;

pub(super) async fn handle(
    shared: &Shared,
    request: Request<HeartbeatRequest>,
) -> Result<HeartbeatResponse, Failure> {
    let (metadata, extensions, _) = request.into_parts();
    let caller = Caller::of(&metadata, &extensions)?;
    match shared.clients.heartbeat(caller.call())? {
        Heartbeat::Unknown => Err(Invalid::UnknownClient.into()),
        Heartbeat::Known => Ok(HeartbeatResponse {
            status: Some(status::ok()),
        }),
        Heartbeat::Repeat(settings, streams) => {
            for stream in streams {
                // A stream whose buffer is full has an answer to settings on its way already.
                let _ = stream.try_send(Ok(settings_command((*settings).clone())));
            }
            Ok(HeartbeatResponse {
                status: Some(status::ok()),
            })
        }
    }
}
