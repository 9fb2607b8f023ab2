//! A topic is given a specification; it is made if it is absent.

use crate::admin::status::{About, Wrong};
use crate::admin::{Outcome, Shared, convert};
use crate::service::validate;
use sluice_core::command::Terms;
use sluice_core::state::Put;
use sluice_core::units;
use sluice_proto::admin::{TopicSpec, UpdateTopicRequest, UpdateTopicResponse};

pub(super) async fn handle(shared: &Shared, request: &UpdateTopicRequest) -> Outcome<UpdateTopicResponse> {
    let name = &request.name;
    validate::administered_topic_name(name)?;
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
    let spec = response.topic.as_ref().and_then(|topic| topic.spec.clone());
    let described = described(&spec.unwrap_or_default());
    match (response.created, response.changed) {
        (true, _) => format!("made a topic with {described}"),
        (false, true) => format!("changed a topic to {described}"),
        (false, false) => "left a topic as it was".to_owned(),
    }
}

/// What a topic is, for the log.
pub(super) fn described(spec: &TopicSpec) -> String {
    let queues = spec.queues;
    let state = if spec.closed { "closed" } else { "open" };
    let bytes = units::write_size(spec.retention_bytes);
    let keeps = match (spec.retention_hours, spec.retention_bytes) {
        (0, 0) => String::new(),
        (hours, 0) => format!(", keeping {hours} hours"),
        (0, _) => format!(", keeping {bytes} at most"),
        (hours, _) => format!(", keeping {hours} hours and {bytes} at most"),
    };
    format!("{queues} queues, {state}{keeps}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_how_long_a_topic_keeps_messages_where_that_is_its_own() {
        for (retention_hours, retention_bytes, words) in [
            (0, 0, "4 queues, open"),
            (12, 0, "4 queues, open, keeping 12 hours"),
            (0, 1 << 20, "4 queues, open, keeping 1MiB at most"),
            (12, 1 << 30, "4 queues, open, keeping 12 hours and 1GiB at most"),
        ] {
            let spec = TopicSpec {
                queues: 4,
                retention_hours,
                retention_bytes,
                ..Default::default()
            };
            assert_eq!(described(&spec), words);
        }
    }
}
