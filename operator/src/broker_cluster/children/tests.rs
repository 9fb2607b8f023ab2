use super::*;
use crate::broker_cluster::observed::token_place;
use crate::broker_cluster::rotation;
use crate::broker_cluster::testing::cluster;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

/// All objects of a cluster with this specification.
fn made(spec: &str) -> Vec<Child> {
    made_where(spec, true)
}

fn made_where(spec: &str, pod_monitors: bool) -> Vec<Child> {
    let cluster = cluster(spec);
    let configuration =
        Configuration::of(&cluster.spec, None)
            .unwrap()
            .with_own("main", None, cluster.spec.tls.is_some());
    children(&Blueprint {
        cluster: &cluster,
        image_repository: "registry.example.org/sluice-broker",
        operator_namespace: "sluice",
        configuration: &configuration,
        token: token_place(&cluster),
        ca: cluster.spec.tls.as_ref().map(|_| "the CA".to_owned()),
        volume_size: &cluster.spec.storage.size,
        pod_monitors,
    })
}

fn object(spec: &str, kind: ChildKind, name: &str) -> Value {
    let found = made(spec)
        .into_iter()
        .find(|child| child.kind == kind && child.name == name);
    found
        .unwrap_or_else(|| panic!("{spec} has no {kind} {name}"))
        .body
}

/// Each row: a specification, where to look, and what there is to be; null for nothing.
fn expect(kind: ChildKind, name: &str, rows: &[(&str, &str, Value)]) {
    for (spec, pointer, wanted) in rows {
        let object = object(spec, kind, name);
        let found = object.pointer(pointer).cloned().unwrap_or(Value::Null);
        assert_eq!(found, *wanted, "{kind} {name} {spec} {pointer}");
    }
}

#[test]
fn every_object_belongs_to_the_resource_and_is_in_its_namespace() {
    for child in made(r#"{"listeners": [{"name": "a"}, {"name": "b"}]}"#) {
        assert_eq!(child.body["metadata"]["namespace"], "shop", "{}", child.name);
        assert_eq!(
            child.body["metadata"]["labels"]["sluice.dev/cluster"], "main",
            "{}",
            child.name
        );
        let owner = &child.body["metadata"]["ownerReferences"][0];
        assert_eq!(
            (&owner["uid"], &owner["controller"]),
            (&json!("uid-of-main"), &json!(true))
        );
        assert_eq!(child.body["kind"], child.kind.resource().kind, "{}", child.name);
        assert_eq!(
            child.body["apiVersion"],
            child.kind.resource().api_version,
            "{}",
            child.name
        );
    }
}

#[test]
fn the_same_resource_makes_the_same_objects() {
    let spec = r#"{"podTemplate": {"nodeSelector": {"b": "1", "a": "2"}}, "config": {"log": "info", "flush": "sync"}}"#;
    assert_eq!(made(spec), made(spec));
}

/// The same for the StatefulSet, from its template's pods on.
fn expect_of_pods(rows: &[(&str, &str, Value)]) {
    for (spec, pointer, wanted) in rows {
        let pointer = format!("/spec/template/spec{pointer}");
        expect(
            ChildKind::StatefulSet,
            "main",
            &[(spec, &pointer, wanted.clone())],
        );
    }
}

#[test]
fn the_stateful_set_makes_brokers_with_a_volume_each_that_outlives_it() {
    let claim = "/spec/volumeClaimTemplates/0/spec";
    let (size, class) = (
        format!("{claim}/resources/requests/storage"),
        format!("{claim}/storageClassName"),
    );
    let kept = "/spec/persistentVolumeClaimRetentionPolicy/whenDeleted";
    let fast = r#"{"storage": {"size": "1Ti", "className": "fast"}}"#;
    expect(
        ChildKind::StatefulSet,
        "main",
        &[
            ("{}", "/spec/replicas", json!(1)),
            ("{}", "/spec/serviceName", json!("main-brokers")),
            ("{}", "/spec/podManagementPolicy", json!("Parallel")),
            ("{}", kept, json!("Retain")),
            ("{}", &size, json!("10Gi")),
            ("{}", &class, Value::Null),
            (fast, &class, json!("fast")),
        ],
    );
}

