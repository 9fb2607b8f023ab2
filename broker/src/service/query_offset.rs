//! `QueryOffset`: where a queue begins, ends, or has what came at a time.

use super::Shared;
use super::convert;
use super::invalid::Invalid;
use super::metadata::Caller;
use super::named_queue::NamedQueue;
use super::status::{self, Failure};
use sluice_proto::v2::{QueryOffsetPolicy, QueryOffsetRequest, QueryOffsetResponse};
use tonic::Request;

pub(super) async fn handle(
    shared: &Shared,
    request: Request<QueryOffsetRequest>,
) -> Result<QueryOffsetResponse, Failure> {
    let (metadata, extensions, request) = request.into_parts();
    let caller = Caller::of(&metadata, &extensions)?;
    let NamedQueue { topic, queue } = NamedQueue::of(shared, &caller, request.message_queue.as_ref())?;
    let policy = QueryOffsetPolicy::try_from(request.query_offset_policy)
        .map_err(|_| Invalid::Request("the policy is not known: ask for BEGINNING, END or TIMESTAMP"))?;
    let topic = shared.engine.topic_named(&topic)?;
    let offset = match policy {
        QueryOffsetPolicy::Beginning => shared.engine.ends(&topic, queue)?.0,
        QueryOffsetPolicy::End => shared.engine.ends(&topic, queue)?.1,
        QueryOffsetPolicy::Timestamp => {
            let missing = Invalid::Request("the timestamp is missing, which the policy TIMESTAMP goes by");
            let timestamp = request.timestamp.as_ref().ok_or(missing)?;
            // Before the epoch nothing came.
            let time = convert::time_ms(timestamp).unwrap_or(0);
            shared.engine.first_since(&topic, queue, time).await?
        }
    };
    Ok(QueryOffsetResponse {
        status: Some(status::ok()),
        offset: offset.0 as i64,
    })
}
