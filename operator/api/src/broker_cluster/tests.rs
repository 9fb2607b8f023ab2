use super::*;
use crate::testing::{parse, refusals};

fn cluster(name: &str, spec: &str) -> BrokerCluster {
    let head = "apiVersion: sluice.dev/v1alpha1\nkind: BrokerCluster\n";
    parse(&format!(
        "{head}metadata: {{name: {name}}}\nspec: {{version: 0.1.0{spec}}}\n"
    ))
}

fn with(spec: &str) -> BrokerCluster {
    cluster("prod", &format!(", storage: {{size: 10Gi}}{spec}"))
}

#[test]
fn a_spec_that_says_no_more_than_version_and_size_has_the_defaults() {
    let cluster = with("");
    assert_eq!(refusals(&cluster, None), [""; 0]);
    let spec = &cluster.spec;
    assert_eq!((spec.shards, spec.replicas), (1, 1));
    assert_eq!(
        spec.image_name("example.org/sluice-broker"),
        "example.org/sluice-broker:0.1.0"
    );
    assert_eq!(spec.admin.token_rotation_period_seconds(), 2_592_000);
    assert_eq!(spec.network_policy.mode, Switch::Enabled);
    assert_eq!(spec.pod_disruption_budget, PodDisruptionBudget::default());
    assert_eq!(spec.monitoring.pod_monitor.mode, PodMonitorMode::Auto);
    assert_eq!(spec.termination_grace_period_seconds, 60);
    assert_eq!(spec.deletion_policy.volumes, VolumePolicy::Retain);
    assert_eq!(spec.listeners.len(), 1);
    assert_eq!(cluster.service_name(&spec.listeners[0]), "prod-grpc");
    assert_eq!(
        (spec.listeners[0].port, spec.listeners[0].exposure.type_),
        (8081, ExposureType::ClusterIP)
    );
}

#[test]
fn an_image_has_the_parts_that_are_given() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let cases = [
        ("repository: a/b".to_owned(), "a/b:0.1.0".to_owned()),
        ("tag: x".to_owned(), "default:x".to_owned()),
        (format!("digest: '{digest}'"), format!("default:0.1.0@{digest}")),
    ];
    for (image, name) in cases {
        assert_eq!(
            with(&format!(", image: {{{image}}}")).spec.image_name("default"),
            name
        );
    }
}

#[test]
fn what_this_release_has_not_and_what_does_not_go_together_is_refused() {
    let shards = "spec.shards: shards can only be 1: this release has no clusters of several shards yet";
    let replicas = "spec.replicas: replicas can only be 1: this release has no replication yet";
    let token = "spec.admin: a token from tokenSecretRef is not rotated by the operator: take tokenRotationPeriodSeconds out";
    let variables = "spec.podTemplate.env: variables that begin with SLUICE_ are the broker's configuration: use spec.config";
    let cases: [(&str, &[&str]); 10] = [
        (", shards: 1, replicas: 1", &[]),
        (", shards: 2", &[shards]),
        (", replicas: 3", &[replicas]),
        (", admin: {tokenSecretRef: {name: a, key: b}}", &[]),
        (", admin: {tokenRotationPeriodSeconds: 3600}", &[]),
        (
            ", admin: {tokenSecretRef: {name: a, key: b}, tokenRotationPeriodSeconds: 3600}",
            &[token],
        ),
        (
            ", podTemplate: {env: [{name: OTEL_TRACES_SAMPLER, value: always_off}]}",
            &[],
        ),
        (
            ", podTemplate: {env: [{name: SLUICE_LOG, value: debug}]}",
            &[variables],
        ),
        (", resources: {requests: {cpu: 2, memory: 4Gi}}", &[]),
        (", tls: {secretRef: {name: tls}}", &[]),
    ];
    for (spec, expected) in cases {
        assert_eq!(refusals(&with(spec), None), expected, "{spec}");
    }
}

#[test]
fn listeners_have_what_their_types_need_and_one_address_at_most() {
    let at = |path: &str, message: &str| vec![format!("spec.listeners{path}: {message}")];
    let of_exposure = |message: &str| at("[0].exposure", message);
    let cases: [(&str, Vec<String>); 10] = [
        (
            "{name: grpc}, {name: public, exposure: {type: LoadBalancer, advertisedHost: mq.example.org}}",
            vec![],
        ),
        (
            "{name: a, exposure: {advertisedHost: a}}, {name: b, exposure: {advertisedHost: b}}",
            at(
                "",
                "routes have one address for all clients: give advertisedHost for one listener only",
            ),
        ),
        ("{name: a, exposure: {type: NodePort, nodePort: 30081}}", vec![]),
        (
            "{name: a, exposure: {nodePort: 30081}}",
            of_exposure("nodePort belongs to the types NodePort and LoadBalancer"),
        ),
        (
            "{name: a, exposure: {type: NodePort, loadBalancerClass: x}}",
            of_exposure("loadBalancerClass belongs to the type LoadBalancer"),
        ),
        (
            "{name: a, exposure: {loadBalancerSourceRanges: [192.0.2.0/24]}}",
            of_exposure("loadBalancerSourceRanges belongs to the type LoadBalancer"),
        ),
        (
            "{name: a, exposure: {externalTrafficPolicy: Local}}",
            of_exposure("externalTrafficPolicy belongs to the types NodePort and LoadBalancer"),
        ),
        (
            "{name: a, exposure: {advertisedPort: 1}}",
            of_exposure("advertisedPort needs advertisedHost"),
        ),
        (
            "{name: brokers}",
            at(
                "[0].name",
                "a listener cannot have this name: the operator has an object of that name itself",
            ),
        ),
        ("{name: admins}", vec![]),
    ];
    for (listeners, expected) in cases {
        let refused = refusals(&with(&format!(", listeners: [{listeners}]")), None);
        assert_eq!(refused, expected, "{listeners}");
    }
}

