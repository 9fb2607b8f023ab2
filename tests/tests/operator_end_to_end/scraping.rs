//! Prometheus finds the operator's pods and the brokers by asking Kubernetes: with the configuration of the documentation, which all
//! tests here go by, and by what the monitors of the chart and of each cluster select.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use sluice_tests::kube::helm::Helm;

use crate::shop::{self, CLUSTER};
use crate::stage::{SOON, Stage, until};
use crate::{monitoring, release};

const OF_BROKERS: &str = "app.kubernetes.io/name=sluice,app.kubernetes.io/component=broker";
const OF_OPERATOR: &str = "app.kubernetes.io/part-of=sluice,app.kubernetes.io/component=operator";
/// The Prometheus that goes by monitors.
const BY_MONITORS: &str = "by-monitors";

/// The pods with these labels, as NAMESPACE/NAME.
async fn pods(stage: &Stage, labels: &str) -> Result<BTreeSet<String>> {
    let found = Api::<Pod>::all(stage.client.clone());
    let found = found.list(&ListParams::default().labels(labels)).await?;
    let name = |pod: &Pod| {
        let of = |text: &Option<String>| text.clone().unwrap_or_default();
        format!("{}/{}", of(&pod.metadata.namespace), of(&pod.metadata.name))
    };
    Ok(found.iter().map(name).collect())
}

/// Until all pods with these labels, and nothing else, are targets of the job, and each was scraped.
async fn until_scraped(stage: &Stage, prometheus: &str, pool: Option<&str>, job: &str, labels: &str) {
    let what = format!("{prometheus} scrapes {labels} as {job}");
    let scraped = until(&what, SOON, async || {
        let found = monitoring::ask(&stage.client, prometheus, "targets?state=active").await?;
        let targets = found["activeTargets"].as_array().context("no targets")?;
        let of_job = targets.iter().filter(|target| {
            target["labels"]["job"] == job && pool.is_none_or(|pool| target["scrapePool"] == pool)
        });
        let mut scraped = Vec::new();
        for target in of_job {
            ensure!(target["health"] == "up", "{target}");
            let of = |label: &str| target["discoveredLabels"][label].as_str().unwrap_or_default();
            scraped.push(format!(
                "{}/{}",
                of("__meta_kubernetes_namespace"),
                of("__meta_kubernetes_pod_name")
            ));
        }
        let pods = pods(stage, labels).await?;
        ensure!(scraped.len() == pods.len(), "{scraped:?} of {pods:?}");
        ensure!(
            scraped.iter().collect::<BTreeSet<_>>() == pods.iter().collect(),
            "{scraped:?} of {pods:?}"
        );
        Ok(Some(scraped))
    });
    let scraped = scraped.await.unwrap();
    assert!(!scraped.is_empty());
    println!("{what}: {scraped:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_of_the_documentation_finds_every_pod_of_the_operator_and_of_brokers() {
    let shop = shop::open().await;
    shop.cluster_ready(CLUSTER).await;
    // The port for alerts, which the release has too, is none of its targets.
    until_scraped(&shop, monitoring::NAME, None, "sluice-operator", OF_OPERATOR).await;
    until_scraped(&shop, monitoring::NAME, None, "sluice", OF_BROKERS).await;
    // The operator's series keep the namespace of what they are about; the brokers' have that of their pods.
    for query in [
        "count(sluice_operator_leader{job=\"sluice-operator\"})",
        "count(rocketmq_broker_permission{job=\"sluice\",namespace=\"shop\",cluster=\"orders\"})",
    ] {
        until(query, SOON, async || monitoring::sum(&shop.client, query).await)
            .await
            .unwrap();
    }
    let rules = monitoring::ask(&shop.client, monitoring::NAME, "rules")
        .await
        .unwrap();
    let groups = rules["groups"].as_array().unwrap();
    let files: BTreeSet<_> = groups
        .iter()
        .map(|group| group["file"].as_str().unwrap())
        .collect();
    assert_eq!(files.len(), 3, "{files:?}");
}

/// What the Prometheus operator makes of a monitor's endpoint.
fn scrape(monitor: &Value) -> Value {
    let is_of_pods = monitor["kind"] == "PodMonitor";
    let (role, endpoints, of_port) = if is_of_pods {
        ("pod", "podMetricsEndpoints", "pod_container_port")
    } else {
        ("endpoints", "endpoints", "endpoint_port")
    };
    let of_labels = if is_of_pods { "pod" } else { "service" };
    let (metadata, spec) = (&monitor["metadata"], &monitor["spec"]);
    let [endpoint] = spec[endpoints].as_array().map(Vec::as_slice).unwrap() else {
        panic!("one endpoint: {monitor}")
    };
    let mut discovery = json!({"role": role});
    if spec["namespaceSelector"]["any"] != true {
        let named = &spec["namespaceSelector"]["matchNames"];
        let own = json!([metadata["namespace"]]);
        discovery["namespaces"] = json!({"names": if named.is_array() { named } else { &own }});
    }
    let keep = |source: String, value: &Value| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        json!({"source_labels": [source], "regex": value, "action": "keep"})
    };
    let labels = spec["selector"]["matchLabels"].as_object().unwrap();
    let mut relabelings: Vec<_> = labels
        .iter()
        .map(|(label, value)| {
            let label = label.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_");
            keep(format!("__meta_kubernetes_{of_labels}_label_{label}"), value)
        })
        .collect();
    relabelings.push(match &endpoint["port"] {
        Value::Null => keep(
            format!("__meta_kubernetes_{of_port}_number"),
            &endpoint["portNumber"],
        ),
        name => keep(format!("__meta_kubernetes_{of_port}_name"), name),
    });
    relabelings.push(json!({"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"}));
    for relabeling in endpoint["relabelings"].as_array().unwrap() {
        relabelings.push(json!({
            "target_label": relabeling["targetLabel"],
            "replacement": relabeling["replacement"],
            "action": relabeling["action"],
        }));
    }
    json!({
        "job_name": pool(monitor),
        "metrics_path": endpoint["path"],
        "honor_labels": endpoint["honorLabels"] == true,
        "kubernetes_sd_configs": [discovery],
        "relabel_configs": relabelings,
    })
}

