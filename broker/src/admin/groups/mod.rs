//! Consumer groups.

mod create;
mod delete;
mod describe;
mod lag;
mod list;
mod members;
mod offsets;
mod reset;
mod update;

use super::audit::{Change, answer_change, asked};
use super::{Admin, Answered, answer};
use sluice_proto::admin::group_service_server::GroupService;
use sluice_proto::admin::*;
use tonic::Request;

#[tonic::async_trait]
impl GroupService for Admin {
    async fn create_group(&self, request: Request<CreateGroupRequest>) -> Answered<Group> {
        let (caller, request) = asked(request)?;
        let change = Change::by("CreateGroup").group(&request.name);
        let shared = self.shared();
        let made = async move { create::handle(&shared, &request).await };
        answer_change(change, caller, made, |_| "made a consumer group".to_owned()).await
    }

    async fn update_group(&self, request: Request<UpdateGroupRequest>) -> Answered<UpdateGroupResponse> {
        let (caller, request) = asked(request)?;
        let change = Change::by("UpdateGroup").group(&request.name);
        let shared = self.shared();
        let put = async move { update::handle(&shared, &request).await };
        answer_change(change, caller, put, update::what).await
    }

    async fn delete_group(&self, request: Request<DeleteGroupRequest>) -> Answered<DeleteGroupResponse> {
        let (caller, request) = asked(request)?;
        let change = Change::by("DeleteGroup").group(&request.name);
        let shared = self.shared();
        let deleted = async move { delete::handle(&shared, &request).await };
        answer_change(change, caller, deleted, delete::what).await
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

    async fn list_members(&self, request: Request<ListMembersRequest>) -> Answered<ListMembersResponse> {
        answer(members::handle(&self.0, request.into_inner()).await)
    }

    async fn get_offsets(&self, request: Request<GetOffsetsRequest>) -> Answered<GetOffsetsResponse> {
        answer(offsets::handle(&self.0, request.into_inner()).await)
    }

    async fn reset_offsets(&self, request: Request<ResetOffsetsRequest>) -> Answered<ResetOffsetsResponse> {
        let (caller, request) = asked(request)?;
        let shared = self.shared();
        if request.preview {
            return answer(reset::handle(&shared, &request).await);
        }
        let change = Change::by("ResetOffsets")
            .group(&request.group)
            .topic(&request.topic);
        let moved = async move { reset::handle(&shared, &request).await };
        answer_change(change, caller, moved, reset::what).await
    }
}
