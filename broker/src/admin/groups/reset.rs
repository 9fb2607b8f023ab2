//! A group is moved in a topic, or it is shown what moving it would do (F6, B5).

use crate::admin::status::About;
use crate::admin::{Outcome, Shared, convert};
use crate::engine::{EngineError, Reset};
use sluice_core::state::Refused;
use sluice_proto::admin::{ResetOffsetsRequest, ResetOffsetsResponse};

pub(super) async fn handle(shared: &Shared, request: &ResetOffsetsRequest) -> Outcome<ResetOffsetsResponse> {
    let (group, topic) = (shared.group(&request.group)?, shared.topic(&request.topic)?);
    let reset = Reset {
        group: &group.spec.name,
        topic: &topic.spec.name,
        to: convert::offsets::target(request.target.as_ref())?,
        queues: convert::offsets::queues(request.queues.clone()),
        epoch: request.epoch,
    };
    let moved = if request.preview {
        shared.engine.preview_reset(&reset).await
    } else {
        shared.engine.reset_offsets(&reset).await
    };
    let moved = moved.map_err(|error| {
        let why = match &error {
            EngineError::ResetMidway { cause, .. } => cause,
            other => other,
        };
        let about = match why {
            EngineError::Refused(Refused::NoTopic(_) | Refused::NoQueue(..)) => About::Topic(&request.topic),
            _ => About::Group(&request.group),
        };
        if let EngineError::ResetMidway { done, of, .. } = &error {
            let (group, topic) = (&reset.group, &reset.topic);
            tracing::warn!(group, topic, moved = done.len(), of, "a reset ended midway");
        }
        about.failure(error)
    })?;
    Ok(ResetOffsetsResponse {
        queues: moved.iter().map(convert::offsets::reset).collect(),
        applied: !request.preview,
    })
}

/// For the log.
pub(super) fn what(response: &ResetOffsetsResponse) -> String {
    let queues = &response.queues;
    let sum = |of: fn(&sluice_proto::admin::QueueReset) -> u64| queues.iter().map(of).sum::<u64>();
    format!(
        "moved a consumer group in {} queues: {} messages are skipped, {} come again, {} deliveries are void",
        queues.len(),
        sum(|queue| queue.skipped),
        sum(|queue| queue.repeated),
        sum(|queue| queue.voided)
    )
}
