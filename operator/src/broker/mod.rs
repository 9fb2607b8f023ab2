//! Brokers, as controllers see them: the calls of the admin API, whose messages are used as they are.
//!
//! Every write carries the epoch that the broker has given to this leadership, and none is begun by a process that does
//! not lead: what another replica has taken over cannot be undone from here.

mod certificate;
mod endpoint;
mod error;
#[cfg(test)]
pub mod fake;
mod fence;
mod pool;
mod remote;

pub use endpoint::Endpoint;
pub use error::{BrokerError, causes};
pub use pool::{Brokers, ClusterKey};
pub use remote::{Caller, Remote};

use sluice_proto::admin::{
    GroupDescription, GroupLag, GroupSpec, Member, QueueOffsets, TopicDescription, TopicSpec,
};

/// What is asked of one broker. A write with a generation is made only while what is changed has that generation.
pub trait BrokerAdmin: Send + Sync {
    /// A topic with its queues and groups, if there is one.
    fn topic(&self, name: &str)
    -> impl Future<Output = Result<Option<TopicDescription>, BrokerError>> + Send;

    /// Makes a topic that there is not.
    fn create_topic(
        &self,
        name: &str,
        spec: TopicSpec,
    ) -> impl Future<Output = Result<(), BrokerError>> + Send;

    /// Gives a topic that there is another specification, all of it.
    fn update_topic(
        &self,
        name: &str,
        spec: TopicSpec,
        generation: u64,
    ) -> impl Future<Output = Result<(), BrokerError>> + Send;

    /// Deletes a topic, and says how many messages were not done.
    fn delete_topic(
        &self,
        name: &str,
        only_if_empty: bool,
        generation: u64,
    ) -> impl Future<Output = Result<u64, BrokerError>> + Send;

    /// A consumer group with the topics that it reads, if there is one.
    fn group(&self, name: &str)
    -> impl Future<Output = Result<Option<GroupDescription>, BrokerError>> + Send;

    /// Makes a group that there is not.
    fn create_group(
        &self,
        name: &str,
        spec: GroupSpec,
    ) -> impl Future<Output = Result<(), BrokerError>> + Send;

    /// Gives a group that there is another specification, all of it, and says how many clients were told.
    fn update_group(
        &self,
        name: &str,
        spec: GroupSpec,
        generation: u64,
    ) -> impl Future<Output = Result<u32, BrokerError>> + Send;

    /// Deletes a group, and says how many messages it had not done.
    fn delete_group(
        &self,
        name: &str,
        only_if_empty: bool,
        generation: u64,
    ) -> impl Future<Output = Result<u64, BrokerError>> + Send;

    /// What a group has not done, in every queue that it reads, if there is such a group.
    fn lag(&self, group: &str) -> impl Future<Output = Result<Option<GroupLag>, BrokerError>> + Send;

    /// Where a group stands in each queue.
    fn offsets(&self, group: &str) -> impl Future<Output = Result<Vec<QueueOffsets>, BrokerError>> + Send;

    /// A group's clients, and what each holds.
    fn members(&self, group: &str) -> impl Future<Output = Result<Vec<Member>, BrokerError>> + Send;
}
