//! A real API server takes every object, and the Restricted profile every pod.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use sluice_tests::binaries;
use sluice_tests::kube::helm::Helm;
use sluice_tests::kube::kubectl::Kubectl;
use sluice_tests::kube::{ApiServer, of_prometheus_operator};

use crate::stage::{MONITORS, NAMESPACE, name, of_kind, render_file, the, values_file, values_files};

/// A server that knows the monitors' kinds and ours, and has the namespaces; in that of the release Pod Security refuses
/// whatever is not Restricted.
pub async fn server() -> Result<(&'static ApiServer, Kubectl)> {
    let server = ApiServer::shared().await?;
    let kubectl = Kubectl::of(server.kubeconfig());
    let own = binaries::workspace().join("crds");
    for file in [of_prometheus_operator()?, vec![own]].concat() {
        kubectl.run(&["apply", "--server-side", "--filename", file.to_str().unwrap()])?;
    }
    kubectl.wait_for_definitions()?;
    for namespace in [NAMESPACE, "shop", "billing", "monitoring"] {
        let object = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        });
        apply(&kubectl, server.folder(), &object, &[])?;
    }
    Ok((server, kubectl))
}

/// Applies an object strictly, with these arguments besides.
pub fn apply(kubectl: &Kubectl, folder: &Path, object: &Value, arguments: &[&str]) -> Result<String> {
    let file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&file, object)?;
    let path = file.path().to_str().unwrap().to_owned();
    kubectl.run(
        &[
            &["apply", "--server-side", "--validate=strict", "--filename", &path],
            arguments,
        ]
        .concat(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_object_of_every_file_of_values_is_taken() {
    let (server, kubectl) = server().await.unwrap();
    let mut kinds = BTreeSet::new();
    for (file, _) in values_files() {
        let objects = render_file(file.trim_end_matches("-values"));
        for object in &objects {
            let in_namespace = [
                "--namespace",
                object["metadata"]["namespace"].as_str().unwrap_or(NAMESPACE),
            ];
            let taken = apply(
                &kubectl,
                server.folder(),
                object,
                &[&["--dry-run=server"], &in_namespace[..]].concat(),
            );
            taken.unwrap_or_else(|error| panic!("{file}: {}: {error:#}", name(object)));
            kinds.insert(object["kind"].as_str().unwrap().to_owned());
        }
    }
    assert!(kinds.len() >= 15, "{kinds:?}");
    let mut wrong = the(&render_file("default"), "Deployment").clone();
    wrong["spec"]["replica"] = json!(3);
    let error = apply(&kubectl, server.folder(), &wrong, &["--dry-run=server"]).unwrap_err();
    assert!(
        format!("{error:#}").contains("replica"),
        "a wrong field is taken: {error:#}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pod_security_admits_the_pods_as_restricted() {
    let (server, kubectl) = server().await.unwrap();
    for file in ["default", "everything", "namespaced", "least"] {
        let objects = render_file(file);
        let template = &the(&objects, "Deployment")["spec"]["template"];
        let mut pods: Vec<Value> = of_kind(&objects, "Pod").into_iter().cloned().collect();
        pods.push(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "operator", "namespace": NAMESPACE}, "spec": template["spec"]}));
        for pod in &pods {
            let admitted = apply(&kubectl, server.folder(), pod, &["--dry-run=server"]);
            admitted.unwrap_or_else(|error| panic!("{file}: {}: {error:#}", name(pod)));
            let mut lax = pod.clone();
            lax["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
            let refused = apply(&kubectl, server.folder(), &lax, &["--dry-run=server"]).unwrap_err();
            assert!(format!("{refused:#}").contains("restricted"), "{refused:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_account_may_what_the_roles_say_and_nothing_beside() {
    let (server, kubectl) = server().await.unwrap();
    // Two releases beside each other: one for all namespaces, one for two.
    for (release, file) in [("wide", "default"), ("narrow", "namespaced")] {
        let values = values_file(file);
        let arguments = [
            &MONITORS[..],
            &["--values", &values, "--set", "crds.enabled=false"],
        ]
        .concat();
        let objects = Helm::default().template(release, NAMESPACE, &arguments).unwrap();
        let kinds = ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"];
        for object in objects
            .iter()
            .filter(|object| kinds.iter().any(|kind| object["kind"] == *kind))
        {
            apply(&kubectl, server.folder(), object, &[]).unwrap();
        }
    }
    for (account, verb, resource, namespace, allowed) in [
        ("wide-sluice", "get", "secrets", "shop", true),
        ("wide-sluice", "list", "secrets", "shop", false),
        ("wide-sluice", "watch", "secrets", "default", false),
        ("wide-sluice", "patch", "deployments.apps/scale", "default", true),
        ("wide-sluice", "patch", "deployments.apps", "default", false),
        ("wide-sluice", "create", "pods/exec", "default", false),
        (
            "wide-sluice",
            "patch",
            "topics.sluice.dev/status",
            "default",
            true,
        ),
        ("wide-sluice", "delete", "topics.sluice.dev", "default", false),
        (
            "wide-sluice",
            "create",
            "leases.coordination.k8s.io",
            NAMESPACE,
            true,
        ),
        (
            "wide-sluice",
            "create",
            "leases.coordination.k8s.io",
            "default",
            false,
        ),
        ("prepared", "get", "secrets", "shop", true),
        ("prepared", "get", "secrets", "default", false),
        ("prepared", "list", "topics.sluice.dev", "billing", true),
        ("prepared", "list", "topics.sluice.dev", NAMESPACE, false),
        ("nobody", "list", "topics.sluice.dev", "billing", false),
    ] {
        let user = format!("system:serviceaccount:{NAMESPACE}:{account}");
        // Behind a slash kubectl expects a name.
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let subresource = format!("--subresource={subresource}");
        let question = ["auth", "can-i", verb, resource, &subresource];
        let asked = [&question[..], &["--namespace", namespace, "--as", &user]].concat();
        let output = kubectl.output(&asked).unwrap();
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert_eq!(
            said,
            if allowed { "yes" } else { "no" },
            "{account}: {verb} {resource} {subresource} in {namespace}"
        );
    }
}
