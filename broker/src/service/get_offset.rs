//! `GetOffset`: where a group stands in a queue.

use super::Shared;
use super::metadata::Caller;
use super::named_queue::NamedQueue;
use super::status::{self, Failure};
use sluice_proto::v2::{GetOffsetRequest, GetOffsetResponse};
use tonic::Request;

pub(super) async fn handle(
    shared: &Shared,
    request: Request<GetOffsetRequest>,
) -> Result<GetOffsetResponse, Failure> {
    let (metadata, extensions, request) = request.into_parts();
    let caller = Caller::of(&metadata, &extensions)?;
    let group = caller.group(request.group.as_ref())?;
    let named = NamedQueue::of(shared, &caller, request.message_queue.as_ref())?;
    let topic = shared.engine.topic_named(&named.topic)?;
    let offset = shared.engine.offset_of(&group, &topic, named.queue)?;
    Ok(GetOffsetResponse {
        status: Some(status::ok()),
        offset: offset.0 as i64,
    })
}
