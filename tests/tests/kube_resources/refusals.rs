//! What cannot be made, and what is said about it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::stage::{Kind, api, client, manifest, messages_of_rules, refusal, trial};

/// Name, fields of the spec, and what the refusal says.
type Row = (&'static str, Value, &'static str);

async fn all_are_refused(kind: Kind, rows: Vec<Row>) {
    let resources = api(&client().await, kind);
    let mut unproven: BTreeSet<_> = messages_of_rules(kind, false);
    for (name, fields, says) in rows {
        let what = format!("{name}: {fields}");
        let message = refusal(
            resources.create(&trial(), &manifest(kind, name, &fields)).await,
            &what,
        );
        assert!(
            message.contains(says),
            "{what}\nis not refused with {says:?} but: {message}"
        );
        unproven.retain(|rule| !message.contains(rule));
    }
    assert!(
        unproven.is_empty(),
        "no row is refused by these rules: {unproven:#?}"
    );
}

#[tokio::test]
async fn a_cluster_that_cannot_be_is_refused() {
    let mut rows = of_cluster();
    rows.extend(of_listeners());
    all_are_refused(Kind::BrokerCluster, rows).await;
}

fn of_cluster() -> Vec<Row> {
    vec![
        (
            "9-lives",
            json!({}),
            "a cluster's name is the beginning of its Services' names",
        ),
        (
            "main",
            json!({"shards": 2}),
            "shards can only be 1: this release has no clusters of several shards",
        ),
        (
            "main",
            json!({"replicas": 3}),
            "replicas can only be 1: this release has no replication yet",
        ),
        (
            "main",
            json!({"storage": {}}),
            "spec.storage.size: Required value",
        ),
        (
            "main",
            json!({"storage": {"size": "much"}}),
            "storage.size is a number, perhaps with a fraction",
        ),
        (
            "main",
            json!({"storage": {"size": "1Ki"}}),
            "storage.size is at least 64Mi",
        ),
        ("main", json!({"version": ""}), "spec.version"),
        (
            "main",
            json!({"admin": {"tokenSecretRef": {"name": "a", "key": "b"}, "tokenRotationPeriodSeconds": 86400}}),
            "a token from tokenSecretRef is not rotated by the operator",
        ),
    ]
}

fn of_listeners() -> Vec<Row> {
    let listener = |name: &str, exposure: Value| json!({"name": name, "exposure": exposure});
    let listeners = |exposure: Value| json!({"listeners": [listener("grpc", exposure)]});
    vec![
        (
            "main",
            json!({"listeners": [
                listener("one", json!({"advertisedHost": "mq.example.com"})),
                listener("two", json!({"advertisedHost": "mq.example.org"})),
            ]}),
            "routes have one address for all clients",
        ),
        (
            "main",
            json!({"listeners": [listener("admin", json!({}))]}),
            "a listener cannot have this name",
        ),
        (
            "main",
            json!({"listeners": [listener("one", json!({})), listener("one", json!({}))]}),
            "Duplicate value",
        ),
        (
            "main",
            listeners(json!({"nodePort": 30000})),
            "nodePort belongs to the types NodePort and LoadBalancer",
        ),
        (
            "main",
            listeners(json!({"type": "NodePort", "loadBalancerClass": "x"})),
            "loadBalancerClass belongs to the type LoadBalancer",
        ),
        (
            "main",
            listeners(json!({"loadBalancerSourceRanges": ["10.0.0.0/8"]})),
            "loadBalancerSourceRanges belongs to the type LoadBalancer",
        ),
        (
            "main",
            listeners(json!({"externalTrafficPolicy": "Local"})),
            "externalTrafficPolicy belongs to the types NodePort and LoadBalancer",
        ),
        (
            "main",
            listeners(json!({"advertisedPort": 8081})),
            "advertisedPort needs advertisedHost",
        ),
        (
            "main",
            json!({"podTemplate": {"env": [{"name": "SLUICE_FLUSH", "value": "async"}]}}),
            "variables that begin with SLUICE_ are the broker's configuration: use spec.config",
        ),
    ]
}

