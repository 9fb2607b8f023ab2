//! `UpdateOffset`: a group stands at this offset of a queue from now on. Topic and group are made on first use, as by a receive.

use super::Shared;
use super::metadata::Caller;
use super::named_queue::NamedQueue;
use super::status::{self, Failure};
use sluice_proto::v2::{UpdateOffsetRequest, UpdateOffsetResponse};
use tonic::Request;

pub(super) async fn handle(
    shared: &Shared,
    request: Request<UpdateOffsetRequest>,
) -> Result<UpdateOffsetResponse, Failure> {
    let (metadata, extensions, request) = request.into_parts();
    let caller = Caller::of(&metadata, &extensions)?;
    let group = caller.group(request.group.as_ref())?;
    let named = NamedQueue::of(shared, &caller, request.message_queue.as_ref())?;
    let topic = shared.engine.topic(&named.topic).await?;
    shared
        .engine
        .commit_offset(&group, &topic, named.queue, request.offset)
        .await?;
    Ok(UpdateOffsetResponse {
        status: Some(status::ok()),
    })
}
