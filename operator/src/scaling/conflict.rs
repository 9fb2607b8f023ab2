//! Who else scales a workload.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;
use sluice_operator_api::ConsumerGroup;
use sluice_operator_api::consumer_group::{Mode, ScaleTargetRef};
use std::sync::Arc;

/// What a ConsumerGroup that scales the same target is called by in front of its name.
pub const GROUP: &str = "ConsumerGroup ";

/// The oldest of the other ConsumerGroups, if it is older than this one and scales the same target: the oldest has it. One whose name
/// is an older one's scales nothing.
pub fn of_groups(group: &ConsumerGroup, all: &[Arc<ConsumerGroup>]) -> Option<String> {
    let target = &group.spec.autoscaling.as_ref()?.scale_target_ref;
    let age = |group: &ConsumerGroup| {
        let made = group.creation_timestamp().map(|time| time.0);
        (made, group.name_any())
    };
    let scales = |other: &&Arc<ConsumerGroup>| {
        let scaling = other.spec.autoscaling.as_ref();
        other.metadata.namespace == group.metadata.namespace
            && other.metadata.uid != group.metadata.uid
            && other.metadata.deletion_timestamp.is_none()
            && !other.is_name_taken()
            && scaling.is_some_and(|scaling| {
                let theirs = &scaling.scale_target_ref;
                let api_version = Some(&*theirs.api_version);
                scaling.mode == Mode::Active && is_same(target, api_version, Some(&theirs.kind), &theirs.name)
            })
    };
    let oldest = all.iter().filter(scales).min_by_key(|other| age(other))?;
    (age(oldest) < age(group)).then(|| format!("{GROUP}{}", oldest.name_any()))
}

/// The first of these that scales the target, such as `HorizontalPodAutoscaler billing`.
pub fn of_autoscalers<'a>(
    target: &ScaleTargetRef,
    all: impl IntoIterator<Item = &'a HorizontalPodAutoscaler>,
) -> Option<String> {
    let same = all.into_iter().find(|autoscaler| {
        let spec = autoscaler.spec.as_ref();
        spec.is_some_and(|spec| {
            let other = &spec.scale_target_ref;
            is_same(
                target,
                other.api_version.as_deref(),
                Some(&other.kind),
                &other.name,
            )
        })
    });
    same.map(|autoscaler| format!("HorizontalPodAutoscaler {}", autoscaler.name_any()))
}

/// The first of these ScaledObjects of KEDA's that scales the target.
pub fn of_scaled_objects<'a>(
    target: &ScaleTargetRef,
    all: impl IntoIterator<Item = &'a DynamicObject>,
) -> Option<String> {
    let same = all.into_iter().find(|scaled| {
        let text = |name: &str| {
            scaled
                .data
                .pointer(&format!("/spec/scaleTargetRef/{name}"))
                .and_then(Value::as_str)
        };
        let name = text("name").unwrap_or_default();
        // What KEDA takes where these are left out.
        let api_version = text("apiVersion").or(Some("apps/v1"));
        is_same(target, api_version, text("kind").or(Some("Deployment")), name)
    });
    same.map(|scaled| format!("ScaledObject {}", scaled.name_any()))
}

