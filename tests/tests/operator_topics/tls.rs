//! The operator speaks TLS with brokers that are given a certificate, and with nobody else.

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use sluice_operator_api::{BrokerCluster, Topic};
use sluice_tests::admin::Authority;

use crate::stage::{CLUSTER, Stage, condition, is_ready};

fn secret(certificate: &str) -> Value {
    json!({
        "metadata": {"name": "certificate"},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": certificate, "tls.key": "the broker has it"},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_is_known_by_its_certificate_whatever_its_names_and_another_is_not_spoken_to() {
    let stage = Stage::new().await;
    let wanted = json!({"spec": {"tls": {"secretRef": {"name": "certificate"}}}});
    stage.patch::<BrokerCluster>(CLUSTER, wanted).await;
    let _operator = stage.leader().await;
    stage.make_topic("orders", json!({"queues": 1})).await;
    stage
        .until::<Topic>("no certificate, no call", "orders", |topic| {
            condition(topic, "Ready") == "False ClusterNotReady"
        })
        .await;

    // What the broker has made itself, for names that say nothing of Kubernetes.
    let own = std::fs::read_to_string(stage.broker.data_dir().join("tls.crt")).unwrap();
    stage.make::<Secret>(secret(&own)).await;
    stage.until::<Topic>("ready over TLS", "orders", is_ready).await;

    let stranger = Authority::new("somebody else").unwrap();
    let another = json!({"spec": {"tls": {"secretRef": {"name": "other"}}}});
    stage.patch::<BrokerCluster>(CLUSTER, another).await;
    let mut other = secret(&stranger.certificate);
    other["metadata"]["name"] = json!("other");
    stage.make::<Secret>(other).await;
    let refused = stage
        .until::<Topic>("a stranger", "orders", |topic| {
            condition(topic, "Ready") == "False BrokerUnreachable"
        })
        .await;
    let conditions = refused.status.unwrap().conditions;
    let ready = conditions
        .iter()
        .find(|condition| condition.type_ == "Ready")
        .unwrap();
    assert!(
        ready.message.contains("another certificate than the Secret"),
        "{}",
        ready.message
    );
}
