//! A topic goes, with its queues and the place of every group in them.

use crate::admin::status::About;
use crate::admin::{Outcome, Shared};
use crate::service::validate;
use sluice_core::command::Terms;
use sluice_proto::admin::{DeleteTopicRequest, DeleteTopicResponse};

pub(super) async fn handle(shared: &Shared, request: &DeleteTopicRequest) -> Outcome<DeleteTopicResponse> {
    let name = &request.name;
    validate::readable_topic_name(name)?;
    let terms = Terms {
        expected_generation: request.expected_generation,
        epoch: request.epoch,
    };
    let deleted = shared
        .engine
        .delete_topic(name, request.only_if_empty, terms)
        .await;
    let undone_messages = deleted.map_err(|error| About::Topic(name).failure(error))?;
    Ok(DeleteTopicResponse { undone_messages })
}

/// For the log.
pub(super) fn what(gone: &DeleteTopicResponse) -> String {
    format!(
        "deleted a topic with {} messages that were not done",
        gone.undone_messages
    )
}