/// The version is left out of it: two versions of a group are two views of one object.
fn is_same(target: &ScaleTargetRef, api_version: Option<&str>, kind: Option<&str>, name: &str) -> bool {
    fn group(api_version: &str) -> &str {
        api_version.split_once('/').map_or("", |(group, _)| group)
    }
    target.name == name
        && kind == Some(&target.kind)
        && api_version.is_none_or(|api_version| group(api_version) == group(&target.api_version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(api_version: &str, kind: &str) -> ScaleTargetRef {
        ScaleTargetRef {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            name: "billing".to_owned(),
        }
    }

    fn autoscaler(target: &str) -> HorizontalPodAutoscaler {
        let yaml = format!("{{metadata: {{name: hpa}}, spec: {{maxReplicas: 3, scaleTargetRef: {target}}}}}");
        serde_yaml::from_str(&yaml).unwrap()
    }

    fn scaled_object(target: &str) -> DynamicObject {
        let yaml = format!(
            "{{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {{name: so}}, spec: {{scaleTargetRef: {target}}}}}"
        );
        serde_yaml::from_str(&yaml).unwrap()
    }

    #[test]
    fn an_autoscaler_of_the_same_workload_is_a_conflict() {
        let deployment = target("apps/v1", "Deployment");
        for (other, same) in [
            ("{apiVersion: apps/v1, kind: Deployment, name: billing}", true),
            ("{kind: Deployment, name: billing}", true),
            (
                "{apiVersion: apps/v1beta2, kind: Deployment, name: billing}",
                true,
            ),
            ("{apiVersion: apps/v1, kind: StatefulSet, name: billing}", false),
            ("{apiVersion: apps/v1, kind: Deployment, name: orders}", false),
            (
                "{apiVersion: example.org/v1, kind: Deployment, name: billing}",
                false,
            ),
        ] {
            let all = [
                autoscaler("{apiVersion: apps/v1, kind: Deployment, name: x}"),
                autoscaler(other),
            ];
            let found = of_autoscalers(&deployment, &all);
            assert_eq!(
                found.as_deref(),
                same.then_some("HorizontalPodAutoscaler hpa"),
                "{other}"
            );
        }
        assert_eq!(of_autoscalers(&deployment, &[]), None);
    }

    #[test]
    fn of_several_groups_on_one_workload_the_oldest_has_it() {
        let group = |name: &str, second: u32, workload: &str, mode: &str| {
            let yaml = format!(
                "{{apiVersion: sluice.dev/v1alpha1, kind: ConsumerGroup, metadata: {{name: {name}, namespace: shop, uid: {name}, \
                 creationTimestamp: '2026-01-01T00:00:{second:02}Z'}}, spec: {{clusterRef: {{name: main}}, autoscaling: \
                 {{mode: {mode}, maxReplicas: 4, scaleTargetRef: {{name: {workload}}}}}}}}}"
            );
            Arc::new(serde_yaml::from_str::<ConsumerGroup>(&yaml).unwrap())
        };
        let oldest = group("a", 1, "worker", "Active");
        for (other, conflict) in [
            (group("b", 2, "worker", "Active"), Some("ConsumerGroup a")),
            (group("b", 2, "other", "Active"), None),
            (group("b", 0, "worker", "Active"), None),
        ] {
            let all = [
                Arc::clone(&oldest),
                Arc::clone(&other),
                group("c", 3, "worker", "Active"),
            ];
            assert_eq!(of_groups(&other, &all).as_deref(), conflict, "{other:?}");
        }
        let shown = [
            group("a", 1, "worker", "Recommend"),
            group("b", 2, "worker", "Active"),
        ];
        assert_eq!(of_groups(&shown[1], &shown), None, "it writes nothing");
        let mut nameless = ConsumerGroup::clone(&oldest);
        for (reason, conflict) in [("NameTaken", None), ("OtherAutoscaler", Some("ConsumerGroup a"))] {
            let conflicted = format!(
                "{{conditions: [{{type: Conflicted, status: 'True', reason: {reason}, message: '', \
                 lastTransitionTime: '2026-01-01T00:00:00Z'}}]}}"
            );
            nameless.status = Some(serde_yaml::from_str(&conflicted).unwrap());
            let all = [Arc::new(nameless.clone()), group("b", 2, "worker", "Active")];
            assert_eq!(of_groups(&all[1], &all).as_deref(), conflict, "{reason}");
        }
    }

    #[test]
    fn a_scaled_object_of_the_same_workload_is_a_conflict() {
        for (target, other, same) in [
            (target("apps/v1", "Deployment"), "{name: billing}", true),
            (target("apps/v1", "StatefulSet"), "{name: billing}", false),
            (
                target("apps/v1", "StatefulSet"),
                "{kind: StatefulSet, name: billing}",
                true,
            ),
            (
                target("example.org/v1", "Worker"),
                "{kind: Worker, name: billing}",
                false,
            ),
            (
                target("example.org/v1", "Worker"),
                "{apiVersion: example.org/v2, kind: Worker, name: billing}",
                true,
            ),
            (target("apps/v1", "Deployment"), "{}", false),
        ] {
            let found = of_scaled_objects(&target, &[scaled_object(other)]);
            assert_eq!(found.as_deref(), same.then_some("ScaledObject so"), "{other}");
        }
    }
}