#[test]
fn brokers_run_as_the_manual_of_the_image_says() {
    let c = "/containers/0";
    let at = |rest: &str| format!("{c}{rest}");
    let args = [
        "--profile=container",
        "--data-dir=/var/lib/sluice",
        "--config=/etc/sluice/config/broker.yaml",
    ];
    let ports = json!([8081, 8082, 5557]);
    expect_of_pods(&[
        ("{}", "/automountServiceAccountToken", json!(false)),
        ("{}", "/terminationGracePeriodSeconds", json!(60)),
        (
            "{}",
            &at("/image"),
            json!("registry.example.org/sluice-broker:0.1.0"),
        ),
        ("{}", &at("/imagePullPolicy"), Value::Null),
        ("{}", &at("/args"), json!(args)),
        ("{}", &at("/startupProbe/httpGet/path"), json!("/readyz")),
        ("{}", &at("/readinessProbe/httpGet/path"), json!("/readyz")),
        ("{}", &at("/livenessProbe/httpGet/path"), json!("/livez")),
        ("{}", &at("/livenessProbe/httpGet/port"), json!("http")),
        ("{}", &at("/ports/0/containerPort"), ports[0].clone()),
        ("{}", &at("/ports/1/containerPort"), ports[1].clone()),
        ("{}", &at("/ports/2/containerPort"), ports[2].clone()),
        (
            "{}",
            "/topologySpreadConstraints/1/topologyKey",
            json!("kubernetes.io/hostname"),
        ),
        ("{}", "/volumes/1/secret/secretName", json!("main-admin")),
        ("{}", "/volumes/2", Value::Null),
    ]);
}

#[test]
fn pods_may_do_no_more_than_the_restricted_level_lets_them() {
    let c = "/containers/0/securityContext";
    let at = |rest: &str| format!("{c}{rest}");
    expect_of_pods(&[
        ("{}", &at("/readOnlyRootFilesystem"), json!(true)),
        ("{}", &at("/allowPrivilegeEscalation"), json!(false)),
        ("{}", &at("/capabilities/drop"), json!(["ALL"])),
        ("{}", "/securityContext/runAsNonRoot", json!(true)),
        ("{}", "/securityContext/fsGroup", json!(65_532)),
        (
            "{}",
            "/securityContext/seccompProfile/type",
            json!("RuntimeDefault"),
        ),
    ]);
}

#[test]
fn image_resources_and_secrets_are_those_of_the_resource() {
    expect_of_pods(&[
        (
            r#"{"image": {"repository": "r/b", "tag": "t", "pullPolicy": "Always"}}"#,
            "/containers/0/image",
            json!("r/b:t"),
        ),
        (
            r#"{"image": {"pullPolicy": "Never"}}"#,
            "/containers/0/imagePullPolicy",
            json!("Never"),
        ),
        (
            r#"{"image": {"pullSecrets": [{"name": "p"}]}}"#,
            "/imagePullSecrets",
            json!([{"name": "p"}]),
        ),
        (
            r#"{"resources": {"limits": {"memory": "1Gi"}}}"#,
            "/containers/0/resources/limits/memory",
            json!("1Gi"),
        ),
        (
            r#"{"tls": {"secretRef": {"name": "cert"}}}"#,
            "/volumes/2/secret/secretName",
            json!("cert"),
        ),
        (
            r#"{"tls": {"secretRef": {"name": "cert"}}}"#,
            "/containers/0/volumeMounts/3/mountPath",
            json!("/etc/sluice/tls"),
        ),
        (
            r#"{"admin": {"tokenSecretRef": {"name": "mine", "key": "t"}}}"#,
            "/volumes/1/secret/items/0",
            json!({"key": "t", "path": "token"}),
        ),
    ]);
}

