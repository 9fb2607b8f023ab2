//! A topic is made, if there is none of its name.

use super::update::described;
use crate::admin::status::About;
use crate::admin::{Outcome, Shared, convert};
use crate::service::validate;
use sluice_core::command::Terms;
use sluice_proto::admin::{CreateTopicRequest, Topic};

pub(super) async fn handle(shared: &Shared, request: &CreateTopicRequest) -> Outcome<Topic> {
    let name = &request.name;
    validate::administered_topic_name(name)?;
    let terms = Terms {
        expected_generation: Some(0),
        epoch: request.epoch,
    };
    let spec = request.spec.clone().unwrap_or_default();
    let command = convert::topic::put(name, &spec, terms)?;
    let put = shared.engine.put_topic(command).await;
    let put = put.map_err(|error| About::Topic(name).failure(error))?;
    Ok(convert::topic::topic(&put.topic))
}

/// For the log.
pub(super) fn what(topic: &Topic) -> String {
    let spec = topic.spec.clone().unwrap_or_default();
    format!("made a topic with {}", described(&spec))
}
