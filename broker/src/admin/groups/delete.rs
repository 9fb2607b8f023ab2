//! A group goes, with its place in every topic.

use crate::admin::status::About;
use crate::admin::{Outcome, Shared};
use crate::service::{push, validate};
use sluice_core::command::Terms;
use sluice_proto::admin::{DeleteGroupRequest, DeleteGroupResponse};

pub(super) async fn handle(shared: &Shared, request: &DeleteGroupRequest) -> Outcome<DeleteGroupResponse> {
    let name = &request.name;
    validate::group_name(name)?;
    let terms = Terms {
        expected_generation: request.expected_generation,
        epoch: request.epoch,
    };
    let deleted = shared
        .engine
        .delete_group(name, request.only_if_empty, terms)
        .await;
    let undone_messages = deleted.map_err(|error| About::Group(name).failure(error))?;
    // Clients that go on make it anew, with the settings of a group as made on first use.
    push::settings(&shared.clients, shared.engine.tables(), name);
    Ok(DeleteGroupResponse { undone_messages })
}

/// For the log.
pub(super) fn what(gone: &DeleteGroupResponse) -> String {
    format!(
        "deleted a consumer group that had not done {} messages",
        gone.undone_messages
    )
}
