//! A topic is given a specification; it is made if it is absent.

use crate::admin::status::{About, Wrong};
use crate::admin::{Outcome, Shared, convert};
use crate::service::validate;
use sluice_core::command::Terms;
use sluice_core::state::Put;
use sluice_proto::admin::{UpdateTopicRequest, UpdateTopicResponse};

pub(super) async fn handle(shared: &Shared, request: &UpdateTopicRequest) -> Outcome<UpdateTopicResponse> {
    let name = &request.name;
    validate::topic_name(name)?;
    // Without one the topic would be opened, and take everything.
    let spec = request.spec.as_ref().ok_or_else(|| {
        Wrong::Spec(format!(
            "topic '{name}': the specification is missing: send what the topic is to be"
        ))
    })?;
    let terms = Terms {
        expected_generation: request.expected_generation,
        epoch: request.epoch,
    };
    let command = convert::topic::put(name, spec, terms)?;
    let put = shared.engine.put_topic(command).await;
    let put = put.map_err(|error| About::Topic(name).failure(error))?;
    Ok(UpdateTopicResponse {
        topic: Some(convert::topic::topic(&put.topic)),
        created: put.how == Put::Created,
        changed: put.how != Put::Unchanged,
    })
}

/// For the log.
pub(super) fn what(response: &UpdateTopicResponse) -> String {
    let spec = response.topic.as_ref().and_then(|topic| topic.spec.as_ref());
    let (queues, closed) = spec.map_or((0, false), |spec| (spec.queues, spec.closed));
    let state = if closed { "closed" } else { "open" };
    match (response.created, response.changed) {
        (true, _) => format!("made a topic with {queues} queues, {state}"),
        (false, true) => format!("changed a topic: it has {queues} queues and is {state}"),
        (false, false) => "left a topic as it was".to_owned(),
    }
}
