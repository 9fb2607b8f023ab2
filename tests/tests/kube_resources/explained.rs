//! `sluicectl autoscale explain`: what the status of a real ConsumerGroup says, and what goes wrong on the way to it.

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use sluice_operator_api::ConsumerGroup;
use sluice_tests::sluicectl::Sluicectl;
use sluice_tests::{binaries, ports};

use crate::stage::{client, server};

const NAMESPACE: &str = "shop";
/// What the commands of the page begin with.
const COMMAND: &str = "sluicectl autoscale ";

/// A group whose status is as the operator leaves it.
async fn make_group(name: &str, group_name: &str) {
    let client = client().await;
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(NAMESPACE.to_owned());
    // Another test may have made it.
    let _ = Api::all(client.clone())
        .create(&PostParams::default(), &namespace)
        .await;
    let groups = Api::<ConsumerGroup>::namespaced(client, NAMESPACE);
    let spec = json!({
        "clusterRef": {"name": "main"},
        "groupName": group_name,
        "autoscaling": {"scaleTargetRef": {"name": "worker"}, "maxReplicas": 12},
    });
    let group = ConsumerGroup::new(name, serde_json::from_value(spec).unwrap());
    groups.create(&PostParams::default(), &group).await.unwrap();
    let status = json!({"status": {
        "conditions": [],
        "replicas": {"current": 1, "desired": 8, "recommended": 60, "cap": 8, "capReason": "QueueCount"},
        "lastDecisions": [{
            "time": "2026-07-01T12:00:00Z", "from": 1, "to": 8, "recommended": 60, "reason": "Lag",
            "limitedBy": "QueueCount", "lag": 60_000, "message": "capped at 8 queues",
        }],
    }});
    groups
        .patch_status(name, &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
}

async fn sluicectl() -> Sluicectl {
    let kubeconfig = server().await.kubeconfig().display().to_string();
    Sluicectl::new().unwrap().environment("KUBECONFIG", &kubeconfig)
}

#[tokio::test]
async fn a_group_is_explained_by_the_resources_name_and_by_its_own() {
    make_group("orders", "Order_Workers").await;
    let sluicectl = sluicectl().await;
    for name in ["orders", "Order_Workers"] {
        let said = sluicectl
            .json(&["autoscale", "explain", name, "--namespace", NAMESPACE])
            .unwrap();
        assert_eq!(said["resource"], "orders");
        assert_eq!(said["replicas"]["cap"], 8);
        assert_eq!(said["decisions"][0]["limited_by"], "QueueCount");
    }
    let shown = sluicectl
        .ok(&["autoscale", "explain", "orders", "-n", NAMESPACE])
        .unwrap();
    assert!(shown.contains("capped at 8 queues"), "{shown}");
}

#[tokio::test]
async fn the_commands_of_the_page_do_what_it_says() {
    make_group("billing", "billing").await;
    let page = std::fs::read_to_string(binaries::workspace().join("docs/sluicectl.md")).unwrap();
    let lines: Vec<_> = page.lines().filter(|line| line.starts_with(COMMAND)).collect();
    assert!(lines.len() >= 3, "{lines:?}");
    let sluicectl = sluicectl().await;
    for line in lines {
        let (command, comment) = line.split_once('#').unwrap_or((line, ""));
        let words: Vec<_> = command.split_whitespace().skip(1).collect();
        let code = if comment.contains("exit code 3") { 3 } else { 0 };
        let said = sluicectl.run(&words).unwrap();
        assert_eq!(said.code, code, "{line}: {said:?}");
    }
}

#[tokio::test]
async fn what_goes_wrong_has_an_exit_code_and_says_what_to_do() {
    let sluicectl = sluicectl().await;
    let folder = tempfile::tempdir().unwrap();
    let good = std::fs::read_to_string(server().await.kubeconfig()).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let server = good.lines().find(|line| line.contains("server: ")).unwrap();
    let dead = format!("    server: https://127.0.0.1:{}", ports::free().unwrap());
    let dead = file("dead", &good.replace(server, &dead));
    let is_of_certificate = |line: &&str| line.contains("client-certificate") || line.contains("client-key");
    let others = good.lines().filter(|line| !is_of_certificate(line));
    let nobodys: Vec<_> = others
        .map(|line| match line {
            "  user:" => "  user: {token: forged}",
            other => other,
        })
        .collect();
    let nobodys = file("nobodys", &nobodys.join("\n"));
    let torn = file("torn", "clusters: [");
    let missing = folder.path().join("missing").display().to_string();
    for (flags, code, says) in [
        (&["--namespace", "empty"][..], 3, "--namespace names another one"),
        (&["--kubeconfig", &dead], 5, "refused"),
        (&["--kubeconfig", &nobodys], 6, "consumergroups"),
        (&["--kubeconfig", &torn], 1, "torn"),
        (&["--kubeconfig", &missing], 1, "missing"),
        (&["--kube-context", "unheard"], 2, "--kube-context"),
    ] {
        let arguments = [&["autoscale", "explain", "billing", "-o", "json"], flags].concat();
        let said = sluicectl.run(&arguments).unwrap();
        assert_eq!(said.code, code, "{flags:?}: {said:?}");
        let error = said.error().unwrap();
        assert!(error.to_string().contains(says), "{flags:?}: {error}");
        assert!(error["hint"].is_string(), "{flags:?}: {error}");
    }
}
