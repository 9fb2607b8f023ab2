//! What the schema of the resource cannot refuse: each problem names what is wrong and what to do.

use super::children::{ChildKind, reserved_volumes};
use super::configuration::Configuration;
use super::observed::{Observed, token_place};
use super::rotation;
use serde_json::Value;
use sluice_operator_api::BrokerCluster;
use sluice_operator_api::broker_cluster::{ConditionType, PodMonitorMode, Reason};
use std::collections::BTreeSet;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which condition tells of it; Ready does too.
    pub condition: ConditionType,
    /// Its kind.
    pub reason: Reason,
    /// A sentence.
    pub message: String,
    /// Whether nothing is changed while it is there.
    pub blocks: bool,
}

impl Problem {
    /// Something that nothing is changed with.
    pub fn blocking(reason: Reason, message: impl Into<String>) -> Self {
        let condition = match reason {
            Reason::ConfigurationInvalid => ConditionType::ConfigurationApplied,
            _ => ConditionType::Ready,
        };
        Self {
            condition,
            reason,
            message: message.into(),
            blocks: true,
        }
    }
}

/// Everything that is wrong, and the configuration if it can be used.
pub fn validate(cluster: &BrokerCluster, observed: &Observed) -> (Option<Configuration>, Vec<Problem>) {
    let mut problems = Vec::new();
    let configuration = match Configuration::of(&cluster.spec, observed.broker.running()) {
        Ok(configuration) => Some(configuration),
        Err(wrong) => {
            problems.push(Problem::blocking(Reason::ConfigurationInvalid, wrong.join("; ")));
            None
        }
    };
    problems.extend(certificate(cluster, observed));
    problems.extend(given_token(cluster, observed));
    problems.extend(pod_template(cluster));
    problems.extend(pod_monitor(cluster, observed));
    (configuration, problems)
}

fn certificate(cluster: &BrokerCluster, observed: &Observed) -> Option<Problem> {
    let name = &cluster.spec.tls.as_ref()?.secret_ref.name;
    if !observed.given.contains_key(name) {
        let message =
            format!("the Secret '{name}' of tls.secretRef is not there: make it, with tls.crt and tls.key");
        return Some(Problem::blocking(Reason::SecretNotFound, message));
    }
    let missing = ["tls.crt", "tls.key"]
        .into_iter()
        .find(|key| observed.tls(cluster, key).is_none_or(<[u8]>::is_empty))?;
    let message = format!(
        "the Secret '{name}' of tls.secretRef has no {missing}: give it one of the type kubernetes.io/tls"
    );
    Some(Problem::blocking(Reason::SecretInvalid, message))
}

fn given_token(cluster: &BrokerCluster, observed: &Observed) -> Option<Problem> {
    cluster.spec.admin.token_secret_ref.as_ref()?;
    let place = token_place(cluster);
    if !observed.given.contains_key(&place.name) {
        let message = format!(
            "the Secret '{}' of admin.tokenSecretRef is not there: make it, with the token in its key '{}'",
            place.name, place.key
        );
        return Some(Problem::blocking(Reason::SecretNotFound, message));
    }
    let file = observed.token_file(cluster);
    if file.as_deref().and_then(rotation::first).is_some() {
        return None;
    }
    let message = format!(
        "the Secret '{}' of admin.tokenSecretRef has no admin token in its key '{}': give it one or two lines of 16 to 512 letters, digits and punctuation marks",
        place.name, place.key
    );
    Some(Problem::blocking(Reason::SecretInvalid, message))
}

