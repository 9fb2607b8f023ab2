//! What is told of a consumer group but for its scaling, which has a writer of its own.

use crate::broker_object::status::{self as shared, Subject};
use crate::broker_object::{BrokerObject as _, Found, State};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sluice_operator_api::consumer_group::LagStatus;
use sluice_operator_api::{ConsumerGroup, ConsumerGroupStatus};

/// The status after this reconciliation. What could not be looked at stays as it was told last.
pub fn next(group: &ConsumerGroup, found: &Found<ConsumerGroup>, now: &Time) -> ConsumerGroupStatus {
    let mut status = group.status.clone().unwrap_or_default();
    let name = group.group_name();
    let about = Subject {
        noun: ConsumerGroup::NOUN,
        lost: ConsumerGroup::LOST,
        object: &name,
        cluster: &group.spec.cluster_ref.name,
        deleting: group.metadata.deletion_timestamp.is_some(),
        generation: group.metadata.generation,
        shares_conflicts: is_scaled(group),
    };
    status.observed_generation = about.generation;
    shared::put(&mut status.conditions, &about, &found.state, now);
    if let State::InSync(change) = found.state {
        if change.is_some() {
            status.last_change_time = Some(now.clone());
        }
        status.group_name = Some(name.clone());
    }
    let Some(description) = &found.description else {
        return status;
    };
    let known = description.group.clone().unwrap_or_default();
    // Only what the resource has made or adopted is its own.
    if matches!(found.state, State::InSync(_)) {
        status.group_id = Some(i64::from(known.id));
    }
    status.generation = i64::try_from(known.generation).ok();
    status.members = i32::try_from(description.members).ok();
    status.dead_letters = i64::try_from(description.dead_letters).ok();
    if !is_scaled(group) {
        let sum = |of: fn(&sluice_proto::admin::TopicLag) -> u64| {
            let sum = description.topics.iter().map(of).fold(0, u64::saturating_add);
            i64::try_from(sum).unwrap_or(i64::MAX)
        };
        let oldest_ms = description.topics.iter().map(|topic| topic.age_ms).max();
        status.lag = Some(LagStatus {
            messages: sum(|topic| topic.lag),
            ready: Some(sum(|topic| topic.ready)),
            inflight: Some(sum(|topic| topic.inflight)),
            age_seconds: i64::try_from(oldest_ms.unwrap_or(0) / 1_000).ok(),
            ..LagStatus::default()
        });
    }
    status
}

/// The part of the status that is written from here: autoscaling writes the rest, where there is any.
pub fn of_settings(group: &ConsumerGroup, status: &ConsumerGroupStatus) -> ConsumerGroupStatus {
    let is_ours = |type_: &str, reason: &str| match type_ {
        "Conflicted" => !is_scaled(group) || reason == "NameTaken",
        type_ => shared::TYPES.iter().any(|ours| ours.0 == type_),
    };
    let conditions = status.conditions.iter();
    let conditions = conditions.filter(|condition| is_ours(&condition.type_, &condition.reason));
    ConsumerGroupStatus {
        observed_generation: status.observed_generation,
        conditions: conditions.cloned().collect(),
        group_name: status.group_name.clone(),
        group_id: status.group_id,
        generation: status.generation,
        members: status.members,
        dead_letters: status.dead_letters,
        last_change_time: status.last_change_time.clone(),
        lag: status.lag.clone().filter(|_| !is_scaled(group)),
        ..ConsumerGroupStatus::default()
    }
}

/// Whether autoscaling tells of the group too: of its lag, and of conflicts over its workload.
fn is_scaled(group: &ConsumerGroup) -> bool {
    group.spec.autoscaling.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::BrokerError;
    use crate::broker_object::State;
    use k8s_openapi::jiff::Timestamp;
    use sluice_proto::admin::{Group, GroupDescription, TopicLag};

    const SCALED: &str = "{clusterRef: {name: main}, autoscaling: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: w}, maxReplicas: 4}}";

    fn group(spec: &str) -> ConsumerGroup {
        let mut group = ConsumerGroup::new("billing", serde_yaml::from_str(spec).unwrap());
        group.metadata.generation = Some(3);
        group
    }

    fn found(state: State) -> Found<ConsumerGroup> {
        let lag = |ready, inflight, age_ms| TopicLag {
            ready,
            inflight,
            lag: ready + inflight,
            age_ms,
            ..TopicLag::default()
        };
        Found {
            state,
            description: Some(GroupDescription {
                group: Some(Group {
                    id: 7,
                    generation: 2,
                    ..Group::default()
                }),
                topics: vec![lag(5, 1, 2_900), lag(7, 2, 100)],
                members: 4,
                dead_letters: 9,
            }),
        }
    }

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    fn types(status: &ConsumerGroupStatus) -> Vec<&str> {
        status
            .conditions
            .iter()
            .map(|condition| condition.type_.as_str())
            .collect()
    }

    #[test]
    fn a_group_without_autoscaling_has_its_lag_from_the_broker() {
        let group = group("{clusterRef: {name: main}}");
        let status = next(&group, &found(State::InSync(None)), &at(1));
        let lag = status.lag.clone().unwrap();
        assert_eq!(
            (lag.messages, lag.ready, lag.inflight, lag.age_seconds),
            (15, Some(12), Some(3), Some(2))
        );
        assert_eq!(
            (status.group_id, status.members, status.dead_letters),
            (Some(7), Some(4), Some(9))
        );
        assert_eq!(of_settings(&group, &status), status);
    }

    #[test]
    fn a_group_that_is_scaled_leaves_lag_and_conflicts_to_autoscaling() {
        let mut group = group(SCALED);
        let lag = LagStatus {
            messages: 1,
            ..LagStatus::default()
        };
        group.status = Some(ConsumerGroupStatus {
            lag: Some(lag.clone()),
            ..ConsumerGroupStatus::default()
        });
        let status = next(&group, &found(State::InSync(None)), &at(1));
        assert_eq!(status.lag, Some(lag));
        let ours = of_settings(&group, &status);
        assert_eq!(ours.lag, None);
        assert!(!types(&ours).contains(&"Conflicted"));
        let taken = next(&group, &found(State::NameTaken("older".to_owned())), &at(1));
        assert!(types(&of_settings(&group, &taken)).contains(&"Conflicted"));
        group.status = Some(taken);
        let free = next(&group, &found(State::InSync(None)), &at(2));
        assert!(!types(&free).contains(&"Conflicted"));
    }

    #[test]
    fn an_object_that_was_not_made_or_adopted_is_not_the_resources() {
        let group = group("{clusterRef: {name: main}}");
        let refused = State::Failed(BrokerError::Refused("why".to_owned()));
        assert_eq!(next(&group, &found(refused), &at(1)).group_id, None);
    }
}
