//! What is wrong, or not there: each a condition with its reason, nothing moved and nothing stuck.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};
use sluice_operator_api::{BrokerCluster, ConsumerGroup, Topic};
use sluice_tests::ports;

use crate::answers::{Answers, HEALTHY};
use crate::stage::{BRISK, CLUSTER, SOON, Scaling as _, Stage, scaled, until_evaluated};

/// What a group says in `autoscaling`, and what is told of it.
struct Case {
    name: &'static str,
    fields: Value,
    condition: (&'static str, &'static str),
    words: &'static str,
}

impl Case {
    /// Lag from a server that answers in this way, with further fields of `prometheus`.
    fn asked(url: &str, name: &'static str, more: Value, reason: &'static str, words: &'static str) -> Self {
        let mut prometheus = json!({"url": url, "timeoutSeconds": 1});
        for (field, value) in more.as_object().unwrap() {
            prometheus[field] = value.clone();
        }
        let fields = json!({"lag": {"messagesPerReplica": 1}, "prometheus": prometheus});
        Self {
            name,
            fields,
            condition: ("MetricsAvailable", reason),
            words,
        }
    }

    /// Another workload, or another wish.
    fn of(name: &'static str, fields: Value, reason: &'static str, words: &'static str) -> Self {
        Self {
            name,
            fields,
            condition: ("ScalingActive", reason),
            words,
        }
    }
}

/// By what the server answers.
fn answered(answers: &Answers) -> Vec<Case> {
    let none = || json!({});
    let rows = [
        ("nan", "False ResultNotANumber", "NaN"),
        ("infinite", "False ResultNotANumber", "Inf"),
        ("negative", "False ResultNotANumber", "-1"),
        ("empty", "False ResultEmpty", ""),
        ("several", "False ResultAmbiguous", ""),
        ("stale", "False SampleStale", "older than 120 s"),
        ("refused", "False QueryRefused", "unclosed left parenthesis"),
        ("slow", "False PrometheusUnreachable", "no answer within 1000 ms"),
        ("token", "False PrometheusUnreachable", "401"),
        ("tenant", "False PrometheusUnreachable", "403"),
        ("moved", "False PrometheusUnreachable", "redirects"),
        ("page", "False PrometheusUnreachable", ""),
        ("broken", "False PrometheusUnreachable", "503"),
    ];
    let row =
        |(name, reason, words)| Case::asked(&answers.url(&format!("/{name}")), name, none(), reason, words);
    rows.map(row).into()
}

/// By what is named and not there, or no use.
fn named(answers: &Answers) -> Vec<Case> {
    let url = answers.url("/well");
    let nobody = format!("http://127.0.0.1:{}", ports::free().unwrap());
    let secret = |name: &str, key: &str| json!({"bearerTokenSecretRef": {"name": name, "key": key}});
    let ca = |name: &str| json!({"caConfigMapRef": {"name": name, "key": "ca.crt"}});
    let unread = "False ReferenceNotFound";
    let mut guarded = Case::asked(&url, "guard", json!({}), "False GuardUnknown", "database");
    guarded.fields["guards"] = json!([{
        "name": "database", "type": "Prometheus", "prometheus": {"query": "load", "above": "1"},
    }]);
    guarded.fields["prometheus"]["url"] = answers.url("/empty").into();
    guarded.fields["lag"]["source"] = "Broker".into();
    let mut unnamed = Case::asked(
        &url,
        "unnamed",
        json!({}),
        "False PrometheusNotConfigured",
        "--prometheus-url",
    );
    unnamed.fields.as_object_mut().unwrap().remove("prometheus");
    vec![
        Case::asked(&nobody, "nobody", json!({}), "False PrometheusUnreachable", ""),
        Case::asked(
            &url,
            "no-secret",
            secret("absent", "token"),
            unread,
            "no Secret absent",
        ),
        Case::asked(
            &url,
            "no-key",
            secret("prometheus", "other"),
            unread,
            "under the key other",
        ),
        Case::asked(&url, "no-ca", ca("absent"), unread, "no ConfigMap absent"),
        Case::asked(
            &url,
            "bad-ca",
            ca("bad"),
            "False PrometheusNotConfigured",
            "CA bundle",
        ),
        guarded,
        unnamed,
    ]
}

