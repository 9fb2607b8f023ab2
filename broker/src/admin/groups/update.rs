//! A group is given a specification, and its connected clients are told (B7); it is made if it is absent.

use crate::admin::status::{About, Wrong};
use crate::admin::{Outcome, Shared, convert};
use crate::service::{push, validate};
use sluice_core::command::{PutGroup, Terms};
use sluice_core::state::Put;
use sluice_proto::admin::{UpdateGroupRequest, UpdateGroupResponse};

pub(super) async fn handle(shared: &Shared, request: &UpdateGroupRequest) -> Outcome<UpdateGroupResponse> {
    let name = &request.name;
    validate::group_name(name)?;
    // Without one the group would fall back to the defaults.
    let spec = request.spec.as_ref().ok_or_else(|| {
        Wrong::Spec(format!(
            "consumer group '{name}': the specification is missing: send what the group is to be"
        ))
    })?;
    let terms = Terms {
        expected_generation: request.expected_generation,
        epoch: request.epoch,
    };
    let spec = convert::group_spec::read(name, spec)?;
    let put = shared.engine.put_group(PutGroup { spec, terms }).await;
    let put = put.map_err(|error| About::Group(name).failure(error))?;
    let changed = put.how != Put::Unchanged;
    let clients_told = if changed {
        push::settings(&shared.clients, shared.engine.tables(), name)
    } else {
        0
    };
    Ok(UpdateGroupResponse {
        group: Some(convert::group::group(&put.group)),
        created: put.how == Put::Created,
        changed,
        clients_told,
    })
}

/// For the log.
pub(super) fn what(response: &UpdateGroupResponse) -> String {
    let told = response.clients_told;
    match (response.created, response.changed) {
        (true, _) => format!("made a consumer group, and told {told} clients"),
        (false, true) => format!("changed a consumer group, and told {told} clients"),
        (false, false) => "left a consumer group as it was".to_owned(),
    }
}
