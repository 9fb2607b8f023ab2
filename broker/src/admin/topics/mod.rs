//! Topics.

mod create;
mod delete;
mod describe;
mod list;
mod update;

use super::audit::{Change, answer_change, asked};
use super::{Admin, Answered, answer};
use sluice_proto::admin::topic_service_server::TopicService;
use sluice_proto::admin::*;
use tonic::Request;

#[tonic::async_trait]
impl TopicService for Admin {
    async fn create_topic(&self, request: Request<CreateTopicRequest>) -> Answered<Topic> {
        let (caller, request) = asked(request)?;
        let change = Change::by("CreateTopic").topic(&request.name);
        let shared = self.shared();
        let made = async move { create::handle(&shared, &request).await };
        answer_change(change, caller, made, create::what).await
    }

    async fn update_topic(&self, request: Request<UpdateTopicRequest>) -> Answered<UpdateTopicResponse> {
        let (caller, request) = asked(request)?;
        let change = Change::by("UpdateTopic").topic(&request.name);
        let shared = self.shared();
        let put = async move { update::handle(&shared, &request).await };
        answer_change(change, caller, put, update::what).await
    }

    async fn delete_topic(&self, request: Request<DeleteTopicRequest>) -> Answered<DeleteTopicResponse> {
        let (caller, request) = asked(request)?;
        let change = Change::by("DeleteTopic").topic(&request.name);
        let shared = self.shared();
        let deleted = async move { delete::handle(&shared, &request).await };
        answer_change(change, caller, deleted, delete::what).await
    }

    async fn describe_topic(&self, request: Request<DescribeTopicRequest>) -> Answered<TopicDescription> {
        answer(describe::handle(&self.0, request.into_inner()).await)
    }

    async fn list_topics(&self, request: Request<ListTopicsRequest>) -> Answered<ListTopicsResponse> {
        answer(list::handle(&self.0, request.into_inner()))
    }
}