/// By the workload, or by the wish.
fn wished() -> Vec<Case> {
    let target = |kind: &str, api_version: &str, name: &str| json!({"scaleTargetRef": {"kind": kind, "apiVersion": api_version, "name": name}});
    let regression = |name: &str| json!({"name": name, "type": "ThroughputRegression"});
    let twice = json!({"guards": [regression("one"), regression("two")]});
    vec![
        Case::of(
            "no-target",
            target("Deployment", "apps/v1", "absent"),
            "False TargetNotFound",
            "no Deployment absent",
        ),
        Case::of(
            "no-kind",
            target("Worker", "example.org/v1", "any"),
            "False TargetNotScalable",
            "knows no Worker",
        ),
        Case::of(
            "no-scale",
            target("ConfigMap", "v1", "bad"),
            "False TargetNotScalable",
            "no scale subresource",
        ),
        Case::of("twice", twice, "False InvalidSpec", "one is enough"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_is_a_condition_with_its_reason_and_moves_nothing() {
    let stage = Stage::new().await;
    let operator = stage.leader_with(&BRISK).await;
    let answers = Answers::serve().await;
    stage.make_orders(4).await;
    let secret = json!({"metadata": {"name": "prometheus"}, "stringData": {"token": "s3cret\n"}});
    stage.make::<Secret>(secret).await;
    let bad = json!({"metadata": {"name": "bad"}, "data": {"ca.crt": "no certificate"}});
    stage.make::<ConfigMap>(bad).await;
    let cases: Vec<_> = [answered(&answers), named(&answers), wished()]
        .into_iter()
        .flatten()
        .collect();
    for case in &cases {
        stage.make_workload::<Deployment>(case.name, 2).await;
        let mut group = scaled(case.name, case.fields.clone());
        group["deletionPolicy"] = "Delete".into();
        stage.make_group(case.name, group).await;
    }
    // Every one of them has something to do.
    stage.send(9).await;
    for case in &cases {
        let (type_, wanted) = case.condition;
        let message = stage.until_condition(case.name, type_, wanted).await;
        assert!(
            !message.is_empty() && message.contains(case.words),
            "{}: {message:?} has not {:?}",
            case.name,
            case.words
        );
    }
    until_evaluated(&operator, 40).await;
    for case in &cases {
        let (type_, _) = case.condition;
        let event = if type_ == "MetricsAvailable" {
            "MetricsMissing"
        } else {
            "NotScaled"
        };
        assert_eq!(stage.told(case.name, event).await, 1, "{}", case.name);
        let workload = stage.api::<Deployment>().get(case.name).await.unwrap();
        assert_eq!(workload.metadata.generation, Some(1), "{}", case.name);
    }
    // When: two of them are given what they lack.
    let token = json!({"spec": {"autoscaling": {"prometheus": {
        "bearerTokenSecretRef": {"name": "prometheus", "key": "token"},
    }}}});
    stage.patch::<ConsumerGroup>("token", token).await;
    let tenant = json!({"spec": {"autoscaling": {"prometheus": {"tenant": "shop"}}}});
    stage.patch::<ConsumerGroup>("tenant", tenant).await;
    for name in ["token", "tenant"] {
        stage.until_replicas::<Deployment>(name, HEALTHY).await;
    }
    for case in &cases {
        stage.delete::<ConsumerGroup>(case.name).await;
    }
    for case in &cases {
        stage.until_gone::<ConsumerGroup>(case.name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_down_holds_replicas_and_a_cluster_that_is_gone_holds_nothing_back() {
    let mut stage = Stage::without_cluster().await;
    let operator = stage.leader_with(&BRISK).await;
    stage.make_workload::<Deployment>("worker", 1).await;
    let mut group = scaled("worker", json!({}));
    group["deletionPolicy"] = "Delete".into();
    stage.make_group("billing", group.clone()).await;
    let unreachable = "False BrokerUnreachable";
    let message = stage
        .until_condition("billing", "MetricsAvailable", unreachable)
        .await;
    assert!(message.contains("there is no BrokerCluster main"), "{message}");
    stage.make_cluster().await;
    // A topic that is not there has no queues to count.
    stage
        .until_condition("billing", "MetricsAvailable", "False ResultEmpty")
        .await;
    stage.make_orders(3).await;
    stage.send(5).await;
    stage.until_replicas::<Deployment>("worker", 3).await;

    stage.broker.kill().unwrap();
    stage
        .until_condition("billing", "MetricsAvailable", unreachable)
        .await;
    stage
        .until_condition("billing", "ScalingActive", unreachable)
        .await;
    // The event comes behind the condition, and before the next evaluation.
    until_evaluated(&operator, 1).await;
    let before = stage.told("billing", "MetricsMissing").await;
    until_evaluated(&operator, 3).await;
    assert_eq!(stage.replicas::<Deployment>("worker").await, 3);
    let after = stage.told("billing", "MetricsMissing").await;
    assert!(
        before >= 2 && before == after,
        "{before} and {after}: once each time"
    );
    stage.broker.restart().unwrap();
    stage
        .until_condition("billing", "ScalingActive", "True Scaling")
        .await;
    stage.until_event("billing", "MetricsAvailable").await;

    stage.broker.kill().unwrap();
    stage.delete::<BrokerCluster>(CLUSTER).await;
    stage.delete::<ConsumerGroup>("billing").await;
    stage.until_gone::<ConsumerGroup>("billing").await;
    assert_eq!(stage.replicas::<Deployment>("worker").await, 3);
    let series = |operator: &sluice_tests::operator::Operator| {
        let of_group = |sample: &sluice_tests::metrics::Sample| {
            sample.labels.get("name").map(String::as_str) == Some("billing")
        };
        operator
            .metrics()
            .unwrap()
            .iter()
            .filter(|sample| of_group(sample))
            .count()
    };
    sluice_tests::wait::until_true_async("its metrics go", SOON, || series(&operator) == 0)
        .await
        .unwrap();
    stage.delete::<Topic>("orders").await;
    stage.until_gone::<Topic>("orders").await;
}
