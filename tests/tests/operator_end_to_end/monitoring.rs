//! A Prometheus in the cluster that scrapes the brokers. Debian's cannot ask Kubernetes for pods: it finds them by the names
//! that DNS has of them.

use anyhow::{Context as _, Result};
use kube::Client;
use serde_json::{Value, json};
use sluice_tests::kube::kubectl::Kubectl;

use crate::images;
use crate::stage::{Stage, apply};

/// Where the operator finds it.
pub const URL: &str = "http://prometheus.monitoring:9090";
pub const NAMESPACE: &str = "monitoring";
/// Every broker that a test of this suite has, by the Service that gives pods their names.
const BROKERS: [&str; 2] = ["orders-brokers.shop", "holds-brokers.holds"];

/// With short times, since tests wait for them.
fn configuration() -> Value {
    let names = BROKERS.map(|broker| format!("{broker}.svc.cluster.local"));
    json!({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{
            "job_name": "sluice",
            "dns_sd_configs": [{"names": names, "type": "A", "port": 5557, "refresh_interval": "1s"}],
        }],
    })
}

/// Starts it.
pub fn start(kubectl: &Kubectl) {
    let labels = json!({"app": "prometheus"});
    let metadata = json!({"name": "prometheus", "namespace": NAMESPACE});
    let container = json!({
        "name": "prometheus",
        "image": images::PROMETHEUS,
        "imagePullPolicy": "Never",
        "args": ["--config.file=/etc/prometheus/prometheus.yaml", "--storage.tsdb.path=/data"],
        "ports": [{"containerPort": 9090}],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": 9090}, "periodSeconds": 1},
        "volumeMounts": [
            {"name": "configuration", "mountPath": "/etc/prometheus"},
            {"name": "data", "mountPath": "/data"},
        ],
    });
    let pod = json!({
        "metadata": {"labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
            "volumes": [
                {"name": "configuration", "configMap": {"name": "prometheus"}},
                {"name": "data", "emptyDir": {}},
            ],
        },
    });
    for object in [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata,
            "data": {"prometheus.yaml": configuration().to_string()},
        }),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"port": 9090}]},
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod},
        }),
    ] {
        apply(kubectl, &object);
    }
    wait_until_ready(kubectl);
}

/// Until it has as many pods as it is to have, and they answer.
pub fn wait_until_ready(kubectl: &Kubectl) {
    let deployment = ["deployment/prometheus", "--namespace", NAMESPACE, "--timeout=60s"];
    let ready = kubectl.run(&[&["rollout", "status"], &deployment[..]].concat());
    ready.unwrap();
}

/// Asks it; gives the sum of the samples, or nothing where there is none.
pub async fn sum(client: &Client, query: &str) -> Result<Option<f64>> {
    let mut encoded = String::new();
    for byte in query.bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => encoded.push(char::from(byte)),
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    let proxy = format!("/api/v1/namespaces/{NAMESPACE}/services/prometheus:9090/proxy");
    let request = http::Request::get(format!("{proxy}/api/v1/query?query={encoded}"));
    let answer: Value = client.request(request.body(Vec::new())?).await?;
    let samples = answer["data"]["result"].as_array().context("no samples")?;
    let values = samples
        .iter()
        .filter_map(|sample| sample["value"][1].as_str()?.parse::<f64>().ok());
    let values: Vec<_> = values.collect();
    Ok((!values.is_empty()).then(|| values.iter().sum()))
}

impl Stage {
    /// How many messages of a cluster wait for a group, as Prometheus knows it.
    pub async fn ready_messages(&self, cluster: &str, group: &str) -> Result<f64> {
        let of_group = format!("cluster=\"{cluster}\",consumer_group=\"{group}\",is_retry=\"false\"");
        let query = format!("sum(rocketmq_consumer_ready_messages{{{of_group}}})");
        let found = sum(&self.client, &query).await?;
        found.with_context(|| format!("Prometheus does not know the group {group}"))
    }
}
