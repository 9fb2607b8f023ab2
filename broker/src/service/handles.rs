//! From a request's group, topic and receipt handles to the deliveries that they stand for.

use super::Shared;
use super::invalid::Invalid;
use super::metadata::Caller;
use super::status::Failure;
use crate::receipt::Receipt;
use sluice_core::ids::{GroupId, TopicId};
use sluice_proto::v2::Resource;

/// The group and topic that a request names: its handles must be theirs.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// None: no such group or topic, and so no handle of it. Clients that push try to settle for as long as they are told
    /// anything else.
    group: Option<GroupId>,
    topic: Option<TopicId>,
}

impl Scope {
    /// Checks the names and looks them up. Nothing is made here: a handle is of what exists.
    pub(super) fn of(
        shared: &Shared,
        caller: &Caller<'_>,
        group: Option<&Resource>,
        topic: Option<&Resource>,
    ) -> Result<Self, Failure> {
        let topic = caller.readable_topic(topic)?;
        let group = caller.group(group)?;
        let tables = shared.engine.tables();
        Ok(Self {
            group: tables.group(&group).map(|group| group.id),
            topic: tables.topic(&topic).map(|topic| topic.id),
        })
    }

    /// The delivery that `handle` stands for.
    pub(super) fn receipt(&self, shared: &Shared, handle: &str) -> Result<Receipt, Invalid> {
        let receipt = shared.receipts.decode(handle).ok_or(Invalid::Handle)?;
        let fits = Some(receipt.id.group) == self.group
            && Some(receipt.id.at.topic) == self.topic
            && receipt.term <= shared.engine.term();
        if fits { Ok(receipt) } else { Err(Invalid::Handle) }
    }
}