#[test]
fn a_name_that_no_service_can_begin_with_is_refused() {
    let refusal = "a cluster's name is the beginning of its Services' names: give up to 40 small letters, digits and hyphens, beginning with a letter";
    let longest = "a".repeat(40);
    let too_long = "a".repeat(41);
    let cases = [
        ("prod-1", true),
        (&longest, true),
        (&too_long, false),
        ("1prod", false),
        ("a.b", false),
    ];
    for (name, taken) in cases {
        let cluster = cluster(name, ", storage: {size: 10Gi}");
        let expected = Vec::from_iter((!taken).then_some(refusal));
        assert_eq!(refusals(&cluster, None), expected, "{name}");
    }
}

#[test]
fn a_volume_is_a_size_in_which_a_broker_has_room() {
    let unread = "spec.storage.size: storage.size is a number, perhaps with a fraction, and one of Ki, Mi, Gi, Ti, Pi, Ei, k, M, G, T, P and E, such as 100Gi";
    let small = "spec.storage.size: storage.size is at least 64Mi: a broker has its log, filled some way ahead, and a reserve for a full disk in it";
    for (size, refusal) in [
        ("64Mi", None),
        ("0.5Gi", None),
        ("1.5Ti", None),
        ("1Ei", None),
        ("67108864", None),
        ("1Ki", Some(small)),
        ("0.01Gi", Some(small)),
        ("67108863", Some(small)),
        ("0", Some(small)),
        ("much", Some(unread)),
        ("-1Gi", Some(unread)),
        ("1e9", Some(unread)),
        ("10GB", Some(unread)),
        ("10 Gi", Some(unread)),
        ("100m", Some(unread)),
    ] {
        let cluster = cluster("prod", &format!(", storage: {{size: '{size}'}}"));
        assert_eq!(refusals(&cluster, None), Vec::from_iter(refusal), "{size}");
    }
}

#[test]
fn volumes_grow_and_change_nothing_else() {
    let smaller = "spec.storage.size: storage.size may grow and not shrink: volumes cannot be made smaller";
    let class = "spec.storage.className: storage.className cannot be changed: make another cluster";
    let class_given = "spec.storage: storage.className cannot be changed: make another cluster";
    let cases: [(&str, &str, &[&str]); 8] = [
        ("size: 10Gi", "size: 10Gi", &[]),
        ("size: 10Gi", "size: 1.5Ti", &[]),
        ("size: 1Gi", "size: 1024Mi", &[]),
        ("size: 10Gi", "size: 10G", &[smaller]),
        ("size: 10Gi, className: fast", "size: 10Gi, className: fast", &[]),
        (
            "size: 10Gi, className: fast",
            "size: 10Gi, className: slow",
            &[class],
        ),
        ("size: 10Gi, className: fast", "size: 10Gi", &[class_given]),
        ("size: 10Gi", "size: 10Gi, className: fast", &[class_given]),
    ];
    for (old, new, expected) in cases {
        let of = |storage: &str| cluster("prod", &format!(", storage: {{{storage}}}"));
        assert_eq!(refusals(&of(new), Some(&of(old))), expected, "{old} -> {new}");
    }
}

#[test]
fn the_configuration_is_text_for_the_brokers_or_names_what_is_wrong_with_it() {
    let good =
        with(", config: {autoCreateTopics: false, checkpointSeconds: 60, log: 'info,sluice_store=debug'}");
    let expected = [
        ("autoCreateTopics", "false"),
        ("checkpointSeconds", "60"),
        ("log", "info,sluice_store=debug"),
    ];
    let expected = expected.map(|(key, value)| (key, value.to_owned()));
    assert_eq!(good.spec.configuration(), (BTreeMap::from(expected), Vec::new()));

    let bad =
        with(", config: {dataDir: /x, checkpointBytes: 1.5, log: [info], flush: null, queueMetrics: true}");
    let (given, problems) = bad.spec.configuration();
    assert_eq!(given, BTreeMap::from([("queueMetrics", "true".to_owned())]));
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "config.checkpointBytes is no text, whole number or boolean: give one of these",
            "config.dataDir is set by the operator: take it out",
            "config.flush is no text, whole number or boolean: give one of these",
            "config.log is no text, whole number or boolean: give one of these",
        ]
    );
}
