//! A Prometheus in the cluster that finds the operator and the brokers as docs/monitoring-on-kubernetes.md says.

use anyhow::{Context as _, Result, ensure};
use kube::Client;
use serde_json::{Map, Value, json};
use sluice_tests::binaries;
use sluice_tests::kube::Cluster;
use sluice_tests::kube::cluster::MARK;
use sluice_tests::kube::kubectl::Kubectl;

use crate::images;
use crate::stage::Stage;

/// Where the operator finds it.
pub const URL: &str = "http://prometheus.sluice-monitoring:9090";
pub const NAMESPACE: &str = "sluice-monitoring";
/// The Deployment, and its Service.
pub const NAME: &str = "prometheus";

/// What the page has for those without the Prometheus operator, with short times, since tests wait for them.
fn of_page() -> Value {
    let page = std::fs::read_to_string(binaries::workspace().join("docs/monitoring-on-kubernetes.md"));
    let page = page.unwrap();
    let block = page
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split_once("```"));
    let mut configuration: Value = serde_yaml::from_str(block.unwrap().0).unwrap();
    configuration["global"] = json!({"scrape_interval": "1s", "scrape_timeout": "1s"});
    configuration
}

/// Starts it, under an account that may do what the page says.
pub fn start(cluster: &Cluster) {
    cluster.make_namespace(NAMESPACE, &[]).unwrap();
    let kubectl = cluster.kubectl();
    make_account(&kubectl, NAME, &["pods"]);
    run(&kubectl, NAME, &of_page());
}

/// An account that may look at these in every namespace.
pub fn make_account(kubectl: &Kubectl, name: &str, resources: &[&str]) {
    let of_rbac = "rbac.authorization.k8s.io";
    // Roles of all namespaces are named so that nobody else has them.
    let role = json!({"name": format!("sluice-tests-{name}"), "labels": {MARK: "true"}});
    for object in [
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": NAMESPACE},
        }),
        json!({
            "apiVersion": format!("{of_rbac}/v1"), "kind": "ClusterRole", "metadata": role,
            "rules": [{"apiGroups": [""], "resources": resources, "verbs": ["get", "list", "watch"]}],
        }),
        json!({
            "apiVersion": format!("{of_rbac}/v1"), "kind": "ClusterRoleBinding", "metadata": role,
            "roleRef": {"apiGroup": of_rbac, "kind": "ClusterRole", "name": role["name"]},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}],
        }),
    ] {
        kubectl.apply(&object).unwrap();
    }
}

/// The configuration, and the rules that it names.
fn files(configuration: &Value) -> Map<String, Value> {
    let named = configuration["rule_files"].as_array().into_iter().flatten();
    let read = |file: &Value| {
        let name = file.as_str().unwrap().to_owned();
        let text = std::fs::read_to_string(binaries::workspace().join("monitoring").join(&name)).unwrap();
        (name, Value::String(text))
    };
    let mut files: Map<_, _> = named.map(read).collect();
    files.insert("prometheus.yaml".to_owned(), configuration.to_string().into());
    files
}

/// Runs a Prometheus with this configuration under the account of its name, and waits until it answers.
pub fn run(kubectl: &Kubectl, name: &str, configuration: &Value) {
    let labels = json!({"app": name});
    let metadata = json!({"name": name, "namespace": NAMESPACE});
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
            "serviceAccountName": name,
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
            "volumes": [
                {"name": "configuration", "configMap": {"name": name}},
                {"name": "data", "emptyDir": {}},
            ],
        },
    });
    for object in [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": files(configuration)}),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"port": 9090}]},
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod},
        }),
    ] {
        kubectl.apply(&object).unwrap();
    }
    wait_until_ready(kubectl, name);
}

/// Until it has as many pods as it is to have, and they answer.
pub fn wait_until_ready(kubectl: &Kubectl, name: &str) {
    let deployment = &*format!("deployment/{name}");
    let deployment = [deployment, "--namespace", NAMESPACE, "--timeout=60s"];
    let ready = kubectl.run(&[&["rollout", "status"], &deployment[..]].concat());
    ready.unwrap();
}

/// What the API of a Prometheus says.
pub async fn ask(client: &Client, name: &str, path: &str) -> Result<Value> {
    let proxy = format!("/api/v1/namespaces/{NAMESPACE}/services/{name}:9090/proxy");
    let request = http::Request::get(format!("{proxy}/api/v1/{path}"));
    let mut answer: Value = client.request(request.body(Vec::new())?).await?;
    ensure!(answer["status"] == "success", "{path}: {answer}");
    Ok(answer["data"].take())
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
    let found = ask(client, NAME, &format!("query?query={encoded}")).await?;
    let samples = found["result"].as_array().context("no samples")?;
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
