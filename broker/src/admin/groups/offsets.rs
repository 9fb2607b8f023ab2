//! Where a group stands in each queue.

use crate::admin::{Outcome, Shared, convert};
use sluice_proto::admin::{GetOffsetsRequest, GetOffsetsResponse};

pub(super) async fn handle(shared: &Shared, request: GetOffsetsRequest) -> Outcome<GetOffsetsResponse> {
    let group = shared.group(&request.group)?;
    let topic = shared.topic_if_any(&request.topic)?;
    if topic.is_none() {
        shared.within_an_answer(&group)?;
    }
    let only = topic.map(|topic| topic.spec.name.clone());
    let offsets = shared
        .look(move |engine| engine.offsets(&group.spec.name, only.as_deref()))
        .await??;
    Ok(GetOffsetsResponse {
        queues: offsets.iter().map(convert::offsets::stands).collect(),
    })
}
