//! `NotifyClientTermination`: the client says farewell.

use super::Shared;
use super::metadata::Caller;
use super::status::{self, Failure};
use crate::clients::RELEASED_AFTER_MS;
use sluice_proto::v2::{NotifyClientTerminationRequest, NotifyClientTerminationResponse};
use tonic::Request;

/// The group is not looked at: Go's producers name an empty one. A second farewell is as good as the first.
pub(super) async fn handle(
    shared: &Shared,
    request: Request<NotifyClientTerminationRequest>,
) -> Result<NotifyClientTerminationResponse, Failure> {
    let (metadata, extensions, _) = request.into_parts();
    let caller = Caller::of(&metadata, &extensions)?;
    shared.clients.remove(caller.client_id);
    shared
        .engine
        .release_client(caller.client_id, RELEASED_AFTER_MS)
        .await?;
    Ok(NotifyClientTerminationResponse {
        status: Some(status::ok()),
    })
}
