//! The admin API of one broker, over the network.

use super::BrokerAdmin;
use super::endpoint::Endpoint;
use super::error::BrokerError;
use super::fence::{Fenced, Verdict, judge};
use crate::leadership::Leadership;
use crate::metrics::Metrics;
use sluice_proto::admin::broker_service_client::BrokerServiceClient;
use sluice_proto::admin::group_service_client::GroupServiceClient;
use sluice_proto::admin::topic_service_client::TopicServiceClient;
use sluice_proto::admin::{
    BrokerStatus, ConfigChange, ConfigEntry, CreateGroupRequest, CreateTopicRequest, DeleteGroupRequest,
    DeleteTopicRequest, DescribeGroupRequest, DescribeTopicRequest, FenceRequest, GetConfigRequest,
    GetLagRequest, GetOffsetsRequest, GetStatusRequest, GroupDescription, GroupLag, GroupSpec,
    ListMembersRequest, Member, QueueOffsets, SetConfigRequest, TopicDescription, TopicSpec,
    UpdateGroupRequest, UpdateTopicRequest,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

const CALL_WITHIN: Duration = Duration::from_secs(10);
/// A group that reads very many topics is described in this much.
const ANSWER_BYTES_MAX: usize = 16 << 20;

type Authorized = InterceptedService<Channel, Token>;

/// Puts the token on each call.
#[derive(Clone)]
struct Token(Option<MetadataValue<Ascii>>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// Who calls, and for how long it may write.
pub struct Caller {
    /// Unique to this process.
    pub identity: String,
    /// Whether it leads.
    pub leadership: Arc<Leadership>,
    /// Where calls are counted.
    pub metrics: Arc<Metrics>,
}

/// A connection, and the epoch that the broker has given over it.
pub struct Remote {
    address: String,
    service: Authorized,
    caller: Arc<Caller>,
    fenced: Mutex<Option<Fenced>>,
}

impl Remote {
    /// Does not connect yet.
    pub fn new(endpoint: &Endpoint, caller: Arc<Caller>) -> Result<Self, BrokerError> {
        let token = endpoint.token.as_ref().map(|token| {
            let value = MetadataValue::try_from(format!("Bearer {token}"));
            value.map(|mut value| {
                value.set_sensitive(true);
                value
            })
        });
        let token = token.transpose().map_err(|_| {
            BrokerError::Invalid(format!(
                "the token for {} has characters that no token has",
                endpoint.address
            ))
        })?;
        Ok(Self {
            address: endpoint.address.clone(),
            service: InterceptedService::new(endpoint.channel()?, Token(token)),
            caller,
            fenced: Mutex::new(None),
        })
    }

    /// How the broker is.
    pub async fn status(&self) -> Result<BrokerStatus, BrokerError> {
        let mut broker = BrokerServiceClient::new(self.service.clone());
        self.call("GetStatus", broker.get_status(GetStatusRequest {}))
            .await
    }

    /// Keys of its configuration as they stand; all of them if none is named.
    pub async fn config(&self, keys: Vec<String>) -> Result<Vec<ConfigEntry>, BrokerError> {
        let mut broker = BrokerServiceClient::new(self.service.clone());
        let answer = self
            .call("GetConfig", broker.get_config(GetConfigRequest { keys }))
            .await?;
        Ok(answer.entries)
    }

    /// Changes keys that are live, all of them or none.
    pub async fn configure(&self, changes: Vec<ConfigChange>) -> Result<(), BrokerError> {
        let set = |epoch| {
            let changes = changes.clone();
            let mut broker = BrokerServiceClient::new(self.service.clone());
            async move { broker.set_config(SetConfigRequest { changes, epoch }).await }
        };
        self.write("SetConfig", set).await.map(|_| ())
    }

    fn topics(&self) -> TopicServiceClient<Authorized> {
        TopicServiceClient::new(self.service.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    fn groups(&self) -> GroupServiceClient<Authorized> {
        GroupServiceClient::new(self.service.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    async fn call<T>(
        &self,
        name: &str,
        call: impl Future<Output = Result<Response<T>, Status>> + Send,
    ) -> Result<T, BrokerError> {
        let answer = match tokio::time::timeout(CALL_WITHIN, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(BrokerError::of(&self.address, &status)),
            Err(_) => Err(BrokerError::of(&self.address, &Status::deadline_exceeded(""))),
        };
        let outcome = answer.as_ref().map_or_else(BrokerError::reason, |_| "Ok");
        self.caller
            .metrics
            .broker_requests
            .with_label_values(&[name, outcome])
            .inc();
        answer
    }

    /// A write with the epoch of this leadership; fences first where that has not been done. A refused epoch is looked into
    /// once: it may be of another store, or be this process's own.
    async fn write<T, Call>(
        &self,
        name: &str,
        call: impl Fn(u64) -> Call + Send + Sync,
    ) -> Result<T, BrokerError>
    where
        T: Send,
        Call: Future<Output = Result<Response<T>, Status>> + Send,
    {
        let fenced = self.fence().await?;
        match self.call(name, call(fenced.epoch)).await {
            Err(BrokerError::StaleEpoch(refusal)) => {
                let fenced = self.after_refusal(&fenced, refusal).await?;
                self.may_write()?;
                self.call(name, call(fenced.epoch)).await
            }
            answer => answer,
        }
    }

    fn may_write(&self) -> Result<(), BrokerError> {
        if self.caller.leadership.holds() {
            Ok(())
        } else {
            Err(BrokerError::NotLeading)
        }
    }

    async fn fence(&self) -> Result<Fenced, BrokerError> {
        let mut fenced = self.fenced.lock().await;
        self.may_write()?;
        if let Some(fenced) = &*fenced {
            return Ok(fenced.clone());
        }
        let new = self.fence_now().await?;
        *fenced = Some(new.clone());
        Ok(new)
    }

    async fn fence_now(&self) -> Result<Fenced, BrokerError> {
        let uuid = self.status().await?.uuid;
        self.may_write()?;
        let request = FenceRequest {
            holder: self.caller.identity.clone(),
        };
        let mut broker = BrokerServiceClient::new(self.service.clone());
        let epoch = self.call("Fence", broker.fence(request)).await?.epoch;
        tracing::info!(address = self.address, epoch, "fenced a broker");
        Ok(Fenced { uuid, epoch })
    }

    async fn after_refusal(&self, refused: &Fenced, refusal: String) -> Result<Fenced, BrokerError> {
        let mut fenced = self.fenced.lock().await;
        // Another task has looked into it meanwhile.
        if let Some(current) = &*fenced
            && current != refused
        {
            return Ok(current.clone());
        }
        let verdict = judge(refused, &self.caller.identity, &self.status().await?);
        let current = match verdict {
            Verdict::FenceAnew => self.fence_now().await?,
            Verdict::GoOnWith(current) => current,
            Verdict::Deposed(how) => {
                self.caller.leadership.depose(how);
                return Err(BrokerError::StaleEpoch(refusal));
            }
        };
        *fenced = Some(current.clone());
        Ok(current)
    }
}

fn if_found<T>(answer: Result<T, BrokerError>) -> Result<Option<T>, BrokerError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(BrokerError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

impl BrokerAdmin for Remote {
    async fn topic(&self, name: &str) -> Result<Option<TopicDescription>, BrokerError> {
        let request = DescribeTopicRequest {
            name: name.to_owned(),
        };
        let mut topics = self.topics();
        if_found(self.call("DescribeTopic", topics.describe_topic(request)).await)
    }

    async fn create_topic(&self, name: &str, spec: TopicSpec) -> Result<(), BrokerError> {
        let create = |epoch| {
            let request = CreateTopicRequest {
                name: name.to_owned(),
                spec: Some(spec.clone()),
                epoch,
            };
            let mut topics = self.topics();
            async move { topics.create_topic(request).await }
        };
        self.write("CreateTopic", create).await.map(|_| ())
    }

    async fn update_topic(&self, name: &str, spec: TopicSpec, generation: u64) -> Result<(), BrokerError> {
        let update = |epoch| {
            let request = UpdateTopicRequest {
                name: name.to_owned(),
                spec: Some(spec.clone()),
                expected_generation: Some(generation),
                epoch,
            };
            let mut topics = self.topics();
            async move { topics.update_topic(request).await }
        };
        self.write("UpdateTopic", update).await.map(|_| ())
    }

    async fn delete_topic(
        &self,
        name: &str,
        only_if_empty: bool,
        generation: u64,
    ) -> Result<u64, BrokerError> {
        let delete = |epoch| {
            let request = DeleteTopicRequest {
                name: name.to_owned(),
                only_if_empty,
                expected_generation: Some(generation),
                epoch,
            };
            let mut topics = self.topics();
            async move { topics.delete_topic(request).await }
        };
        let deleted = self.write("DeleteTopic", delete).await?;
        Ok(deleted.undone_messages)
    }

    async fn group(&self, name: &str) -> Result<Option<GroupDescription>, BrokerError> {
        let request = DescribeGroupRequest {
            name: name.to_owned(),
        };
        let mut groups = self.groups();
        if_found(self.call("DescribeGroup", groups.describe_group(request)).await)
    }

    async fn create_group(&self, name: &str, spec: GroupSpec) -> Result<(), BrokerError> {
        let create = |epoch| {
            let request = CreateGroupRequest {
                name: name.to_owned(),
                spec: Some(spec.clone()),
                epoch,
            };
            let mut groups = self.groups();
            async move { groups.create_group(request).await }
        };
        self.write("CreateGroup", create).await.map(|_| ())
    }

    async fn update_group(&self, name: &str, spec: GroupSpec, generation: u64) -> Result<u32, BrokerError> {
        let update = |epoch| {
            let request = UpdateGroupRequest {
                name: name.to_owned(),
                spec: Some(spec.clone()),
                expected_generation: Some(generation),
                epoch,
            };
            let mut groups = self.groups();
            async move { groups.update_group(request).await }
        };
        let updated = self.write("UpdateGroup", update).await?;
        Ok(updated.clients_told)
    }

    async fn delete_group(
        &self,
        name: &str,
        only_if_empty: bool,
        generation: u64,
    ) -> Result<u64, BrokerError> {
        let delete = |epoch| {
            let request = DeleteGroupRequest {
                name: name.to_owned(),
                only_if_empty,
                expected_generation: Some(generation),
                epoch,
            };
            let mut groups = self.groups();
            async move { groups.delete_group(request).await }
        };
        let deleted = self.write("DeleteGroup", delete).await?;
        Ok(deleted.undone_messages)
    }

    async fn lag(&self, group: &str) -> Result<Option<GroupLag>, BrokerError> {
        let request = GetLagRequest {
            group: group.to_owned(),
            topic: String::new(),
        };
        let mut groups = self.groups();
        if_found(self.call("GetLag", groups.get_lag(request)).await)
    }

    async fn offsets(&self, group: &str) -> Result<Vec<QueueOffsets>, BrokerError> {
        let request = GetOffsetsRequest {
            group: group.to_owned(),
            topic: String::new(),
        };
        let mut groups = self.groups();
        let answer = self.call("GetOffsets", groups.get_offsets(request)).await?;
        Ok(answer.queues)
    }

    async fn members(&self, group: &str) -> Result<Vec<Member>, BrokerError> {
        let request = ListMembersRequest {
            group: group.to_owned(),
        };
        let mut groups = self.groups();
        let answer = self.call("ListMembers", groups.list_members(request)).await?;
        Ok(answer.members)
    }
}
