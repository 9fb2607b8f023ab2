//! Kills in somebody's cluster, whose processes are not this machine's: a pod on each node, which sees all of the node's.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::belongings;
use super::foreign::LOAD_IMAGE;
use crate::kube::kubectl::Kubectl;

/// Its namespace, and its DaemonSet.
pub const NAME: &str = "sluice-tests-killer";

/// The DaemonSet, whose pods wait until they are told whom to kill.
fn objects(image: &str) -> serde_json::Value {
    let labels = json!({"app": NAME});
    let mut namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": NAME, "labels": {"pod-security.kubernetes.io/enforce": "privileged"}},
    });
    belongings::mark(&mut namespace);
    let pod = json!({
        "hostPID": true,
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{"operator": "Exists"}],
        "containers": [{
            "name": "killer", "image": image, "imagePullPolicy": "Never", "args": ["serve", "9999"],
            "securityContext": {"runAsUser": 0},
        }],
    });
    let daemon_set = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": NAME, "namespace": NAME},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    });
    json!({"apiVersion": "v1", "kind": "List", "items": [namespace, daemon_set]})
}

/// Starts it from an image of the program `kube-probe`, and waits until its pods run.
///
/// # Errors
/// When they do not.
pub fn start(kubectl: &Kubectl, image: &str) -> Result<()> {
    let there = kubectl.run(&["get", "namespace", NAME, "--ignore-not-found", "--output=json"])?;
    ensure!(
        there.is_empty() || there.contains(belongings::MARK),
        "the cluster has a namespace {NAME} that is not the suites': rename it, or use another cluster"
    );
    kubectl.apply(&objects(image))?;
    let set = format!("daemonset/{NAME}");
    let rolled_out = kubectl.run(&["rollout", "status", &set, "--namespace", NAME, "--timeout=60s"]);
    rolled_out.map(drop).with_context(|| {
        let pods = kubectl.run(&["get", "pods", "--namespace", NAME, "--output=wide"]);
        format!(
            "the image {image} does not run on every node; where a pod says ErrImageNeverPull, the command in \
             {LOAD_IMAGE} has not loaded it, perhaps into another cluster:\n{}",
            pods.unwrap_or_default()
        )
    })
}

/// Kills the processes of a program in a pod on this node.
///
/// # Errors
/// When there are none, or no killer is on the node.
pub fn kill(kubectl: &Kubectl, node: &str, pod_uid: &str, program: &str) -> Result<()> {
    let on_node = format!("--field-selector=spec.nodeName={node}");
    let first = "--output=jsonpath={.items[0].metadata.name}";
    let killer = kubectl
        .run(&["get", "pods", "--namespace", NAME, &on_node, first])
        .with_context(|| format!("the node {node} has no pod of {NAME}"))?;
    let probe = "/usr/local/bin/kube-probe";
    let exec = ["exec", &*killer, "--namespace", NAME, "--", probe];
    kubectl.run(&[&exec[..], &["kill", pod_uid, program]].concat())?;
    Ok(())
}
