//! How the operator runs.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sluice_tests::binaries;

use crate::stage::{NAMESPACE, of_kind, render, render_file, texts, the};

const CONTAINER: &str = "/spec/template/spec/containers/0";

fn arguments(objects: &[Value]) -> Vec<String> {
    let container = the(objects, "Deployment").pointer(CONTAINER).unwrap();
    texts(&container["args"]).into_iter().map(str::to_owned).collect()
}

#[test]
fn every_argument_is_a_flag_that_the_operator_has() {
    let page = std::fs::read_to_string(binaries::workspace().join("docs/operator.md")).unwrap();
    let flags: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `--")?.split_once('`'))
        .map(|(flag, _)| format!("--{flag}"))
        .collect();
    let objects = render_file("everything");
    let passed = arguments(&objects);
    let (command, given) = passed.split_first().unwrap();
    assert_eq!(command, "run");
    for argument in given {
        let (flag, value) = argument.split_once('=').expect("a flag with its value");
        assert!(flags.contains(flag), "docs/operator.md has no {flag}");
        assert!(!value.is_empty(), "{flag}");
    }
    // What a pod has no use for: brokers outside the cluster, and another name than the pod's.
    let left_out = ["--admin-addresses", "--identity"].map(str::to_owned);
    let namespaced = arguments(&render_file("namespaced"));
    let given = given.iter().chain(&namespaced);
    let given = given.filter_map(|argument| argument.split_once('='));
    let given = given.map(|(flag, _)| flag.to_owned()).chain(left_out);
    let given: BTreeSet<_> = given.collect();
    let missing: Vec<_> = flags.difference(&given).collect();
    assert!(missing.is_empty(), "the chart does not pass {missing:?}");
}

#[test]
fn all_namespaces_are_watched_unless_some_are_named() {
    let named = |objects: &[Value]| {
        let arguments = arguments(objects);
        arguments
            .into_iter()
            .find(|argument| argument.starts_with("--namespaces"))
    };
    assert_eq!(named(&render(&[])), None);
    assert_eq!(
        named(&render_file("namespaced")).as_deref(),
        Some("--namespaces=shop,billing")
    );
}

#[test]
fn the_lease_has_the_releases_name_and_namespace() {
    let arguments = arguments(&render(&[]));
    for wanted in [
        "--lease-name=sluice".to_owned(),
        format!("--lease-namespace={NAMESPACE}"),
    ] {
        assert!(arguments.contains(&wanted), "{arguments:?}");
    }
}

#[test]
fn alerts_have_a_port_that_leads_to_the_operator_and_files_that_the_operator_is_told_of() {
    let objects = render_file("everything");
    let container = the(&objects, "Deployment").pointer(CONTAINER).unwrap();
    let named = |list: &Value| -> Value {
        let ports = list.as_array().unwrap();
        let found = ports.iter().find(|port| port["name"] == "alerts");
        found.cloned().unwrap_or_default()
    };
    let port = named(&container["ports"])["containerPort"].clone();
    assert!(arguments(&objects).contains(&format!("--webhook-listen=0.0.0.0:{port}")));
    let service = named(&the(&objects, "Service")["spec"]["ports"]);
    assert_eq!(
        (&service["port"], &service["targetPort"]),
        (&json!(9443), &json!("alerts"))
    );
    let ingress = &the(&objects, "NetworkPolicy")["spec"]["ingress"][1];
    assert_eq!(ingress["ports"][0]["port"], "alerts");
    assert_eq!(
        ingress["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"],
        "alertmanager"
    );
    // Every file is a key of a Secret that is mounted where the flag says.
    let volumes = the(&objects, "Deployment")
        .pointer("/spec/template/spec/volumes")
        .unwrap();
    let volumes = volumes.as_array().unwrap();
    for (flag, secret) in [
        ("--webhook-token-file=", "alerts"),
        ("--webhook-tls-cert=", "alerts-certificate"),
        ("--webhook-tls-key=", "alerts-certificate"),
        ("--webhook-client-ca=", "alerts-callers"),
    ] {
        let given = arguments(&objects);
        let file = given.iter().find_map(|given| given.strip_prefix(flag)).unwrap();
        let (folder, key) = file.rsplit_once('/').unwrap();
        let mounts = container["volumeMounts"].as_array().unwrap();
        let mount = mounts.iter().find(|mount| mount["mountPath"] == folder).unwrap();
        assert_eq!(mount["readOnly"], true);
        let volume = volumes
            .iter()
            .find(|volume| volume["name"] == mount["name"])
            .unwrap();
        assert_eq!(volume["secret"]["secretName"], secret, "{flag}");
        let keys = volume["secret"]["items"].as_array().unwrap();
        assert!(
            keys.iter().any(|item| item["key"] == key && item["path"] == key),
            "{flag}"
        );
    }
}

