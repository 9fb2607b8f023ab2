//! Consumer groups.

mod describe;
mod lag;
mod list;

use super::{Admin, Answered, answer};
use crate::clients::{Clients, Role};
use sluice_proto::admin::group_service_server::GroupService;
use sluice_proto::admin::*;
use std::collections::HashMap;
use tonic::{Request, Status};

#[tonic::async_trait]
impl GroupService for Admin {
    async fn create_group(&self, _: Request<CreateGroupRequest>) -> Answered<Group> {
        Err(Status::unimplemented("CreateGroup"))
    }

    async fn update_group(&self, _: Request<UpdateGroupRequest>) -> Answered<UpdateGroupResponse> {
        Err(Status::unimplemented("UpdateGroup"))
    }

    async fn delete_group(&self, _: Request<DeleteGroupRequest>) -> Answered<DeleteGroupResponse> {
        Err(Status::unimplemented("DeleteGroup"))
    }

    async fn describe_group(&self, request: Request<DescribeGroupRequest>) -> Answered<GroupDescription> {
        answer(describe::handle(&self.0, request.into_inner()).await)
    }

    async fn list_groups(&self, request: Request<ListGroupsRequest>) -> Answered<ListGroupsResponse> {
        answer(list::handle(&self.0, request.into_inner()).await)
    }

    async fn get_lag(&self, request: Request<GetLagRequest>) -> Answered<GroupLag> {
        answer(lag::handle(&self.0, request.into_inner()).await)
    }

    async fn list_members(&self, _: Request<ListMembersRequest>) -> Answered<ListMembersResponse> {
        Err(Status::unimplemented("ListMembers"))
    }

    async fn get_offsets(&self, _: Request<GetOffsetsRequest>) -> Answered<GetOffsetsResponse> {
        Err(Status::unimplemented("GetOffsets"))
    }

    async fn reset_offsets(&self, _: Request<ResetOffsetsRequest>) -> Answered<ResetOffsetsResponse> {
        Err(Status::unimplemented("ResetOffsets"))
    }
}

/// How many clients have announced themselves as members of each group.
fn members(clients: &Clients) -> HashMap<String, u32> {
    let mut members = HashMap::new();
    for kind in clients.kinds() {
        if kind.role == Role::Consumer {
            *members.entry(kind.group).or_default() += 1;
        }
    }
    members
}
