//! The pods of a workload: which work, which wait for a node, and which may go first.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use sluice_operator_api::labels::POD_DELETION_COST;
use std::collections::BTreeMap;

/// The cost of a pod whose consumers hold nothing; without the annotation it is 0.
const IDLE_COST: &str = "-100";

/// How many pods work, and how many wait for a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Those that are ready.
    pub ready: u32,
    /// Those that no node has taken for so long.
    pub pending: u32,
}

/// Counts the pods; one that waits for a node counts after so many seconds.
pub fn counted(pods: &[Pod], pending_after_seconds: u32, now: Timestamp) -> Counted {
    let there = pods
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none());
    there.fold(Counted::default(), |counted, pod| Counted {
        ready: counted.ready + u32::from(has(pod, "Ready", "True").is_some()),
        pending: counted.pending + u32::from(is_pending(pod, pending_after_seconds, now)),
    })
}

fn is_pending(pod: &Pod, after_seconds: u32, now: Timestamp) -> bool {
    has(pod, "PodScheduled", "False")
        .flatten()
        .is_some_and(|since| now.as_second().saturating_sub(since.as_second()) >= i64::from(after_seconds))
}

/// Since when the pod has the condition with this status, if it has.
fn has(pod: &Pod, type_: &str, status: &str) -> Option<Option<Timestamp>> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|condition| condition.type_ == type_)?;
    (condition.status == status).then(|| condition.last_transition_time.as_ref().map(|time| time.0))
}

/// A change of a pod's deletion cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marking {
    /// The pod's name.
    pub pod: String,
    /// The cost, or none to take it away.
    pub cost: Option<&'static str>,
}

/// The changes after which pods whose consumers hold nothing go first. `held` has the messages that each client holds; a client
/// is a pod's if its id has the pod's name, as ids with a host name do.
///
/// A pod that no client is known of keeps its cost: nobody knows what it does. Costs that others have set are theirs.
pub fn markings(pods: &[Pod], held: &BTreeMap<String, u64>) -> Vec<Marking> {
    let marking = |pod: &Pod| {
        let name = pod.name_any();
        let mut clients = held.iter().filter(|(client, _)| is_of(client, &name)).peekable();
        clients.peek()?;
        let is_idle = clients.all(|(_, messages)| *messages == 0);
        let cost = pod.annotations().get(POD_DELETION_COST).map(String::as_str);
        match (is_idle, cost) {
            (true, None) => Some(Marking {
                pod: name,
                cost: Some(IDLE_COST),
            }),
            (false, Some(IDLE_COST)) => Some(Marking {
                pod: name,
                cost: None,
            }),
            _ => None,
        }
    };
    pods.iter().filter_map(marking).collect()
}

/// Tells whether the client's id names the pod: `billing-7c9-x` is in `billing-7c9-x@1@0@abc`, and not in `billing-7c9-xy@1`.
fn is_of(client: &str, pod: &str) -> bool {
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    client.match_indices(pod).any(|(at, _)| {
        let before = client[..at].chars().next_back();
        let after = client[at + pod.len()..].chars().next();
        !before.is_some_and(in_name) && !after.is_some_and(in_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(yaml: &str) -> Pod {
        serde_yaml::from_str(yaml).unwrap()
    }

    #[test]
    fn pods_are_counted_by_their_conditions() {
        let condition = |type_: &str, status: &str, second: u32| {
            pod(&format!(
                "{{metadata: {{name: p}}, status: {{conditions: [{{type: {type_}, status: '{status}', lastTransitionTime: '2026-01-01T00:00:{second:02}Z'}}]}}}}"
            ))
        };
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let mut leaving = condition("Ready", "True", 0);
        leaving.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
        for (pod, ready, pending) in [
            (condition("Ready", "True", 0), 1, 0),
            (condition("Ready", "False", 0), 0, 0),
            (condition("PodScheduled", "False", 30), 0, 1),
            (condition("PodScheduled", "False", 31), 0, 0),
            (condition("PodScheduled", "True", 0), 0, 0),
            (leaving, 0, 0),
            (pod("{metadata: {name: p}}"), 0, 0),
        ] {
            assert_eq!(
                counted(std::slice::from_ref(&pod), 30, now),
                Counted { ready, pending },
                "{pod:?}"
            );
        }
    }

    #[test]
    fn pods_whose_clients_hold_nothing_are_marked_and_those_that_hold_again_are_not() {
        let marked = |name: &str, cost: &str| {
            pod(&format!(
                "{{metadata: {{name: {name}, annotations: {{{POD_DELETION_COST}: '{cost}'}}}}}}"
            ))
        };
        let plain = |name: &str| pod(&format!("{{metadata: {{name: {name}}}}}"));
        let pods = [
            plain("w-a"),
            plain("w-b"),
            plain("w-unknown"),
            marked("w-c", IDLE_COST),
            marked("w-d", IDLE_COST),
            marked("w-e", "7"),
            plain("w-f"),
        ];
        let held = [
            ("w-a@1@0@x", 0),
            ("w-b@1@0@x", 3),
            ("w-c@1@0@x", 0),
            ("w-d@1@0@x", 1),
            ("w-e@1@0@x", 0),
            ("w-f@1@0@x", 0),
            ("w-f@2@0@x", 1),
        ];
        let held = held
            .into_iter()
            .map(|(client, messages)| (client.to_owned(), messages))
            .collect();
        let wanted = [("w-a", Some(IDLE_COST)), ("w-d", None)];
        let wanted = wanted.map(|(pod, cost)| Marking {
            pod: pod.to_owned(),
            cost,
        });
        assert_eq!(markings(&pods, &held), wanted);
    }

    #[test]
    fn a_client_is_a_pods_by_its_whole_name() {
        for (client, pod, wanted) in [
            ("billing-7c9-x@1@0@abc", "billing-7c9-x", true),
            ("billing-7c9-x", "billing-7c9-x", true),
            ("10.0.0.1/billing-7c9-x#2", "billing-7c9-x", true),
            ("billing-7c9-xy@1", "billing-7c9-x", false),
            ("my-billing-7c9-x@1", "billing-7c9-x", false),
            ("orders@1", "billing-7c9-x", false),
        ] {
            assert_eq!(is_of(client, pod), wanted, "{client}");
        }
    }
}