fn pod_template(cluster: &BrokerCluster) -> Option<Problem> {
    let template = &cluster.spec.pod_template;
    let invalid = |message: String| Some(Problem::blocking(Reason::SpecInvalid, message));
    let mut volumes = BTreeSet::new();
    for volume in &template.volumes {
        if reserved_volumes().contains(&volume.name.as_str()) {
            return invalid(format!(
                "podTemplate.volumes has '{}', which is a volume of the operator's: give it another name",
                volume.name
            ));
        }
        volumes.insert(volume.name.as_str());
    }
    for mount in &template.volume_mounts {
        if !volumes.contains(mount.name.as_str()) {
            return invalid(format!(
                "podTemplate.volumeMounts has '{}', and podTemplate.volumes has no such volume: add it",
                mount.name
            ));
        }
        let path = mount.mount_path.trim_end_matches('/');
        if ["/var/lib/sluice", "/etc/sluice"]
            .iter()
            .any(|own| path == *own || is_inside(path, own))
        {
            return invalid(format!(
                "podTemplate.volumeMounts has '{}', where the operator puts what brokers need: take another path",
                mount.mount_path
            ));
        }
    }
    None
}

fn is_inside(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// Only that one object is missing then: the brokers are as they are to be.
fn pod_monitor(cluster: &BrokerCluster, observed: &Observed) -> Option<Problem> {
    let wanted = cluster.spec.monitoring.pod_monitor.mode == PodMonitorMode::Enabled;
    (wanted && !observed.pod_monitors).then(|| Problem {
        condition: ConditionType::Ready,
        reason: Reason::PodMonitorUnknown,
        message: "monitoring.podMonitor.mode is Enabled, and this Kubernetes cluster knows no PodMonitors: install the Prometheus operator, or take Auto"
            .to_owned(),
        blocks: false,
    })
}

/// That an object of a name which the cluster needs is somebody else's. One that was left behind by a cluster of the same name
/// is taken over.
pub fn name_taken(cluster: &BrokerCluster, kind: ChildKind, name: &str, live: &Value) -> Option<Problem> {
    if is_ours(cluster, live) || is_left_behind(cluster, live) {
        return None;
    }
    let owner = controller(live).map_or_else(String::new, |owner| {
        let part = |field: &str| owner.get(field).and_then(Value::as_str).unwrap_or_default();
        format!(" to the {} '{}'", part("kind"), part("name"))
    });
    let message = format!(
        "there is a {kind} '{name}' that belongs{} and not to this resource: delete or rename it, or give the cluster another name",
        if owner.is_empty() {
            " to somebody else".to_owned()
        } else {
            owner
        }
    );
    Some(Problem::blocking(Reason::NameTaken, message))
}

/// Whether the resource controls an object.
pub fn is_ours(cluster: &BrokerCluster, live: &Value) -> bool {
    let uid = controller(live)
        .and_then(|owner| owner.get("uid"))
        .and_then(Value::as_str);
    uid.is_some() && uid == cluster.metadata.uid.as_deref()
}

fn is_left_behind(cluster: &BrokerCluster, live: &Value) -> bool {
    let labels = super::metadata::all_labels(cluster);
    let has = |label: &str| {
        live.pointer("/metadata/labels")
            .and_then(|labels| labels.get(label))
    };
    controller(live).is_none()
        && labels
            .iter()
            .all(|(label, value)| has(label).and_then(Value::as_str) == Some(value))
}

fn controller(live: &Value) -> Option<&Value> {
    let owners = live.pointer("/metadata/ownerReferences")?.as_array()?;
    owners
        .iter()
        .find(|owner| owner.get("controller") == Some(&Value::Bool(true)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker_cluster::testing::cluster;
    use serde_json::json;

    fn with_secret(name: &str, data: Value) -> Observed {
        let secret = serde_json::from_value(json!({"data": data})).unwrap();
        Observed {
            given: [(name.to_owned(), secret)].into(),
            ..Observed::default()
        }
    }

    #[test]
    fn each_mistake_has_its_reason_and_names_what_is_wrong() {
        let nothing = Observed::default();
        let empty = with_secret("s", json!({}));
        let half = with_secret("s", json!({"tls.crt": "YQ==", "tls.key": ""}));
        let short = with_secret("s", json!({"t": "YQ=="}));
        let tls = r#"{"tls": {"secretRef": {"name": "s"}}}"#;
        let token = r#"{"admin": {"tokenSecretRef": {"name": "s", "key": "t"}}}"#;
        for (spec, observed, reason, part) in [
            (
                r#"{"config": {"nope": 1}}"#,
                &nothing,
                Reason::ConfigurationInvalid,
                "config.nope",
            ),
            (tls, &nothing, Reason::SecretNotFound, "'s'"),
            (tls, &empty, Reason::SecretInvalid, "tls.crt"),
            (tls, &half, Reason::SecretInvalid, "tls.key"),
            (token, &nothing, Reason::SecretNotFound, "'s'"),
            (token, &empty, Reason::SecretInvalid, "'t'"),
            (token, &short, Reason::SecretInvalid, "'t'"),
            (
                r#"{"podTemplate": {"volumes": [{"name": "data"}]}}"#,
                &nothing,
                Reason::SpecInvalid,
                "'data'",
            ),
            (
                r#"{"podTemplate": {"volumeMounts": [{"name": "x", "mountPath": "/x"}]}}"#,
                &nothing,
                Reason::SpecInvalid,
                "'x'",
            ),
            (
                r#"{"podTemplate": {"volumes": [{"name": "x"}], "volumeMounts": [{"name": "x", "mountPath": "/etc/sluice/tls/"}]}}"#,
                &nothing,
                Reason::SpecInvalid,
                "/etc/sluice/tls/",
            ),
            (
                r#"{"monitoring": {"podMonitor": {"mode": "Enabled"}}}"#,
                &nothing,
                Reason::PodMonitorUnknown,
                "Prometheus operator",
            ),
        ] {
            let (_, problems) = validate(&cluster(spec), observed);
            assert_eq!(problems.len(), 1, "{spec}: {problems:?}");
            assert_eq!(problems[0].reason, reason, "{spec}");
            assert!(
                problems[0].message.contains(part),
                "{spec}: {}",
                problems[0].message
            );
        }
    }

    #[test]
    fn what_can_be_used_has_no_problem() {
        let certificate = with_secret("s", json!({"tls.crt": "YQ==", "tls.key": "YQ=="}));
        let token = with_secret("s", json!({"t": "MDEyMzQ1Njc4OWFiY2RlZg=="}));
        for (spec, observed) in [
            ("{}", Observed::default()),
            (r#"{"tls": {"secretRef": {"name": "s"}}}"#, certificate),
            (
                r#"{"admin": {"tokenSecretRef": {"name": "s", "key": "t"}}}"#,
                token,
            ),
            (
                r#"{"podTemplate": {"volumes": [{"name": "x"}], "volumeMounts": [{"name": "x", "mountPath": "/etc/sluices"}]}}"#,
                Observed::default(),
            ),
        ] {
            assert_eq!(validate(&cluster(spec), &observed).1, [], "{spec}");
        }
    }

    #[test]
    fn an_object_is_taken_over_only_from_a_cluster_of_the_same_name_that_is_gone() {
        let cluster = cluster("{}");
        let ours = json!({"apiVersion": "sluice.dev/v1alpha1", "kind": "BrokerCluster", "name": "main", "uid": "uid-of-main", "controller": true});
        let theirs = json!({"kind": "Deployment", "name": "web", "uid": "other", "controller": true});
        let labels = super::super::metadata::all_labels(&cluster);
        for (metadata, taken) in [
            (json!({"ownerReferences": [ours]}), false),
            (json!({"labels": labels}), false),
            (json!({}), true),
            (json!({"labels": {"sluice.dev/cluster": "main"}}), true),
            (json!({"labels": labels, "ownerReferences": [theirs]}), true),
        ] {
            let live = json!({"metadata": metadata});
            let problem = name_taken(&cluster, ChildKind::Service, "main-grpc", &live);
            assert_eq!(problem.is_some(), taken, "{live}");
        }
    }
}
