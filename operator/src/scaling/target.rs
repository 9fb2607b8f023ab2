//! The workload, as its `scale` subresource shows it, and the one write there is to it.

use super::contention;
use crate::autoscale::ReplicasWriter;
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind, Selector};
use kube::{Client, discovery};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sluice_operator_api::consumer_group::ScaleTargetRef;
use sluice_operator_api::labels::SCALE_FIELD_MANAGER;
use std::collections::BTreeMap;

/// Kinds that are remembered; beyond that they are looked up anew.
const KINDS_MAX: usize = 64;

/// Workloads of any kind that has a `scale` subresource.
pub struct Targets {
    client: Client,
    /// By API version and kind: where the API server has them. It is asked once.
    kinds: Mutex<BTreeMap<(String, String), ApiResource>>,
}

/// A workload as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How many replicas it is to have.
    pub replicas: u32,
    /// The label selector of its pods; empty where it tells of none.
    pub selector: String,
    /// How many of its pods are ready, where it tells.
    pub ready: Option<u32>,
    /// Whether its pods are being exchanged for others.
    pub rolling_out: bool,
    /// Who else has written its replicas last, where it tells.
    pub writer: Option<ReplicasWriter>,
    version: String,
}

/// Why a workload cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The API server does not know the kind.
    #[error(
        "the API server knows no {kind} of {api_version}: correct scaleTargetRef, or install what defines it"
    )]
    UnknownKind {
        /// Its API version.
        api_version: String,
        /// The kind.
        kind: String,
    },
    /// There is none of the name.
    #[error("there is no {kind} {name} in the namespace {namespace}: make it, or correct scaleTargetRef")]
    NotFound {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// It has no `scale` subresource.
    #[error("{kind} {name} has no scale subresource: only what has one can be scaled")]
    NotScalable {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The operator's roles do not allow it.
    #[error("the operator may not {verb} the scale of {kind} {name}: {why}")]
    Forbidden {
        /// What it tried to do.
        verb: &'static str,
        /// The target's kind.
        kind: String,
        /// Its name.
        name: String,
        /// The API server's words.
        why: String,
    },
    /// Somebody has written it since it was read.
    #[error("{kind} {name} was changed meanwhile")]
    Changed {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The API server does not answer, or refuses for another reason.
    #[error("cannot {verb} the scale of {kind} {name}: {error}")]
    Api {
        /// What was tried.
        verb: &'static str,
        /// The target's kind.
        kind: String,
        /// Its name.
        name: String,
        /// What went wrong.
        error: Box<kube::Error>,
    },
}

impl Targets {
    /// Workloads of this API server.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            kinds: Mutex::default(),
        }
    }

    /// The workload as it is now.
    ///
    /// # Errors
    /// When there is none, or it cannot be scaled.
    pub async fn read(&self, namespace: &str, target: &ScaleTargetRef) -> Result<Seen, TargetError> {
        let api = self.api(namespace, target).await?;
        let failed = |error| failed("read", namespace, target, error);
        if tells_its_scale(target) {
            let workload = api.get(&target.name).await.map_err(failed)?;
            return Ok(seen(workload));
        }
        let scale = api.get_scale(&target.name).await.map_err(failed)?;
        let workload = api.get(&target.name).await.map_err(failed)?;
        let replicas = scale
            .spec
            .as_ref()
            .and_then(|spec| spec.replicas)
            .unwrap_or_default();
        Ok(Seen {
            replicas: u32::try_from(replicas).unwrap_or_default(),
            selector: scale
                .status
                .and_then(|status| status.selector)
                .unwrap_or_default(),
            ready: ready(&workload.data),
            rolling_out: is_rolling_out(&workload.data),
            writer: contention::last_writer(&workload.metadata),
            version: scale.metadata.resource_version.unwrap_or_default(),
        })
    }

    /// Gives the workload so many replicas, unless it was changed since it was seen.
    ///
    /// # Errors
    /// When it was, or may not be written.
    pub async fn write(
        &self,
        namespace: &str,
        target: &ScaleTargetRef,
        seen: &Seen,
        replicas: u32,
    ) -> Result<(), TargetError> {
        let api = self.api(namespace, target).await?;
        let patch = json!({
            "metadata": { "resourceVersion": seen.version },
            "spec": { "replicas": replicas },
        });
        let parameters = PatchParams {
            field_manager: Some(SCALE_FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let written: Result<Scale, _> = api
            .patch_scale(&target.name, &parameters, &Patch::Merge(patch))
            .await;
        written
            .map(|_| ())
            .map_err(|error| failed("write", namespace, target, error))
    }

    async fn api(&self, namespace: &str, target: &ScaleTargetRef) -> Result<Api<DynamicObject>, TargetError> {
        let key = (target.api_version.clone(), target.kind.clone());
        let known = self.kinds.lock().get(&key).cloned();
        let resource = match known {
            Some(resource) => resource,
            None => {
                let resource = self.look_up(namespace, target).await?;
                let mut kinds = self.kinds.lock();
                if kinds.len() >= KINDS_MAX {
                    kinds.clear();
                }
                kinds.insert(key, resource.clone());
                resource
            }
        };
        Ok(Api::namespaced_with(self.client.clone(), namespace, &resource))
    }

    async fn look_up(&self, namespace: &str, target: &ScaleTargetRef) -> Result<ApiResource, TargetError> {
        let (group, version) = target
            .api_version
            .split_once('/')
            .unwrap_or(("", &target.api_version));
        let kind = GroupVersionKind::gvk(group, version, &target.kind);
        let unknown = || TargetError::UnknownKind {
            api_version: target.api_version.clone(),
            kind: target.kind.clone(),
        };
        match discovery::pinned_kind(&self.client, &kind).await {
            Ok((resource, _)) => Ok(resource),
            Err(kube::Error::Discovery(_)) => Err(unknown()),
            Err(kube::Error::Api(status)) if status.code == 404 => Err(unknown()),
            Err(error) => Err(failed("find", namespace, target, error)),
        }
    }
}

/// Whether the workload itself says what its scale does: then one request is enough, and there is one for each evaluation.
fn tells_its_scale(target: &ScaleTargetRef) -> bool {
    target.api_version == "apps/v1" && matches!(&*target.kind, "Deployment" | "StatefulSet")
}

/// Such a workload.
fn seen(workload: DynamicObject) -> Seen {
    let replicas = workload.data.pointer("/spec/replicas").and_then(Value::as_u64);
    let selector = workload
        .data
        .pointer("/spec/selector")
        .cloned()
        .unwrap_or_default();
    let selector = serde_json::from_value::<LabelSelector>(selector).ok();
    let selector = selector.and_then(|selector| Selector::try_from(selector).ok());
    Seen {
        // What the API server makes of a number that is left out.
        replicas: u32::try_from(replicas.unwrap_or(1)).unwrap_or(u32::MAX),
        selector: selector.map(|selector| selector.to_string()).unwrap_or_default(),
        ready: ready(&workload.data),
        rolling_out: is_rolling_out(&workload.data),
        writer: contention::last_writer(&workload.metadata),
        version: workload.metadata.resource_version.unwrap_or_default(),
    }
}

fn ready(workload: &Value) -> Option<u32> {
    let ready = workload.pointer("/status/readyReplicas").and_then(Value::as_u64);
    ready.and_then(|ready| u32::try_from(ready).ok())
}

/// Whether pods are being exchanged for others, by what Deployments and StatefulSets tell. Other workloads tell nothing of the
/// sort. An exchange that somebody has paused, or that the Deployment says does not get on, is none that will be over soon.
fn is_rolling_out(workload: &Value) -> bool {
    let is_paused = workload.pointer("/spec/paused").and_then(Value::as_bool) == Some(true);
    let conditions = workload.pointer("/status/conditions").and_then(Value::as_array);
    let is_stuck = conditions.into_iter().flatten().any(|condition| {
        condition["type"] == "Progressing" && condition["reason"] == "ProgressDeadlineExceeded"
    });
    if is_paused || is_stuck {
        return false;
    }
    let number = |path: &str| workload.pointer(path).and_then(Value::as_i64);
    let text = |path: &str| workload.pointer(path).and_then(Value::as_str);
    let is_old = match (number("/status/updatedReplicas"), number("/status/replicas")) {
        (Some(updated), Some(replicas)) => updated < replicas,
        // A Deployment leaves a zero out.
        (None, Some(replicas)) => replicas > 0 && workload.pointer("/spec/strategy").is_some(),
        (_, None) => false,
    };
    // With a partition, or pods that only somebody's hand deletes, two revisions stay.
    let partition = number("/spec/updateStrategy/rollingUpdate/partition").unwrap_or_default();
    let exchanges = partition == 0 && text("/spec/updateStrategy/type") != Some("OnDelete");
    if workload.pointer("/spec/updateStrategy").is_some() && !exchanges {
        return false;
    }
    let revisions = (text("/status/currentRevision"), text("/status/updateRevision"));
    is_old || matches!(revisions, (Some(current), Some(update)) if current != update)
}

fn failed(verb: &'static str, namespace: &str, target: &ScaleTargetRef, error: kube::Error) -> TargetError {
    let (kind, name) = (target.kind.clone(), target.name.clone());
    match error {
        kube::Error::Api(status) if status.code == 404 => {
            // Without the subresource the API server does not say what it has not found.
            let names = status
                .details
                .as_ref()
                .is_some_and(|details| details.name == name);
            match names {
                true => TargetError::NotFound {
                    kind,
                    name,
                    namespace: namespace.to_owned(),
                },
                false => TargetError::NotScalable { kind, name },
            }
        }
        kube::Error::Api(status) if status.code == 403 => TargetError::Forbidden {
            verb,
            kind,
            name,
            why: status.message,
        },
        kube::Error::Api(status) if status.code == 409 => TargetError::Changed { kind, name },
        error => TargetError::Api {
            verb,
            kind,
            name,
            error: Box::new(error),
        },
    }
}

#[cfg(test)]
mod tests;