#[test]
fn what_the_resource_says_of_pods_besides_is_in_them() {
    expect_of_pods(&[
        (
            r#"{"podTemplate": {"priorityClassName": "high"}}"#,
            "/priorityClassName",
            json!("high"),
        ),
        (
            r#"{"podTemplate": {"serviceAccountName": "sa"}}"#,
            "/serviceAccountName",
            json!("sa"),
        ),
        (
            r#"{"podTemplate": {"runtimeClassName": "rc"}}"#,
            "/runtimeClassName",
            json!("rc"),
        ),
        (
            r#"{"podTemplate": {"nodeSelector": {"disk": "fast"}}}"#,
            "/nodeSelector",
            json!({"disk": "fast"}),
        ),
        (
            r#"{"podTemplate": {"tolerations": [{"key": "k"}]}}"#,
            "/tolerations/0/key",
            json!("k"),
        ),
        (
            r#"{"podTemplate": {"affinity": {"nodeAffinity": {}}}}"#,
            "/affinity",
            json!({"nodeAffinity": {}}),
        ),
        (
            r#"{"podTemplate": {"topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]}}"#,
            "/topologySpreadConstraints/0/topologyKey",
            json!("rack"),
        ),
        (
            r#"{"podTemplate": {"env": [{"name": "A", "value": "b"}]}}"#,
            "/containers/0/env",
            json!([{"name": "A", "value": "b"}]),
        ),
        (
            r#"{"podTemplate": {"volumes": [{"name": "x", "emptyDir": {}}]}}"#,
            "/volumes/2/name",
            json!("x"),
        ),
        (
            r#"{"podTemplate": {"volumeMounts": [{"name": "x", "mountPath": "/x"}]}}"#,
            "/containers/0/volumeMounts/3/mountPath",
            json!("/x"),
        ),
    ]);
}

#[test]
fn labels_and_annotations_are_added_and_those_of_the_operator_stay() {
    let spec = r#"{"podTemplate": {"metadata": {
        "labels": {"team": "a", "app.kubernetes.io/name": "theirs"},
        "annotations": {"note": "b", "sluice.dev/restart-hash": "theirs"}}}}"#;
    let set = object(spec, ChildKind::StatefulSet, "main");
    let metadata = &set["spec"]["template"]["metadata"];
    assert_eq!(metadata["labels"]["team"], "a");
    assert_eq!(metadata["labels"]["app.kubernetes.io/name"], "sluice");
    assert_eq!(metadata["annotations"]["note"], "b");
    assert_ne!(metadata["annotations"]["sluice.dev/restart-hash"], "theirs");
}

#[test]
fn a_given_security_context_replaces_the_fields_that_it_has() {
    let spec =
        r#"{"podTemplate": {"securityContext": {"runAsUser": 7, "seccompProfile": {"type": "Unconfined"}}}}"#;
    let set = object(spec, ChildKind::StatefulSet, "main");
    let context = &set["spec"]["template"]["spec"]["securityContext"];
    assert_eq!(context["runAsUser"], 7);
    assert_eq!(context["seccompProfile"], json!({"type": "Unconfined"}));
    assert_eq!(
        (&context["runAsNonRoot"], &context["fsGroup"]),
        (&json!(true), &json!(65_532))
    );
}