fn pool(monitor: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let metadata = &monitor["metadata"];
    [&monitor["kind"], &metadata["namespace"], &metadata["name"]]
        .map(text)
        .join("/")
}

/// The chart's PodMonitor for the brokers of all namespaces, which the release here does without.
fn of_all_brokers() -> Value {
    let arguments = [
        "--api-versions",
        "monitoring.coreos.com/v1/PodMonitor",
        "--set",
        "podMonitor.enabled=true",
    ];
    let objects = Helm::default().template(release::NAME, release::NAMESPACE, &arguments);
    let objects = objects.unwrap();
    let monitor = objects.into_iter().find(|object| object["kind"] == "PodMonitor");
    monitor.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_monitors_select_is_found_and_answers() {
    let shop = shop::open().await;
    shop.cluster_ready(CLUSTER).await;
    let of_cluster = until("the cluster has a PodMonitor", SOON, async || {
        let arguments = ["get", "podmonitor", CLUSTER, "--namespace", &shop.namespace];
        shop.kubectl.json(&arguments).map(Some)
    });
    let of_cluster = of_cluster.await.unwrap();
    let arguments = [
        "get",
        "servicemonitor",
        release::NAME,
        "--namespace",
        release::NAMESPACE,
    ];
    let of_operator = shop.kubectl.json(&arguments).unwrap();
    let of_all = of_all_brokers();
    let monitors = [&of_cluster, &of_operator, &of_all];
    let configuration = json!({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": monitors.map(scrape),
    });
    monitoring::make_account(&shop.kubectl, BY_MONITORS, &["pods", "services", "endpoints"]);
    monitoring::run(&shop.kubectl, BY_MONITORS, &configuration);

    let of_shop = format!("{OF_BROKERS},app.kubernetes.io/instance={CLUSTER}");
    for (monitor, job, labels) in [
        (&of_cluster, "sluice", &*of_shop),
        (&of_operator, "sluice-operator", OF_OPERATOR),
        (&of_all, "sluice", OF_BROKERS),
    ] {
        until_scraped(&shop, BY_MONITORS, Some(&pool(monitor)), job, labels).await;
    }
    let deployment = format!("deployment/{BY_MONITORS}");
    let delete = ["delete", &deployment, "--namespace", monitoring::NAMESPACE];
    shop.kubectl.run(&delete).unwrap();
}
