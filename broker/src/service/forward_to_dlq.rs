//! `ForwardMessageToDeadLetterQueue`: a client gives a message up.

use super::Shared;
use super::handles::Scope;
use super::metadata::Caller;
use super::status::{self, Failure};
use sluice_proto::v2::{ForwardMessageToDeadLetterQueueRequest, ForwardMessageToDeadLetterQueueResponse};
use tonic::Request;

pub(super) async fn handle(
    shared: &Shared,
    request: Request<ForwardMessageToDeadLetterQueueRequest>,
) -> Result<ForwardMessageToDeadLetterQueueResponse, Failure> {
    let (metadata, extensions, request) = request.into_parts();
    let caller = Caller::of(&metadata, &extensions)?;
    let scope = Scope::of(shared, &caller, request.group.as_ref(), request.topic.as_ref())?;
    let receipt = scope.receipt(shared, &request.receipt_handle)?;
    shared
        .engine
        .dead_letter(receipt.id, receipt.offset, receipt.delivery)
        .await?;
    Ok(ForwardMessageToDeadLetterQueueResponse {
        status: Some(status::ok()),
    })
}
