//! What is told of a topic.

use crate::broker_object::status::{self as shared, Subject};
use crate::broker_object::{BrokerObject as _, Found, State};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sluice_operator_api::conditions::{self, Finding, Status};
use sluice_operator_api::topic::{ConditionType, Reason};
use sluice_operator_api::{Topic, TopicStatus};

pub use shared::was_in_sync;

/// The status after this reconciliation. What could not be looked at stays as it was told last.
pub fn next(topic: &Topic, found: &Found<Topic>, now: &Time) -> TopicStatus {
    let mut status = topic.status.clone().unwrap_or_default();
    let name = topic.topic_name();
    let about = Subject {
        noun: Topic::NOUN,
        lost: Topic::LOST,
        object: &name,
        cluster: &topic.spec.cluster_ref.name,
        deleting: topic.metadata.deletion_timestamp.is_some(),
        generation: topic.metadata.generation,
        shares_conflicts: false,
    };
    status.observed_generation = about.generation;
    shared::put(&mut status.conditions, &about, &found.state, now);
    if let State::InSync(change) = found.state {
        if change.is_some() {
            status.last_change_time = Some(now.clone());
        }
        status.topic_name = Some(name.clone());
    }
    if let Some(description) = &found.description {
        let known = description.topic.clone().unwrap_or_default();
        let queues = known.spec.map_or(0, |spec| spec.queues);
        // Only what the resource has made or adopted is its own.
        if matches!(found.state, State::InSync(_)) {
            status.topic_id = Some(i64::from(known.id));
        }
        status.generation = i64::try_from(known.generation).ok();
        status.queues = i32::try_from(queues).ok();
        status.messages = i64::try_from(description.messages).ok();
        status.producers = i32::try_from(description.producers).ok();
        status.consumer_groups = i32::try_from(description.groups.len()).ok();
        let asked = topic.spec.queues.unwrap_or(0);
        if matches!(found.state, State::InSync(_)) && i64::from(queues) > i64::from(asked) && asked > 0 {
            let message = format!(
                "the topic has {queues} queues and keeps them, for queues do not become fewer: set spec.queues to {queues}"
            );
            let finding = Finding::new(
                ConditionType::Synced,
                Status::True,
                Reason::QueuesCannotShrink,
                message,
            );
            conditions::set(&mut status.conditions, finding, about.generation, now);
        }
    }
    status
}
