//! A node that runs pods.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use sluice_tests::wait;

use crate::stage::{IMAGE, WITHIN, cluster, namespace, outcome, pod};

#[tokio::test]
async fn a_pod_runs_to_its_end_and_its_log_can_be_read() {
    let client = cluster().await.client().await.unwrap();
    let namespace = namespace(&client, "once").await;
    let pods: Api<Pod> = Api::namespaced(client, &namespace);

    for (name, arguments, phase, log) in [
        (
            "good",
            &["say", "hello from a pod"][..],
            "Succeeded",
            "hello from a pod\n",
        ),
        ("bad", &["ask", "127.0.0.1:1"][..], "Failed", "Connection refused"),
    ] {
        pods.create(&PostParams::default(), &pod(name, arguments))
            .await
            .unwrap();
        let (ended, wrote) = outcome(&pods, name).await;
        assert_eq!(ended, phase, "{name}: {wrote}");
        assert!(wrote.contains(log), "{name}: {wrote}");
    }
}

#[tokio::test]
async fn pods_follow_the_scale_of_their_deployment_and_a_service_name_leads_to_them() {
    let cluster = cluster().await;
    let client = cluster.client().await.unwrap();
    let namespace = namespace(&client, "scaled").await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
    let services: Api<Service> = Api::namespaced(client.clone(), &namespace);
    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    let options = PostParams::default();
    deployments
        .create(&options, &serde_json::from_value(deployment()).unwrap())
        .await
        .unwrap();
    services
        .create(&options, &serde_json::from_value(service()).unwrap())
        .await
        .unwrap();

    for replicas in [3, 0, 1] {
        let scale = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        deployments
            .patch_scale("probe", &PatchParams::default(), &scale)
            .await
            .unwrap();
        wait::until_async(
            &format!("{replicas} pods are ready, and no more"),
            WITHIN,
            async || {
                let running = pods
                    .list(&ListParams::default().labels("app=probe"))
                    .await?
                    .items
                    .len();
                let status = deployments.get("probe").await?.status.unwrap_or_default();
                let ready = status.ready_replicas.unwrap_or_default();
                Ok((running == replicas && usize::try_from(ready)? == replicas).then_some(()))
            },
        )
        .await
        .unwrap();
    }

    let address = format!("probe.{namespace}.svc.cluster.local:80");
    for (name, address) in [("by-full-name", address.as_str()), ("by-short-name", "probe:80")] {
        pods.create(&options, &pod(name, &["ask", address]))
            .await
            .unwrap();
        let (ended, wrote) = outcome(&pods, name).await;
        assert_eq!(ended, "Succeeded", "{name}: {wrote}");
        // The pod's own name, which nobody else would answer with.
        assert!(wrote.starts_with("probe-"), "{name}: {wrote}");
    }
    pods.create(&options, &pod("wrong", &["ask", "no-such-service:80"]))
        .await
        .unwrap();
    assert_eq!(outcome(&pods, "wrong").await.0, "Failed");
}

/// Pods that tell their name to whoever connects.
fn deployment() -> Value {
    json!({
        "metadata": {"name": "probe"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "probe"}},
            "template": {
                "metadata": {"labels": {"app": "probe"}},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{
                        "name": "probe", "image": IMAGE, "imagePullPolicy": "Never", "args": ["serve", "8080"],
                        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
                    }],
                },
            },
        },
    })
}

/// Leads to them.
fn service() -> Value {
    json!({
        "metadata": {"name": "probe"},
        "spec": {"selector": {"app": "probe"}, "ports": [{"port": 80, "targetPort": 8080}]},
    })
}

#[tokio::test]
async fn a_command_runs_in_a_pod_that_is_up() {
    let cluster = cluster().await;
    let client = cluster.client().await.unwrap();
    let namespace = namespace(&client, "exec").await;
    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    pods.create(&PostParams::default(), &pod("server", &["serve", "8080"]))
        .await
        .unwrap();
    let kubectl = cluster.kubectl();
    let wait = [
        "wait",
        "--namespace",
        &namespace,
        "--for=condition=Ready",
        "--timeout=60s",
        "pod/server",
    ];
    kubectl.run(&wait).unwrap();
    let ask = ["kube-probe", "ask", "127.0.0.1:8080"];
    let answer = kubectl.run(&[&["exec", "--namespace", &namespace, "server", "--"][..], &ask].concat());
    assert_eq!(answer.unwrap(), "server\n");
}

#[tokio::test]
async fn a_claim_gets_a_volume_that_outlives_its_pods() {
    let client = cluster().await.client().await.unwrap();
    let namespace = namespace(&client, "claim").await;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &namespace);
    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    let claim = json!({
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    let options = PostParams::default();
    claims
        .create(&options, &serde_json::from_value(claim).unwrap())
        .await
        .unwrap();
    for (name, arguments, wrote) in [
        ("writer", ["write", "/data/file", "kept"].as_slice(), ""),
        ("reader", &["read", "/data/file"], "kept"),
    ] {
        let mut pod = serde_json::to_value(pod(name, arguments)).unwrap();
        pod["spec"]["volumes"] = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
        pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
        pod["spec"]["securityContext"] = json!({"runAsUser": 65532, "runAsNonRoot": true});
        pods.create(&options, &serde_json::from_value(pod).unwrap())
            .await
            .unwrap();
        assert_eq!(
            outcome(&pods, name).await,
            ("Succeeded".to_owned(), wrote.to_owned()),
            "{name}"
        );
    }
}
