//! A release on a real API server: installed, upgraded, uninstalled.

use sluice_tests::kube::ApiServer;
use sluice_tests::kube::helm::{Helm, chart};
use sluice_tests::kube::kubectl::Kubectl;

use crate::stage::{NAMESPACE, values_file};

const TOPIC: &str = r#"{"apiVersion":"sluice.dev/v1alpha1","kind":"Topic","metadata":{"name":"orders"},"spec":{"clusterRef":{"name":"main"}}}"#;

fn definitions(kubectl: &Kubectl) -> Vec<String> {
    let listed = kubectl
        .run(&["get", "customresourcedefinitions", "--output", "name"])
        .unwrap();
    listed
        .lines()
        .filter(|line| line.ends_with(".sluice.dev"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_is_installed_upgraded_and_uninstalled_and_keeps_the_resources() {
    let server = ApiServer::start().await.unwrap();
    let (helm, kubectl) = (Helm::of(server.kubeconfig()), Kubectl::of(server.kubeconfig()));
    let chart = chart();
    let chart = chart.to_str().unwrap();

    let said = helm
        .run(&[
            "install",
            "sluice",
            chart,
            "--namespace",
            NAMESPACE,
            "--create-namespace",
        ])
        .unwrap();
    for wanted in [
        "kind: BrokerCluster",
        "kubectl describe brokercluster main",
        "keeps the definitions",
        "knows no ServiceMonitors",
    ] {
        assert!(
            said.contains(wanted),
            "{wanted} is not in what Helm prints:\n{said}"
        );
    }
    assert_eq!(definitions(&kubectl).len(), 3);
    kubectl.wait_for_definitions().unwrap();
    let file = server.folder().join("topic.json");
    std::fs::write(&file, TOPIC).unwrap();
    kubectl
        .run(&["create", "--filename", file.to_str().unwrap()])
        .unwrap();

    let everything = values_file("everything");
    helm.run(&[
        "upgrade",
        "sluice",
        chart,
        "--namespace",
        NAMESPACE,
        "--values",
        &everything,
        "--set",
        "grafanaDashboards.namespace=,nameOverride=",
    ])
    .unwrap();
    let deployment = kubectl
        .json(&["--namespace", NAMESPACE, "get", "deployment", "sluice"])
        .unwrap();
    assert_eq!(deployment["spec"]["replicas"], 3);

    helm.run(&["uninstall", "sluice", "--namespace", NAMESPACE])
        .unwrap();
    let left = kubectl
        .run(&[
            "--namespace",
            NAMESPACE,
            "get",
            "deployments,services,roles",
            "--output",
            "name",
        ])
        .unwrap();
    assert_eq!(left.trim(), "");
    assert_eq!(definitions(&kubectl).len(), 3);
    kubectl.run(&["get", "topic.sluice.dev", "orders"]).unwrap();

    // What was kept belongs to the next release of the name again.
    helm.run(&["install", "sluice", chart, "--namespace", NAMESPACE])
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_helm_prints_is_a_cluster_that_the_server_takes() {
    let server = ApiServer::start().await.unwrap();
    let (helm, kubectl) = (Helm::of(server.kubeconfig()), Kubectl::of(server.kubeconfig()));
    let chart = chart();
    let said = helm
        .run(&[
            "install",
            "sluice",
            chart.to_str().unwrap(),
            "--namespace",
            NAMESPACE,
            "--create-namespace",
        ])
        .unwrap();
    kubectl.wait_for_definitions().unwrap();
    let (_, rest) = said.split_once("<<'END'\n").expect("a command with a resource");
    let (resource, _) = rest.split_once("END").unwrap();
    let file = server.folder().join("cluster.yaml");
    std::fs::write(&file, resource).unwrap();
    kubectl
        .run(&["apply", "--validate=strict", "--filename", file.to_str().unwrap()])
        .unwrap();
}
