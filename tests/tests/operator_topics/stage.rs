//! What is asked of the broker's topics, past the operator.

use sluice_proto::admin::{DescribeTopicRequest, TopicDescription, TopicSpec, UpdateTopicRequest};
use sluice_tests::wait;

pub use sluice_tests::stage::{CLUSTER, SOON, Stage, condition, condition_of_group, is_ready};

/// Topics, as a person sees and changes them.
pub trait Topics {
    /// The broker's topic, if there is one.
    async fn topic(&self, name: &str) -> Option<TopicDescription>;

    /// Until the broker's topic is so.
    async fn until_topic(
        &self,
        what: &str,
        name: &str,
        holds: impl Fn(&TopicSpec) -> bool,
    ) -> TopicDescription;

    /// As a person does, without an epoch.
    async fn set_topic(&self, name: &str, spec: TopicSpec);
}

impl Topics for Stage {
    async fn topic(&self, name: &str) -> Option<TopicDescription> {
        let request = DescribeTopicRequest {
            name: name.to_owned(),
        };
        match self.admin.topics().describe_topic(request).await {
            Ok(answer) => Some(answer.into_inner()),
            Err(status) if status.code() == tonic::Code::NotFound => None,
            Err(status) => panic!("{status:?}"),
        }
    }

    async fn until_topic(
        &self,
        what: &str,
        name: &str,
        holds: impl Fn(&TopicSpec) -> bool,
    ) -> TopicDescription {
        let probe = async || {
            let found = self.topic(name).await;
            let spec = found.as_ref().and_then(|found| found.topic.clone()?.spec);
            if spec.as_ref().is_some_and(&holds) {
                return Ok(found);
            }
            anyhow::bail!("{spec:?}")
        };
        wait::until_async(what, SOON, probe).await.unwrap()
    }

    async fn set_topic(&self, name: &str, spec: TopicSpec) {
        let request = UpdateTopicRequest {
            name: name.to_owned(),
            spec: Some(spec),
            expected_generation: None,
            epoch: 0,
        };
        self.admin.topics().update_topic(request).await.unwrap();
    }
}
