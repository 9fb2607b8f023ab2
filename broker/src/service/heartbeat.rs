//! `Heartbeat`: the client is still there.

use super::invalid::Invalid;
use super::metadata::Caller;
use super::status::{self, Failure};
use super::telemetry::settings_command;
use super::{Shared, announcement};
use crate::clients::Heartbeat;
use sluice_proto::v2::{HeartbeatRequest, HeartbeatResponse};
use tonic::Request;

/// A client that has announced nothing is told so, and is counted all the same: after a broker has started again, some
/// announce themselves minutes later, and some never.
pub(super) async fn handle(
    shared: &Shared,
    request: Request<HeartbeatRequest>,
) -> Result<HeartbeatResponse, Failure> {
    let (metadata, extensions, request) = request.into_parts();
    let caller = Caller::of(&metadata, &extensions)?;
    match shared.clients.heartbeat(caller.call())? {
        Heartbeat::Unknown => {
            if let Some(presumed) = announcement::presumed(&caller, request) {
                shared.clients.presume(caller.call(), presumed)?;
            }
            return Err(Invalid::UnknownClient.into());
        }
        Heartbeat::Known => {}
        Heartbeat::Repeat(settings, streams) => {
            for stream in streams {
                // A stream whose buffer is full has an answer to settings on its way already.
                let _ = stream.try_send(Ok(settings_command((*settings).clone())));
            }
        }
    }
    Ok(HeartbeatResponse {
        status: Some(status::ok()),
    })
}
