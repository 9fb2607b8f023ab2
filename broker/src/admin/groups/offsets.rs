//! Where a group stands in each queue.

use crate::admin::{Outcome, Shared, convert};
use sluice_proto::admin::{GetOffsetsRequest, GetOffsetsResponse};

pub(super) fn handle(shared: &Shared, request: GetOffsetsRequest) -> Outcome<GetOffsetsResponse> {
    let group = shared.group(&request.group)?;
    let topic = shared.topic_if_any(&request.topic)?;
    let only = topic.as_ref().map(|topic| topic.spec.name.as_str());
    let offsets = shared.engine.offsets(&group.spec.name, only)?;
    Ok(GetOffsetsResponse {
        queues: offsets.iter().map(convert::offsets::stands).collect(),
    })
}