#[test]
fn only_what_holds_after_a_restart_is_in_the_template() {
    let template = |config: &str| {
        let spec = format!(r#"{{"config": {config}}}"#);
        object(&spec, ChildKind::StatefulSet, "main")["spec"]["template"].clone()
    };
    let before = template("{}");
    assert_eq!(before, template(r#"{"log": "debug", "checkpointSeconds": 5}"#));
    assert_ne!(before, template(r#"{"flush": "async"}"#));
}

#[test]
fn services_are_as_their_listeners_say() {
    let listener = |exposure: &str| {
        format!(r#"{{"listeners": [{{"name": "out", "port": 80, "exposure": {exposure}}}]}}"#)
    };
    let balanced = listener(
        r#"{"type": "LoadBalancer", "loadBalancerClass": "c", "loadBalancerSourceRanges": ["192.0.2.0/24"],
            "externalTrafficPolicy": "Local", "annotations": {"dns": "mq.example.org"}}"#,
    );
    let on_nodes = listener(r#"{"type": "NodePort", "nodePort": 30001}"#);
    let inside = listener("{}");
    expect(
        ChildKind::Service,
        "main-out",
        &[
            (&inside, "/spec/type", json!("ClusterIP")),
            (&inside, "/spec/ports/0/port", json!(80)),
            (&inside, "/spec/ports/0/targetPort", json!("grpc")),
            (&inside, "/spec/externalTrafficPolicy", Value::Null),
            (&inside, "/metadata/annotations", Value::Null),
            (&on_nodes, "/spec/type", json!("NodePort")),
            (&on_nodes, "/spec/ports/0/nodePort", json!(30_001)),
            (&balanced, "/spec/type", json!("LoadBalancer")),
            (&balanced, "/spec/loadBalancerClass", json!("c")),
            (
                &balanced,
                "/spec/loadBalancerSourceRanges",
                json!(["192.0.2.0/24"]),
            ),
            (&balanced, "/spec/externalTrafficPolicy", json!("Local")),
            (&balanced, "/metadata/annotations/dns", json!("mq.example.org")),
        ],
    );
    expect(
        ChildKind::Service,
        "main-brokers",
        &[
            ("{}", "/spec/clusterIP", json!("None")),
            ("{}", "/spec/publishNotReadyAddresses", json!(true)),
        ],
    );
    expect(
        ChildKind::Service,
        "main-admin",
        &[("{}", "/spec/ports/0/port", json!(8082))],
    );
}

#[test]
fn the_network_policy_lets_in_whom_the_resource_names_and_the_operator_to_the_admin_api() {
    let named = r#"{"networkPolicy": {"clientsFrom": [{"podSelector": {}}], "adminFrom": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}}"#;
    expect(
        ChildKind::NetworkPolicy,
        "main",
        &[
            ("{}", "/spec/policyTypes", json!(["Ingress"])),
            ("{}", "/spec/ingress/0/from", Value::Null),
            ("{}", "/spec/ingress/1/ports/0/port", json!(8082)),
            (
                "{}",
                "/spec/ingress/1/from",
                json!([{
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "sluice"}},
                    "podSelector": {"matchLabels": {"app.kubernetes.io/component": "operator"}},
                }]),
            ),
            (named, "/spec/ingress/0/from", json!([{"podSelector": {}}])),
            (
                named,
                "/spec/ingress/1/from/1/ipBlock/cidr",
                json!("192.0.2.0/24"),
            ),
        ],
    );
}

#[test]
fn budget_and_pod_monitor_are_as_the_resource_says() {
    let none_at_a_time = r#"{"podDisruptionBudget": {"maxUnavailable": 0}}"#;
    expect(
        ChildKind::PodDisruptionBudget,
        "main",
        &[
            ("{}", "/spec/maxUnavailable", json!(1)),
            (none_at_a_time, "/spec/maxUnavailable", json!(0)),
        ],
    );
    let chosen = r#"{"monitoring": {"podMonitor": {"labels": {"release": "p"}, "intervalSeconds": 5}}}"#;
    expect(
        ChildKind::PodMonitor,
        "main",
        &[
            (
                "{}",
                "/spec/podMetricsEndpoints/0",
                json!({
                    "port": "http",
                    "path": "/metrics",
                    "interval": "30s",
                    "relabelings": [{"action": "replace", "targetLabel": "job", "replacement": "sluice"}],
                }),
            ),
            (chosen, "/spec/podMetricsEndpoints/0/interval", json!("5s")),
            (chosen, "/metadata/labels/release", json!("p")),
        ],
    );
    let kinds: Vec<_> = made_where("{}", false).iter().map(|child| child.kind).collect();
    assert!(!kinds.contains(&ChildKind::PodMonitor));
}

#[test]
fn the_binding_has_what_applications_need() {
    let secret = object(
        r#"{"tls": {"secretRef": {"name": "cert"}}}"#,
        ChildKind::Secret,
        "main-binding",
    );
    let secret: Secret = serde_json::from_value(secret).unwrap();
    assert_eq!(secret.type_.as_deref(), Some("servicebinding.io/rocketmq"));
    let data = secret.data.unwrap();
    let entries: Vec<_> = data
        .iter()
        .map(|(key, value)| (key.as_str(), std::str::from_utf8(&value.0).unwrap()))
        .collect();
    let wanted = [
        ("certificates", "the CA"),
        ("endpoints", "main-grpc.shop.svc:8081"),
        ("host", "main-grpc.shop.svc"),
        ("port", "8081"),
        ("provider", "sluice"),
        ("type", "rocketmq"),
    ];
    assert_eq!(entries, wanted);
}

#[test]
fn the_token_is_in_a_file_that_a_broker_takes() {
    let next = rotation::next(None, "token", 3_600, Timestamp::UNIX_EPOCH, "0123456789abcdef");
    let child = token_secret(&cluster("{}"), &next.tokens);
    assert_eq!(
        (child.kind, child.name.as_str()),
        (ChildKind::Secret, "main-admin")
    );
    let secret: Secret = serde_json::from_value(child.body).unwrap();
    assert_eq!(secret.data.unwrap()["token"].0, b"0123456789abcdef\n");
    let annotations = secret.metadata.annotations.unwrap();
    assert_eq!(annotations["sluice.dev/token-made-at"], "1970-01-01T00:00:00Z");
}