#[tokio::test]
async fn a_topic_that_cannot_be_is_refused() {
    let rows = vec![
        (
            "orders.v2",
            json!({}),
            "the resource's name cannot be a topic's: give spec.topicName",
        ),
        (
            "orders",
            json!({"clusterRef": {"name": ""}}),
            "spec.clusterRef.name",
        ),
        ("orders", json!({"queues": 0}), "spec.queues"),
        ("orders", json!({"queues": 4097}), "spec.queues"),
        ("orders", json!({"retentionHours": -1}), "spec.retentionHours"),
        (
            "orders",
            json!({"retentionHours": 876_001}),
            "spec.retentionHours",
        ),
        ("orders", json!({"retentionBytes": 1}), "spec.retentionBytes"),
        (
            "orders",
            json!({"retentionBytes": "10GiB"}),
            "retentionBytes is a number, perhaps with a fraction, and one of",
        ),
        (
            "orders",
            json!({"retentionBytes": "1000Ki"}),
            "retentionBytes is 1Mi to 1Pi, or 0 for any number",
        ),
        (
            "orders",
            json!({"retentionBytes": "2Pi"}),
            "retentionBytes is 1Mi to 1Pi, or 0 for any number",
        ),
        (
            "orders",
            json!({"messageType": "Delay"}),
            "Unsupported value: \"Delay\"",
        ),
        (
            "orders",
            json!({"producers": "Shut"}),
            "Unsupported value: \"Shut\"",
        ),
        ("orders", json!({"topicName": "with space"}), "spec.topicName"),
        (
            "orders",
            json!({"topicName": "%DLQ%readers"}),
            "topicName is one of the system's",
        ),
        (
            "orders",
            json!({"topicName": "%RETRY%readers"}),
            "topicName is one of the system's",
        ),
        (
            "orders",
            json!({"topicName": "RMQ_SYS_trace"}),
            "topicName is one of the system's",
        ),
    ];
    all_are_refused(Kind::Topic, rows).await;
}

#[tokio::test]
async fn a_consumer_group_that_cannot_be_is_refused() {
    let mut rows = of_delivery();
    rows.extend(of_autoscaling());
    rows.extend(of_guards());
    all_are_refused(Kind::ConsumerGroup, rows).await;
}

fn of_delivery() -> Vec<Row> {
    let backoff = |backoff: Value| json!({"retry": {"backoff": backoff}});
    vec![
        (
            "read.ers",
            json!({}),
            "the resource's name cannot be a consumer group's: give spec.groupName",
        ),
        ("readers", json!({"groupName": "with space"}), "spec.groupName"),
        (
            "readers",
            json!({"deliveryOrder": "Random"}),
            "Unsupported value: \"Random\"",
        ),
        (
            "readers",
            json!({"retry": {"maxAttempts": 0}}),
            "spec.retry.maxAttempts",
        ),
        (
            "readers",
            json!({"startFrom": {"position": "Time"}}),
            "time belongs to the position Time",
        ),
        (
            "readers",
            json!({"startFrom": {"position": "Latest", "time": "2026-01-01T00:00:00Z"}}),
            "time belongs to the position Time",
        ),
        (
            "readers",
            backoff(json!({"type": "Customized"})),
            "stepsSeconds belongs to a back-off of type Customized",
        ),
        (
            "readers",
            backoff(json!({"type": "Exponential", "initialSeconds": 1})),
            "initialSeconds and maxSeconds belong to a back-off of type Exponential",
        ),
        (
            "readers",
            backoff(json!({"type": "Customized", "stepsSeconds": [1], "multiplierPercent": 200})),
            "multiplierPercent belongs to a back-off of type Exponential",
        ),
        (
            "readers",
            backoff(json!({"type": "Exponential", "initialSeconds": 9, "maxSeconds": 1})),
            "initialSeconds is more than maxSeconds",
        ),
    ]
}

/// An autoscaling with these fields besides.
fn autoscaling(fields: Value) -> Value {
    let mut autoscaling = json!({"scaleTargetRef": {"name": "workers"}, "maxReplicas": 8});
    for (field, value) in fields.as_object().unwrap() {
        autoscaling[field] = value.clone();
    }
    json!({"autoscaling": autoscaling})
}

