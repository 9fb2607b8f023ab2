//! `PullMessage`: messages of one queue from an offset on, after a wait if there are none yet.
//!
//! It changes nothing: what the group has done is as the client leaves it by `UpdateOffset`, and a group or topic that is not
//! there is not made.

use super::Shared;
use super::frames::Counters;
use super::metadata::Caller;
use super::named_queue::NamedQueue;
use super::pull_frames::{Labels, PullFrames};
use super::receive_message::{filter, wait_of};
use super::status::{self, Failure};
use crate::engine::Pull;
use sluice_core::limits;
use sluice_proto::v2::{Code, PullMessageRequest};
use std::sync::Arc;
use tokio::time::Instant;
use tonic::Request;

pub(super) async fn handle(
    shared: &Shared,
    request: Request<PullMessageRequest>,
) -> Result<PullFrames, Failure> {
    let arrived = Instant::now();
    let (metadata, extensions, request) = request.into_parts();
    let caller = Caller::of(&metadata, &extensions)?;
    let group = caller.group(request.group.as_ref())?;
    let named = NamedQueue::of(shared, &caller, request.message_queue.as_ref())?;
    let filter = Arc::new(filter(request.filter_expression.as_ref())?);
    let client = shared.clients.touch(caller.call())?;
    let wait = wait_of(shared, &caller, request.long_polling_timeout.as_ref());
    let asked = usize::try_from(request.batch_size).unwrap_or(0);
    let topic = shared.engine.topic_named(&named.topic)?;
    let pull = Pull {
        topic: Arc::clone(&topic),
        queue: named.queue,
        offset: request.offset,
        client: client.id,
        filter,
        max: asked.clamp(1, limits::RECEIVE_MAX),
        deadline: arrived + wait,
    };
    let pulled = match shared.engine.pull(pull).await {
        Ok(pulled) => pulled,
        Err(error) => {
            let next = error.goes_on_at();
            let failure = Failure::from(error);
            return match next {
                Some(next) => Ok(PullFrames::without_messages(failure.into_status(), next)),
                None => Err(failure),
            };
        }
    };
    if pulled.messages.is_empty() {
        let nothing = status::plain(Code::MessageNotFound);
        return Ok(PullFrames::without_messages(nothing, pulled.next));
    }
    // A group that is not there, as before its first offset, has no counters.
    let group = shared.engine.tables().group(&group);
    let flow = group.map(|group| shared.metrics.traffic.out_of(&topic, &group));
    let named = request.message_queue.and_then(|queue| queue.topic);
    let named = named.unwrap_or_default();
    let labels = Labels {
        namespace: caller.namespace(&named).to_owned(),
        topic: named,
    };
    let counters = Counters {
        flow,
        figures: client.figures,
    };
    Ok(PullFrames::new(pulled, labels, counters))
}
