//! Topics.

mod describe;
mod list;

use super::{Admin, Answered, answer};
use sluice_proto::admin::topic_service_server::TopicService;
use sluice_proto::admin::*;
use tonic::{Request, Status};

#[tonic::async_trait]
impl TopicService for Admin {
    async fn create_topic(&self, _: Request<CreateTopicRequest>) -> Answered<Topic> {
        Err(Status::unimplemented("CreateTopic"))
    }

    async fn update_topic(&self, _: Request<UpdateTopicRequest>) -> Answered<UpdateTopicResponse> {
        Err(Status::unimplemented("UpdateTopic"))
    }

    async fn delete_topic(&self, _: Request<DeleteTopicRequest>) -> Answered<DeleteTopicResponse> {
        Err(Status::unimplemented("DeleteTopic"))
    }

    async fn describe_topic(&self, request: Request<DescribeTopicRequest>) -> Answered<TopicDescription> {
        answer(describe::handle(&self.0, request.into_inner()).await)
    }

    async fn list_topics(&self, request: Request<ListTopicsRequest>) -> Answered<ListTopicsResponse> {
        answer(list::handle(&self.0, request.into_inner()))
    }
}
