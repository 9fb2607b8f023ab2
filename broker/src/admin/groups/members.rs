//! The group's clients, and what each holds (B11).

use crate::admin::{Outcome, Shared, convert};
use sluice_proto::admin::{ListMembersRequest, ListMembersResponse};

pub(super) async fn handle(shared: &Shared, request: ListMembersRequest) -> Outcome<ListMembersResponse> {
    let group = shared.group(&request.group)?;
    let members = shared.insight.members(&group.spec.name).await?;
    Ok(ListMembersResponse {
        members: members.iter().map(convert::client::member).collect(),
    })
}
