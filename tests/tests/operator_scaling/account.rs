//! The operator under the account that the chart gives it: everything that it does is allowed, and where something is not, the
//! resource says so.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret};
use serde_json::json;
use sluice_operator_api::{BrokerCluster, ConsumerGroup, Topic};
use sluice_tests::account::Account;
use sluice_tests::kube::kubectl::Kubectl;
use sluice_tests::kube::{ApiServer, of_prometheus_operator};
use sluice_tests::metrics;
use sluice_tests::operator::Operator;
use sluice_tests::stage::define;
use sluice_tests::wait;

use crate::answers::{Answers, HEALTHY};
use crate::stage::{BRISK, SOON, Scaling as _, Stage, condition_of_group, is_ready, scaled};

const NAMESPACE: &str = "sluice-system";

/// A server of its own: what is refused is counted for the server as a whole.
async fn server() -> ApiServer {
    let server = ApiServer::start().await.unwrap();
    let kubectl = Kubectl::of(server.kubeconfig());
    for file in of_prometheus_operator().unwrap() {
        kubectl
            .run(&["apply", "--server-side", "--filename", file.to_str().unwrap()])
            .unwrap();
    }
    define(&server);
    kubectl.run(&["create", "namespace", NAMESPACE]).unwrap();
    server
}

async fn lead(stage: &Stage, account: &Account) -> Operator {
    let address = stage.admin_address();
    // Every test gives these itself.
    let given = [
        "--listen",
        "--log-format",
        "--resync-seconds",
        "--evaluate-seconds",
    ];
    let flags = account.flags.iter().map(String::as_str);
    let flags = flags.filter(|flag| !given.contains(&flag.split('=').next().unwrap()));
    let flags: Vec<_> = flags
        .chain(BRISK)
        .chain(["--admin-addresses", &address])
        .collect();
    let operator = Operator::start(&account.kubeconfig, &flags).unwrap();
    wait::until_true_async("it leads", SOON, || operator.leads())
        .await
        .unwrap();
    operator
}

/// How many requests no role has allowed.
async fn refused(stage: &Stage) -> f64 {
    let request = http::Request::get("/metrics").body(Vec::new()).unwrap();
    let page = stage.client.request_text(request).await.unwrap();
    let samples = metrics::parse(&page).unwrap();
    let attempts = samples
        .iter()
        .filter(|sample| sample.name == "authorization_attempts_total");
    let (allowed, others): (Vec<_>, Vec<_>) =
        attempts.partition(|sample| sample.labels["result"] == "allowed");
    assert!(!allowed.is_empty(), "the server counts them");
    others.iter().map(|sample| sample.value).sum()
}

/// Topics and groups, with a Prometheus that asks for a Secret and a ConfigMap, and two kinds of workloads up and down.
async fn use_topics_and_groups(stage: &Stage) {
    let prometheus = Answers::serve().await;
    stage.make_orders(3).await;
    stage
        .make_topic("gone", json!({"queues": 1, "deletionPolicy": "Delete"}))
        .await;
    stage.until::<Topic>("ready", "gone", is_ready).await;
    stage.delete::<Topic>("gone").await;
    stage.until_gone::<Topic>("gone").await;

    stage.make_workload::<Deployment>("billing", 1).await;
    stage.make_workload::<StatefulSet>("mails", 1).await;
    let pod = json!({
        "metadata": {"name": "billing-1", "labels": {"app": "billing"}},
        "spec": {"containers": [{"name": "consumer", "image": "consumer"}]},
    });
    stage.make::<Pod>(pod).await;
    let secret = json!({"metadata": {"name": "prometheus"}, "stringData": {"token": "s3cret"}});
    stage.make::<Secret>(secret).await;
    let mut billing = scaled("billing", json!({}));
    billing["autoscaling"]["behavior"]["scaleDown"]["preferIdlePods"] = "Enabled".into();
    stage.make_group("billing", billing).await;
    let mails = json!({
        "scaleTargetRef": {"kind": "StatefulSet", "name": "mails"},
        "lag": {"messagesPerReplica": 1},
        "prometheus": {
            "url": prometheus.url("/token"),
            "bearerTokenSecretRef": {"name": "prometheus", "key": "token"},
        },
    });
    stage.make_group("mails", scaled("", mails)).await;
    let untrusted = json!({"metadata": {"name": "bad"}, "data": {"ca.crt": "no certificate"}});
    stage.make::<ConfigMap>(untrusted).await;
    let archive = json!({
        "lag": {},
        "prometheus": {"url": prometheus.url("/well"), "caConfigMapRef": {"name": "bad", "key": "ca.crt"}},
    });
    stage.make_workload::<Deployment>("archive", 1).await;
    stage.make_group("archive", scaled("archive", archive)).await;
    stage.send(9).await;
    stage.until_replicas::<Deployment>("billing", 3).await;
    stage.until_replicas::<StatefulSet>("mails", HEALTHY).await;
    stage
        .until_condition("archive", "MetricsAvailable", "False PrometheusNotConfigured")
        .await;
    stage.consume_all("billing").await;
    stage.until_replicas::<Deployment>("billing", 1).await;
    stage.until_event("billing", "ScaledDown").await;
    stage
        .patch::<ConsumerGroup>("billing", json!({"spec": {"deletionPolicy": "Delete"}}))
        .await;
    stage.delete::<ConsumerGroup>("billing").await;
    stage.until_gone::<ConsumerGroup>("billing").await;
}