fn of_autoscaling() -> Vec<Row> {
    let prometheus = |fields: Value| autoscaling(json!({"prometheus": fields}));
    let secret = json!({"name": "a", "key": "b"});
    vec![
        (
            "readers",
            json!({"autoscaling": {"maxReplicas": 8}}),
            "scaleTargetRef: Required value",
        ),
        (
            "readers",
            autoscaling(json!({"minReplicas": 9})),
            "minReplicas is more than maxReplicas",
        ),
        (
            "readers",
            autoscaling(json!({"mode": "Aggressive"})),
            "Unsupported value: \"Aggressive\"",
        ),
        (
            "readers",
            autoscaling(json!({"onMetricsMissing": {"action": "Fallback", "fallbackReplicas": 9}})),
            "onMetricsMissing.fallbackReplicas is more than maxReplicas",
        ),
        (
            "readers",
            autoscaling(json!({"onMetricsMissing": {"action": "Fallback"}})),
            "fallbackReplicas belongs to the action Fallback, and is needed there",
        ),
        (
            "readers",
            autoscaling(json!({"lag": {"source": "Broker", "query": "sum(up)"}})),
            "query belongs to the source Prometheus",
        ),
        (
            "readers",
            autoscaling(json!({"lag": {"excludeStuckQueuesAfterSeconds": 300}})),
            "excludeStuckQueuesAfterSeconds belongs to the source Broker",
        ),
        (
            "readers",
            autoscaling(json!({"cap": {"policy": "None", "evenDistribution": "Preferred"}})),
            "evenDistribution belongs to the policy QueueCount",
        ),
        (
            "readers",
            prometheus(json!({})),
            "give url or serviceRef, and not both",
        ),
        (
            "readers",
            prometheus(json!({"url": "http://prometheus:9090", "serviceRef": {"name": "prometheus"}})),
            "give url or serviceRef, and not both",
        ),
        (
            "readers",
            prometheus(json!({"url": "prometheus"})),
            "autoscaling.prometheus.url",
        ),
        (
            "readers",
            prometheus(json!({
                "url": "http://prometheus:9090",
                "bearerTokenSecretRef": secret,
                "basicAuth": {"usernameSecretRef": secret, "passwordSecretRef": secret},
            })),
            "give bearerTokenSecretRef or basicAuth, and not both",
        ),
    ]
}

fn of_guards() -> Vec<Row> {
    let guard = |fields: Value| {
        let mut guard = json!({"name": "downstream"});
        for (field, value) in fields.as_object().unwrap() {
            guard[field] = value.clone();
        }
        autoscaling(json!({"guards": [guard]}))
    };
    vec![
        (
            "readers",
            guard(json!({"type": "Moon"})),
            "Unsupported value: \"Moon\"",
        ),
        (
            "readers",
            guard(json!({"type": "ThroughputRegression", "forSeconds": 60})),
            "forSeconds does not belong to a guard of type ThroughputRegression",
        ),
        (
            "readers",
            guard(json!({"type": "Prometheus"})),
            "prometheus belongs to a guard of type Prometheus",
        ),
        (
            "readers",
            guard(json!({"type": "Prometheus", "prometheus": {"query": "up"}})),
            "give above, below, or both",
        ),
        (
            "readers",
            guard(json!({"type": "Prometheus", "prometheus": {"query": "up", "above": "much"}})),
            "prometheus.above",
        ),
        (
            "readers",
            guard(json!({"type": "PendingPods", "throughputRegression": {}})),
            "throughputRegression belongs to a guard of type ThroughputRegression",
        ),
        (
            "readers",
            guard(json!({"type": "DeadLetterRate"})),
            "deadLetterRate belongs to a guard of type DeadLetterRate, and is needed there",
        ),
        (
            "readers",
            guard(json!({"type": "ThroughputRegression", "pendingPods": {}})),
            "pendingPods belongs to a guard of type PendingPods",
        ),
        (
            "readers",
            guard(json!({"type": "PendingPods", "action": "RevertLastStep"})),
            "the action RevertLastStep belongs to a guard of type ThroughputRegression",
        ),
    ]
}
