//! Volumes that grow under a broker that runs, also when the operator is killed while there is no StatefulSet.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use sluice_operator_api::BrokerCluster;

use crate::living::{self, NAME};
use crate::operator_kills::kill_leader;
use crate::stage::{SOON, Stage, condition};

/// Keeps a StatefulSet that is deleted until the test has looked.
const HOLD: &str = "tests.sluice.dev/hold";

fn asked(claim: &PersistentVolumeClaim) -> Option<&str> {
    let resources = claim.spec.as_ref()?.resources.as_ref()?;
    Some(&*resources.requests.as_ref()?.get("storage")?.0)
}

async fn grow(stage: &Stage, size: &str) {
    let patch = json!({"spec": {"storage": {"size": size}}});
    stage.patch::<BrokerCluster>(NAME, patch).await;
}

async fn hold(stage: &Stage, finalizers: Value) {
    let patch = json!({"metadata": {"finalizers": finalizers}});
    stage.patch::<StatefulSet>(NAME, patch).await;
}

/// Until there is another StatefulSet than the one with this uid: one whose template asks for this size, and which has the pod.
async fn until_renewed(stage: &Stage, old: &str, size: &str) {
    let is_renewed = |set: &StatefulSet| {
        let templates = set
            .spec
            .as_ref()
            .and_then(|spec| spec.volume_claim_templates.as_ref());
        let claim = templates.and_then(|templates| templates.first());
        set.uid().as_deref() != Some(old) && claim.and_then(asked) == Some(size)
    };
    let set = stage
        .until("the StatefulSet is made anew", NAME, SOON, is_renewed)
        .await;
    let has_pod = |pod: &Pod| {
        pod.owner_references()
            .iter()
            .any(|owner| Some(&owner.uid) == set.uid().as_ref())
    };
    stage
        .until("the pod is the new one's", &living::pod(), SOON, has_pod)
        .await;
    let cluster = stage.cluster_ready(NAME).await;
    let conditions = cluster.status.unwrap().conditions;
    assert_eq!(condition(&conditions, "StorageResizing"), "False SizeReached");
}

/// Whether the class of a claim lets its volumes grow. That of a node of our own does; somebody's may not.
async fn may_grow(stage: &Stage, claim: &str) -> bool {
    let claim = stage.api::<PersistentVolumeClaim>().get(claim).await.unwrap();
    let class = claim.spec.and_then(|spec| spec.storage_class_name).unwrap();
    let classes = Api::<StorageClass>::all(stage.client.clone());
    let class = classes.get(&class).await.unwrap();
    class.allow_volume_expansion == Some(true)
}

/// Where volumes do not grow, that is said, and nothing is moved.
async fn is_refused(stage: &Stage) {
    grow(stage, "2Gi").await;
    let is_told = |cluster: &BrokerCluster| {
        let status = cluster.status.clone().unwrap_or_default();
        condition(&status.conditions, "StorageResizing") == "False ResizeNotAllowed"
    };
    stage
        .until("it is said that volumes do not grow", NAME, SOON, is_told)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_grow_under_the_same_pod_although_the_operator_is_killed_between_two_stateful_sets() {
    let stage = living::set().await;
    let claim = format!("data-{}", living::pod());
    let (life, of_claim) = (
        living::life(&stage).await,
        living::uid::<PersistentVolumeClaim>(&stage, &claim).await,
    );
    let unchanged = async || {
        assert_eq!(living::life(&stage).await, life, "the pod goes on");
        let claim = living::uid::<PersistentVolumeClaim>(&stage, &claim).await;
        assert_eq!(claim, of_claim, "with its volume");
    };

    if !may_grow(&stage, &claim).await {
        is_refused(&stage).await;
        return unchanged().await;
    }
    let first = living::uid::<StatefulSet>(&stage, NAME).await;
    grow(&stage, "2Gi").await;
    let has_grown = |claim: &PersistentVolumeClaim| asked(claim) == Some("2Gi");
    stage.until("the claim grows", &claim, SOON, has_grown).await;
    until_renewed(&stage, &first, "2Gi").await;
    unchanged().await;

    let second = living::uid::<StatefulSet>(&stage, NAME).await;
    hold(&stage, json!([HOLD])).await;
    grow(&stage, "3Gi").await;
    let is_going =
        |set: &StatefulSet| set.metadata.deletion_timestamp.is_some() && set.finalizers() == [HOLD];
    stage
        .until("the StatefulSet goes, without its pod", NAME, SOON, is_going)
        .await;
    kill_leader(&stage).await;
    hold(&stage, Value::Null).await;
    let orphan = stage.api::<Pod>().get(&living::pod()).await.unwrap();
    assert!(orphan.owner_references().is_empty(), "nobody's: {orphan:?}");
    unchanged().await;
    until_renewed(&stage, &second, "3Gi").await;
    unchanged().await;
}