/// A cluster of whose objects the account may look at none.
async fn blind(stage: &Stage, kubectl: &Kubectl, everywhere: bool) {
    let of_cluster = format!("{NAMESPACE}:sluice:brokers");
    let binding = match everywhere {
        true => vec!["clusterrolebinding", &of_cluster],
        false => vec!["rolebinding", "sluice-brokers", "--namespace", &stage.namespace],
    };
    kubectl.run(&[&["delete"], &binding[..]].concat()).unwrap();
    let cluster = json!({
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "BrokerCluster",
        "metadata": {"name": "unseen"},
        "spec": {"version": "0.1.0", "storage": {"size": "1Gi"}},
    });
    stage.make::<BrokerCluster>(cluster).await;
    let seen = stage.until::<BrokerCluster>("it says why nothing happens", "unseen", |cluster| {
        let conditions = cluster.status.iter().flat_map(|status| &status.conditions);
        let mut failed = conditions.filter(|condition| condition.reason == "Failed");
        failed.any(|ready| ready.type_ == "Ready" && ready.message.contains("orbidden"))
    });
    seen.await;
    stage.until_event("unseen", "Failed").await;
}

/// Whether the cluster's objects are as the resource says, as far as that can be without pods.
fn is_synced(cluster: &BrokerCluster) -> bool {
    let status = cluster.status.as_ref();
    let observed = status.and_then(|status| status.observed_generation);
    observed == cluster.metadata.generation
}

/// A cluster with everything that one has, which is changed, loses what it has, and goes.
async fn use_cluster(stage: &Stage) {
    let cluster = json!({
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "BrokerCluster",
        "metadata": {"name": "own"},
        "spec": {
            "version": "0.1.0",
            "storage": {"size": "1Gi"},
            "deletionPolicy": {"volumes": "Delete"},
        },
    });
    stage.make::<BrokerCluster>(cluster).await;
    stage
        .until::<BrokerCluster>("its objects are there", "own", is_synced)
        .await;
    stage.api::<StatefulSet>().get("own").await.unwrap();
    let claim = json!({
        "metadata": {
            "name": "data-own-0",
            "labels": {
                "app.kubernetes.io/name": "sluice",
                "app.kubernetes.io/instance": "own",
                "app.kubernetes.io/component": "broker",
            },
        },
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    stage.make::<PersistentVolumeClaim>(claim).await;
    stage
        .until::<PersistentVolumeClaim>("it goes with its cluster", "data-own-0", |claim| {
            claim.metadata.owner_references.is_some()
        })
        .await;
    let changed = json!({"spec": {
        "config": {"autoCreateTopics": false},
        "terminationGracePeriodSeconds": 90,
        "podDisruptionBudget": {"mode": "Disabled"},
        "networkPolicy": {"mode": "Enabled"},
        "monitoring": {"podMonitor": {"mode": "Disabled"}},
    }});
    stage.patch::<BrokerCluster>("own", changed).await;
    stage
        .until::<BrokerCluster>("it is changed", "own", is_synced)
        .await;
    stage.delete::<ConfigMap>("own-config").await;
    stage.delete::<BrokerCluster>("own").await;
    stage.until_gone::<BrokerCluster>("own").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_charts_account_may_do_all_that_the_operator_does_and_what_it_may_not_is_told() {
    let server = server().await;
    for values in [vec![], vec!["--set", "watchNamespaces[0]=NAMESPACE"]] {
        let stage = Stage::on(&server).await;
        stage.make_cluster().await;
        let values: Vec<_> = values
            .into_iter()
            .map(|value: &str| value.replace("NAMESPACE", &stage.namespace))
            .collect();
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        let account = Account::install(server.kubeconfig(), NAMESPACE, &values).unwrap();
        let before = refused(&stage).await;
        let mut operator = lead(&stage, &account).await;
        use_topics_and_groups(&stage).await;
        use_cluster(&stage).await;
        let log = operator.log();
        assert!(refused(&stage).await == before, "{values:?}\n{log}");
        assert!(!log.contains("orbidden"), "{log}");

        // When: a workload is of a kind that the chart's values do not name.
        stage.make_workload::<ReplicaSet>("worker", 1).await;
        let target = json!({"scaleTargetRef": {"kind": "ReplicaSet", "name": "worker"}});
        stage.make_group("elsewhere", scaled("", target)).await;
        let message = stage
            .until_condition("elsewhere", "ScalingActive", "False TargetNotScalable")
            .await;
        assert!(
            message.contains("may not read the scale of ReplicaSet worker"),
            "{message}"
        );
        assert!(refused(&stage).await > before, "what is refused is counted");
        assert_eq!(stage.replicas::<ReplicaSet>("worker").await, 1);
        let group = stage.api::<ConsumerGroup>().get("elsewhere").await.unwrap();
        assert_eq!(condition_of_group(&group, "Ready"), "True UpToDate");

        // When: somebody takes a right away.
        let kubectl = Kubectl::of(server.kubeconfig());
        blind(&stage, &kubectl, values.is_empty()).await;
        assert!(operator.stop().unwrap().success());
        // The next account has the same name.
        for kind in ["clusterrolebinding", "rolebinding"] {
            let all = [
                "delete",
                kind,
                "--all-namespaces",
                "--selector",
                "app.kubernetes.io/name=sluice",
            ];
            kubectl.run(&all).unwrap();
        }
    }
}
