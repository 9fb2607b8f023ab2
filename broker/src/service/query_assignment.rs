//! `QueryAssignment`: which queues a push consumer receives from.

use super::metadata::Caller;
use super::query_route::message_queue;
use super::status::{self, Failure};
use super::{Shared, endpoints};
use sluice_proto::v2::{Assignment, QueryAssignmentRequest, QueryAssignmentResponse};
use tonic::Request;

/// Stands for all queues of the broker: a receive takes from any of them.
const ALL_QUEUES: i32 = -1;

pub(super) async fn handle(
    shared: &Shared,
    request: Request<QueryAssignmentRequest>,
) -> Result<QueryAssignmentResponse, Failure> {
    let (metadata, extensions, request) = request.into_parts();
    let caller = Caller::of(&metadata, &extensions)?;
    let topic = caller.readable_topic(request.topic.as_ref())?;
    let group = caller.group(request.group.as_ref())?;
    let at = endpoints::for_route(
        shared.advertise.as_ref(),
        request.endpoints.as_ref(),
        caller.local(),
    )?;
    let topic = shared.engine.topic(&topic).await?;
    let fifo = shared
        .engine
        .tables()
        .group(&group)
        .is_some_and(|group| group.spec.fifo);
    let named = request.topic.unwrap_or_default();
    let assignment = |id| {
        let message_queue = Some(message_queue(shared, &topic, &named, id, &at));
        Assignment { message_queue }
    };
    let assignments = if fifo {
        (0..topic.spec.queues as i32).map(assignment).collect()
    } else {
        vec![assignment(ALL_QUEUES)]
    };
    Ok(QueryAssignmentResponse {
        status: Some(status::ok()),
        assignments,
    })
}
