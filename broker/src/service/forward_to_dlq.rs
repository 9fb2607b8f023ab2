//! `ForwardMessageToDeadLetterQueue`: a client gives a message up.

use super::Shared;
use super::handles::Scope;
use super::metadata::Caller;
use super::status::{self, Failure};
use crate::clients::Figures;
use sluice_proto::v2::{ForwardMessageToDeadLetterQueueRequest, ForwardMessageToDeadLetterQueueResponse};
use std::time::Instant;
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
    let count = |figures: &Figures| figures.refused(Instant::now());
    shared.clients.count_for(caller.client_id, count);
    Ok(ForwardMessageToDeadLetterQueueResponse {
        status: Some(status::ok()),
    })
}
