//! The volumes: they grow when the resource says so, and belong to it if they are to go with it.
//!
//! A StatefulSet's template of volumes cannot be changed. When it asks for less than the resource does, the claims are expanded
//! first, and then the StatefulSet is deleted without its pods and made anew: the new one takes over pods and claims.

use crate::quantity;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use sluice_operator_api::BrokerCluster;
use sluice_operator_api::broker_cluster::{StorageStatus, VolumePolicy};

/// The resource of a claim that is asked for.
const STORAGE: &str = "storage";

/// What is to be done with volumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeStep {
    /// The claim is to ask for this.
    Expand {
        /// The claim.
        claim: String,
        /// What it asks for now.
        from: String,
        /// What it is to ask for.
        to: String,
    },
    /// Whether the claim is to go with the resource.
    Bind {
        /// The claim.
        claim: String,
        /// Which one of that name.
        uid: String,
        /// Whether it is.
        bound: bool,
    },
}

/// What the volumes come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volumes {
    /// What is to be done.
    pub steps: Vec<VolumeStep>,
    /// Whether the StatefulSet is to be made anew: its template alone is behind.
    pub renew: bool,
    /// What its template is to ask for until then.
    pub template_size: String,
    /// Claims that are not yet as large as they ask to be, and how far they are.
    pub growing: Vec<String>,
    /// Claims that have no volume, and what to look at.
    pub unbound: Vec<String>,
    /// What is told of them.
    pub status: Option<StorageStatus>,
}

/// Compares the claims and the StatefulSet's template with the resource.
pub fn volumes(cluster: &BrokerCluster, claims: &[PersistentVolumeClaim], template: Option<&str>) -> Volumes {
    let wanted = cluster.spec.storage.size.as_str();
    let claims: Vec<_> = claims
        .iter()
        .filter(|claim| claim.metadata.deletion_timestamp.is_none())
        .collect();
    let expansions = claims.iter().filter_map(|claim| expansion(claim, wanted));
    let mut steps: Vec<_> = expansions.collect();
    let behind = template.is_some_and(|template| !quantity::same(template, wanted));
    let renew = behind && steps.is_empty();
    let template_size = match template {
        Some(template) if behind && !renew => template.to_owned(),
        _ => wanted.to_owned(),
    };
    steps.extend(claims.iter().filter_map(|claim| binding(cluster, claim)));
    Volumes {
        steps,
        renew,
        template_size,
        growing: claims.iter().filter_map(|claim| growing(claim)).collect(),
        unbound: claims.iter().filter_map(|claim| unbound(claim)).collect(),
        status: status(&claims),
    }
}

fn expansion(claim: &PersistentVolumeClaim, wanted: &str) -> Option<VolumeStep> {
    let from = requested(claim)?;
    quantity::less(from, wanted).then(|| VolumeStep::Expand {
        claim: name(claim),
        from: from.to_owned(),
        to: wanted.to_owned(),
    })
}

/// By the owner the volumes go with the resource, and not with the StatefulSet.
fn binding(cluster: &BrokerCluster, claim: &PersistentVolumeClaim) -> Option<VolumeStep> {
    let bound = cluster.spec.deletion_policy.volumes == VolumePolicy::Delete;
    let owners = claim.metadata.owner_references.iter().flatten();
    let is_bound = owners
        .into_iter()
        .any(|owner| Some(&owner.uid) == cluster.metadata.uid.as_ref());
    (bound != is_bound).then(|| VolumeStep::Bind {
        claim: name(claim),
        uid: claim.metadata.uid.clone().unwrap_or_default(),
        bound,
    })
}

fn growing(claim: &PersistentVolumeClaim) -> Option<String> {
    let (requested, capacity) = (requested(claim)?, capacity(claim)?);
    if !quantity::less(capacity, requested) {
        return None;
    }
    let conditions = claim
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let last = conditions.last().map(|condition| {
        let message = condition.message.as_deref().unwrap_or_default();
        format!(
            " ({}{}{message})",
            condition.type_,
            if message.is_empty() { "" } else { ": " }
        )
    });
    Some(format!(
        "{} grows from {capacity} to {requested}{}",
        name(claim),
        last.unwrap_or_default()
    ))
}

/// Kubernetes tells why in events, which the operator may not read.
fn unbound(claim: &PersistentVolumeClaim) -> Option<String> {
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    let phase = phase.unwrap_or("Pending");
    if phase == "Bound" {
        return None;
    }
    let name = name(claim);
    let class = claim
        .spec
        .as_ref()
        .and_then(|spec| spec.storage_class_name.as_deref());
    let class = match class {
        None | Some("") => "it names no storage class, and no default class has been given to it".to_owned(),
        Some(class) => format!("its storage class is '{class}'"),
    };
    Some(format!(
        "the volume claim {name} is not bound: it is {phase}, and {class}; see why with kubectl describe persistentvolumeclaim {name}"
    ))
}

fn status(claims: &[&PersistentVolumeClaim]) -> Option<StorageStatus> {
    let smallest = |of: fn(&PersistentVolumeClaim) -> Option<&str>| {
        let sizes = claims.iter().filter_map(|claim| of(claim));
        sizes.min_by_key(|size| quantity::bytes(size)).map(str::to_owned)
    };
    (!claims.is_empty()).then(|| StorageStatus {
        requested: smallest(requested),
        capacity: smallest(capacity),
    })
}

fn requested(claim: &PersistentVolumeClaim) -> Option<&str> {
    let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    requests.get(STORAGE).map(|quantity| quantity.0.as_str())
}

