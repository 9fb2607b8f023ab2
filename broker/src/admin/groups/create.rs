//! A group is made, if there is none of its name.

use crate::admin::status::About;
use crate::admin::{Outcome, Shared, convert};
use crate::service::{push, validate};
use sluice_core::command::{PutGroup, Terms};
use sluice_proto::admin::{CreateGroupRequest, Group};

pub(super) async fn handle(shared: &Shared, request: &CreateGroupRequest) -> Outcome<Group> {
    let name = &request.name;
    validate::group_name(name)?;
    let terms = Terms {
        expected_generation: Some(0),
        epoch: request.epoch,
    };
    let spec = request.spec.clone().unwrap_or_default();
    let spec = convert::group_spec::read(name, &spec)?;
    let put = shared.engine.put_group(PutGroup { spec, terms }).await;
    let put = put.map_err(|error| About::Group(name).failure(error))?;
    // Clients may have announced themselves before their group was there.
    push::settings(&shared.clients, shared.engine.tables(), name);
    Ok(convert::group::group(&put.group))
}