#[test]
fn without_being_asked_for_alerts_have_no_port() {
    let objects = render(&[]);
    let text = serde_json::to_string(&objects).unwrap();
    assert!(!text.contains("--webhook") && !text.contains("\"alerts\""));
    assert_eq!(
        the(&objects, "Service")["spec"]["ports"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_digest_goes_before_a_tag_and_the_charts_version_before_nothing() {
    for (arguments, image) in [
        (&[][..], format!("sluice-operator:{}", env!("CARGO_PKG_VERSION"))),
        (&["--set", "image.tag=2.0.0"], "sluice-operator:2.0.0".to_owned()),
        (
            &[
                "--set-string",
                "image.tag=2,image.digest=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            ],
            "sluice-operator@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                .to_owned(),
        ),
    ] {
        let objects = render(arguments);
        assert_eq!(
            the(&objects, "Deployment").pointer(CONTAINER).unwrap()["image"],
            image
        );
    }
}

#[test]
fn the_service_and_the_budget_find_the_operators_pods_and_not_those_of_tests() {
    let objects = render_file("everything");
    let pod = &the(&objects, "Deployment")["spec"]["template"]["metadata"]["labels"];
    let selectors = [
        the(&objects, "Deployment").pointer("/spec/selector/matchLabels"),
        the(&objects, "Service").pointer("/spec/selector"),
        the(&objects, "PodDisruptionBudget").pointer("/spec/selector/matchLabels"),
        the(&objects, "NetworkPolicy").pointer("/spec/podSelector/matchLabels"),
    ];
    let tests = of_kind(&objects, "Pod");
    assert_eq!(tests.len(), 2);
    for selector in selectors {
        let labels = selector.unwrap().as_object().unwrap();
        assert!(
            labels.iter().all(|(name, value)| pod[name] == *value),
            "{labels:?}"
        );
        for test in &tests {
            let other = |(name, value): (&String, &Value)| test["metadata"]["labels"][name] != *value;
            assert!(labels.iter().any(other), "{labels:?}");
        }
    }
}

#[test]
fn evictions_are_bounded_only_where_another_replica_can_take_over() {
    for (replicas, budgets) in [("1", 0), ("2", 1)] {
        let objects = render(&["--set", &format!("replicas={replicas}")]);
        assert_eq!(of_kind(&objects, "PodDisruptionBudget").len(), budgets);
    }
}

#[test]
fn every_object_has_the_labels_of_the_release_and_those_that_are_wanted() {
    for object in render_file("everything").iter().filter(|object| {
        object["metadata"]["name"] != "sluice-extra" && object["metadata"]["name"] != "sluice-text"
    }) {
        let labels = &object["metadata"]["labels"];
        assert_eq!(labels["team"], "platform", "{object}");
        assert_eq!(labels["app.kubernetes.io/instance"], "sluice", "{object}");
        assert_eq!(labels["app.kubernetes.io/name"], "broker-operator", "{object}");
    }
}

#[test]
fn further_objects_are_templates() {
    let objects = render_file("everything");
    let configured = of_kind(&objects, "ConfigMap");
    let found = |name: &str| {
        configured
            .iter()
            .find(|object| object["metadata"]["name"] == name)
    };
    assert_eq!(found("sluice-extra").unwrap()["data"], json!({"text": NAMESPACE}));
    assert!(found("sluice-text").is_some());
}

#[test]
fn with_the_least_of_values_there_is_the_least_of_objects() {
    let objects = render_file("least");
    let kinds: Vec<_> = objects
        .iter()
        .map(|object| object["kind"].as_str().unwrap())
        .collect();
    let kinds: BTreeSet<_> = kinds.into_iter().collect();
    let expected = [
        "ClusterRole",
        "CustomResourceDefinition",
        "Deployment",
        "Service",
        "ServiceAccount",
    ];
    assert_eq!(kinds, BTreeSet::from(expected));
}
