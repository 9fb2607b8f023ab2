//! Two releases on a real API server: they may share the Kubernetes cluster, and no namespace.

use sluice_tests::kube::ApiServer;
use sluice_tests::kube::helm::{Helm, chart};
use sluice_tests::kube::kubectl::Kubectl;

/// Tries a release in its namespace, and takes it away again unless it is to stay. Gives why it was refused.
fn install(helm: &Helm, release: &str, set: &str) -> Result<String, String> {
    let chart = chart();
    let namespace = format!("of-{release}");
    let install = [
        "install",
        release,
        chart.to_str().unwrap(),
        "--namespace",
        &namespace,
        "--set",
        set,
    ];
    helm.run(&install).map_err(|error| format!("{error:#}"))
}

fn uninstall(helm: &Helm, release: &str) {
    helm.run(&["uninstall", release, "--namespace", &format!("of-{release}")])
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_is_refused_where_another_looks_after_its_namespaces() {
    let server = ApiServer::start().await.unwrap();
    let (helm, kubectl) = (Helm::of(server.kubeconfig()), Kubectl::of(server.kubeconfig()));
    for namespace in ["of-first", "of-second", "shop", "billing"] {
        kubectl.run(&["create", "namespace", namespace]).unwrap();
    }
    let everywhere = "watchNamespaces=null";
    let without = |set: &str| format!("{set},crds.enabled=false");
    // What the first looks after, what the second is to, and what the refusal says.
    for (first, second, refused) in [
        (
            everywhere,
            without(everywhere),
            Some("looks after all namespaces already"),
        ),
        (
            everywhere,
            "crds.enabled=true,crds.annotations.a=b,watchNamespaces={shop}".to_owned(),
            Some("all namespaces, and so shop, already"),
        ),
        (
            "watchNamespaces={shop,billing}",
            without(everywhere),
            Some("looks after shop, billing already"),
        ),
        (
            "watchNamespaces={shop}",
            "watchNamespaces={billing,shop}".to_owned(),
            Some("looks after shop already"),
        ),
        (
            "watchNamespaces={shop}",
            without("watchNamespaces={billing,shop}"),
            Some("in the namespace 'shop') looks after shop already"),
        ),
        (everywhere, without("allowSharedNamespaces=true"), None),
        (
            "watchNamespaces={shop}",
            without("watchNamespaces={billing}"),
            None,
        ),
        // Its operators are ended: another may take over.
        ("replicas=1", without(everywhere), None),
    ] {
        let case = format!("{first} and {second}");
        install(&helm, "first", first).unwrap();
        if first == "replicas=1" {
            kubectl
                .run(&[
                    "--namespace",
                    "of-first",
                    "scale",
                    "deployment/first-sluice",
                    "--replicas=0",
                ])
                .unwrap();
        }
        let second = install(&helm, "second", &second);
        match (&second, refused) {
            (Err(said), Some(refused)) => {
                assert!(said.contains(refused), "{case}: {said}");
                for part in ["the release 'first'", "allowSharedNamespaces"] {
                    assert!(said.contains(part), "{case}: {part} is not in {said}");
                }
            }
            (Ok(_), None) => uninstall(&helm, "second"),
            other => panic!("{case}: {other:?}"),
        }
        uninstall(&helm, "first");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_does_not_stand_in_its_own_way() {
    let server = ApiServer::start().await.unwrap();
    let (helm, kubectl) = (Helm::of(server.kubeconfig()), Kubectl::of(server.kubeconfig()));
    kubectl.run(&["create", "namespace", "of-first"]).unwrap();
    install(&helm, "first", "replicas=1").unwrap();
    let chart = chart();
    let upgrade = [
        "upgrade",
        "first",
        chart.to_str().unwrap(),
        "--namespace",
        "of-first",
    ];
    // Under another name it is another Deployment of the same release.
    helm.run(&[&upgrade[..], &["--set", "fullnameOverride=renamed"]].concat())
        .unwrap();
    let found = kubectl
        .run(&[
            "--namespace",
            "of-first",
            "get",
            "deployments",
            "--output",
            "name",
        ])
        .unwrap();
    assert_eq!(found.trim(), "deployment.apps/renamed");
}