fn capacity(claim: &PersistentVolumeClaim) -> Option<&str> {
    let capacity = claim.status.as_ref()?.capacity.as_ref()?;
    capacity.get(STORAGE).map(|quantity| quantity.0.as_str())
}

fn name(claim: &PersistentVolumeClaim) -> String {
    claim.metadata.name.clone().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker_cluster::testing::cluster;
    use serde_json::json;

    fn claim(requested: &str, capacity: Option<&str>) -> PersistentVolumeClaim {
        let mut claim = json!({
            "metadata": {"name": "data-main-0", "uid": "uid-of-claim"},
            "spec": {"resources": {"requests": {"storage": requested}}},
            "status": {"phase": "Bound"},
        });
        if let Some(capacity) = capacity {
            claim["status"]["capacity"] = json!({"storage": capacity});
        }
        serde_json::from_value(claim).unwrap()
    }

    fn sized(size: &str) -> BrokerCluster {
        cluster(&format!(r#"{{"storage": {{"size": "{size}"}}}}"#))
    }

    #[test]
    fn claims_are_expanded_first_and_the_template_follows_by_a_new_stateful_set() {
        // wanted, the claim's request and capacity, the template; expanded, made anew, what the template asks for, growing
        for (wanted, request, capacity, template, expanded, renew, asks, growing) in [
            ("10Gi", "10Gi", Some("10Gi"), "10Gi", false, false, "10Gi", false),
            (
                "10Gi",
                "10240Mi",
                Some("10Gi"),
                "10Gi",
                false,
                false,
                "10Gi",
                false,
            ),
            ("20Gi", "10Gi", Some("10Gi"), "10Gi", true, false, "10Gi", false),
            ("20Gi", "20Gi", Some("10Gi"), "10Gi", false, true, "20Gi", true),
            ("20Gi", "20Gi", Some("20Gi"), "20Gi", false, false, "20Gi", false),
            // Not bound yet: it has no capacity to grow from.
            ("20Gi", "20Gi", None, "20Gi", false, false, "20Gi", false),
            // Kept from a cluster that was larger.
            ("20Gi", "30Gi", Some("30Gi"), "20Gi", false, false, "20Gi", false),
        ] {
            let found = volumes(&sized(wanted), &[claim(request, capacity)], Some(template));
            let case = format!("{wanted} {request} {template}");
            let expands = found
                .steps
                .iter()
                .any(|step| matches!(step, VolumeStep::Expand { to, .. } if to == wanted));
            assert_eq!((expands, found.renew), (expanded, renew), "{case}");
            assert_eq!(found.template_size, asks, "{case}");
            assert_eq!(!found.growing.is_empty(), growing, "{case}");
        }
    }

    #[test]
    fn without_claims_only_the_template_is_renewed() {
        let found = volumes(&sized("20Gi"), &[], Some("10Gi"));
        assert!(found.renew && found.steps.is_empty() && found.status.is_none());
        let found = volumes(&sized("20Gi"), &[], None);
        assert!(!found.renew && found.template_size == "20Gi");
    }

    #[test]
    fn volumes_belong_to_the_resource_exactly_if_they_are_to_go_with_it() {
        let mut owned = claim("10Gi", None);
        owned.metadata.owner_references = Some(vec![super::super::metadata::owner(&cluster("{}"), false)]);
        let free = claim("10Gi", None);
        for (policy, claim, step) in [
            ("Retain", &free, None),
            ("Delete", &free, Some(true)),
            ("Delete", &owned, None),
            ("Retain", &owned, Some(false)),
        ] {
            let cluster = cluster(&format!(r#"{{"deletionPolicy": {{"volumes": "{policy}"}}}}"#));
            let steps = volumes(&cluster, std::slice::from_ref(claim), None).steps;
            let bound = steps.first().map(|step| match step {
                VolumeStep::Bind { bound, .. } => *bound,
                VolumeStep::Expand { .. } => panic!("{step:?}"),
            });
            assert_eq!(bound, step, "{policy}");
        }
    }

    #[test]
    fn a_claim_without_a_volume_is_named_with_its_class() {
        for (phase, class, says) in [
            (Some("Bound"), Some("fast"), &[][..]),
            (
                Some("Pending"),
                Some("fast"),
                &[
                    "data-main-0 is not bound",
                    "Pending",
                    "'fast'",
                    "kubectl describe",
                ],
            ),
            (Some("Lost"), Some("fast"), &["Lost"]),
            (None, None, &["Pending", "names no storage class"]),
        ] {
            let mut claim = claim("10Gi", None);
            claim.status.as_mut().unwrap().phase = phase.map(str::to_owned);
            claim.spec.as_mut().unwrap().storage_class_name = class.map(str::to_owned);
            let found = volumes(&sized("10Gi"), &[claim], Some("10Gi")).unbound.join("; ");
            assert_eq!(found.is_empty(), says.is_empty(), "{phase:?}: {found}");
            assert!(says.iter().all(|part| found.contains(part)), "{phase:?}: {found}");
        }
    }

    #[test]
    fn the_status_is_that_of_the_smallest_volume() {
        let claims = [claim("20Gi", Some("9000Mi")), claim("10Gi", Some("10Gi"))];
        let status = volumes(&sized("20Gi"), &claims, None).status.unwrap();
        assert_eq!(status.requested.as_deref(), Some("10Gi"));
        assert_eq!(status.capacity.as_deref(), Some("9000Mi"));
    }
}
