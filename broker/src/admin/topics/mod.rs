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
        let made = create::handle(&self.0, &request).await;
        let change = Change::by("CreateTopic").topic(&request.name);
        answer_change(change, &caller, made, |_| "made a topic".to_owned())
    }

    async fn update_topic(&self, request: Request<UpdateTopicRequest>) -> Answered<UpdateTopicResponse> {
        let (caller, request) = asked(request)?;
        let put = update::handle(&self.0, &request).await;
        let change = Change::by("UpdateTopic").topic(&request.name);
        answer_change(change, &caller, put, update::what)
    }

    async fn delete_topic(&self, request: Request<DeleteTopicRequest>) -> Answered<DeleteTopicResponse> {
        let (caller, request) = asked(request)?;
        let deleted = delete::handle(&self.0, &request).await;
        let change = Change::by("DeleteTopic").topic(&request.name);
        answer_change(change, &caller, deleted, |gone| {
            format!(
                "deleted a topic with {} messages that were not done",
                gone.undone_messages
            )
        })
    }

    async fn describe_topic(&self, request: Request<DescribeTopicRequest>) -> Answered<TopicDescription> {
        answer(describe::handle(&self.0, request.into_inner()).await)
    }

    async fn list_topics(&self, request: Request<ListTopicsRequest>) -> Answered<ListTopicsResponse> {
        answer(list::handle(&self.0, request.into_inner()))
    }
}
