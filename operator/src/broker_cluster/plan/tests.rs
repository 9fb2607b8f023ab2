use super::*;
use crate::broker_cluster::drift::{Landed, stamped};
use crate::broker_cluster::testing::cluster;
use serde_json::json;
use std::collections::BTreeSet;

const TOKEN: &str = "fresh-fresh-fresh-fresh";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn plan_at(cluster: &BrokerCluster, observed: &Observed, seconds: i64) -> Plan {
    let around = Surroundings {
        image_repository: "registry.example.org/sluice-broker",
        operator_namespace: "sluice",
        now: at(seconds),
        fresh_token: TOKEN,
    };
    plan(cluster, observed, &around)
}

/// What there is once everything that is planned has been done.
fn settle(cluster: &BrokerCluster, observed: &mut Observed, seconds: i64) {
    for _ in 0..4 {
        let plan = plan_at(cluster, observed, seconds);
        for action in plan.actions {
            match action {
                Action::Apply(child, _) => {
                    let mut live = stamped(&child);
                    live["metadata"]["uid"] = format!("uid-of-{}-{}", child.kind, child.name).into();
                    observed.live.insert((child.kind, child.name), live);
                }
                Action::Delete(kind, name, _) => drop(observed.live.remove(&(kind, name))),
                Action::Renew(name, _) => drop(observed.live.remove(&(ChildKind::StatefulSet, name))),
                Action::Configure(_) | Action::Volume(_) => {}
            }
        }
    }
}

fn settled(spec: &str) -> (BrokerCluster, Observed) {
    let cluster = cluster(spec);
    let mut observed = Observed {
        pod_monitors: true,
        ..Observed::default()
    };
    settle(&cluster, &mut observed, 0);
    (cluster, observed)
}

/// What a plan does, in short: `Created Service/main-grpc`.
fn short(plan: &Plan) -> BTreeSet<String> {
    let short = plan.actions.iter().map(|action| match action {
        Action::Apply(child, change) => format!("{change:?} {}/{}", child.kind, child.name),
        Action::Delete(kind, name, _) => format!("Deleted {kind}/{name}"),
        Action::Renew(name, _) => format!("Renewed {name}"),
        Action::Configure(changes) => format!("Configured {}", changes.len()),
        Action::Volume(VolumeStep::Expand { claim, to, .. }) => format!("Expanded {claim} {to}"),
        Action::Volume(VolumeStep::Bind { claim, bound, .. }) => format!("Bound {claim} {bound}"),
    });
    short.collect()
}

fn set(parts: &[&str]) -> BTreeSet<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

#[test]
fn a_new_cluster_is_made_whole_with_the_pods_last() {
    let observed = Observed {
        pod_monitors: true,
        ..Observed::default()
    };
    let plan = plan_at(&cluster("{}"), &observed, 0);
    let wanted = [
        "Created Service/main-brokers",
        "Created Service/main-admin",
        "Created Service/main-grpc",
        "Created Secret/main-admin",
        "Created Secret/main-binding",
        "Created ConfigMap/main-config",
        "Created NetworkPolicy/main",
        "Created PodDisruptionBudget/main",
        "Created PodMonitor/main",
        "Created StatefulSet/main",
    ];
    assert_eq!(short(&plan), set(&wanted));
    let last = plan.actions.last();
    assert!(matches!(last, Some(Action::Apply(child, _)) if child.kind == ChildKind::StatefulSet));
}

#[test]
fn where_everything_is_as_it_is_to_be_nothing_is_done() {
    for spec in [
        "{}",
        r#"{"networkPolicy": {"mode": "Disabled"}, "config": {"flush": "async", "log": "debug"}}"#,
        r#"{"listeners": [{"name": "out", "exposure": {"type": "NodePort", "nodePort": 30001, "advertisedHost": "node"}}]}"#,
        r#"{"resources": {"requests": {"cpu": "1"}}, "podTemplate": {"env": [{"name": "A", "value": "b"}]}}"#,
    ] {
        let (cluster, observed) = settled(spec);
        let plan = plan_at(&cluster, &observed, 60);
        assert_eq!((short(&plan), plan.problems), (set(&[]), vec![]), "{spec}");
    }
}

#[test]
fn one_changed_field_changes_the_objects_that_have_it_and_no_others() {
    for (spec, changes) in [
        (r#"{"version": "0.2.0"}"#, &["Updated StatefulSet/main"][..]),
        (
            r#"{"config": {"log": "debug"}}"#,
            &["Updated ConfigMap/main-config"],
        ),
        (
            r#"{"config": {"flush": "async"}}"#,
            &["Updated ConfigMap/main-config", "Updated StatefulSet/main"],
        ),
        (
            r#"{"networkPolicy": {"mode": "Disabled"}}"#,
            &["Deleted NetworkPolicy/main"],
        ),
        (
            r#"{"networkPolicy": {"clientsFrom": [{"podSelector": {}}]}}"#,
            &["Updated NetworkPolicy/main"],
        ),
        (
            r#"{"podDisruptionBudget": {"mode": "Disabled"}}"#,
            &["Deleted PodDisruptionBudget/main"],
        ),
        (
            r#"{"monitoring": {"podMonitor": {"mode": "Disabled"}}}"#,
            &["Deleted PodMonitor/main"],
        ),
        (
            r#"{"listeners": [{"name": "grpc", "exposure": {"type": "LoadBalancer"}}]}"#,
            &["Updated Service/main-grpc"],
        ),
        (
            r#"{"listeners": [{"name": "other"}]}"#,
            &[
                "Created Service/main-other",
                "Deleted Service/main-grpc",
                "Updated Secret/main-binding",
            ],
        ),
        (
            r#"{"listeners": [{"name": "grpc", "exposure": {"advertisedHost": "mq.example.org"}}]}"#,
            &["Updated ConfigMap/main-config", "Updated StatefulSet/main"],
        ),
        (
            r#"{"terminationGracePeriodSeconds": 90}"#,
            &["Updated StatefulSet/main"],
        ),
        (r#"{"storage": {"size": "20Gi"}}"#, &["Renewed main"]),
        (r#"{"admin": {"tokenRotationPeriodSeconds": 7200}}"#, &[]),
    ] {
        let (_, observed) = settled("{}");
        let plan = plan_at(&cluster(spec), &observed, 60);
        assert_eq!(short(&plan), set(changes), "{spec}");
    }
}

#[test]
fn what_others_delete_or_change_is_put_back() {
    let (cluster, settled) = settled("{}");
    for key in settled.live.keys() {
        let mut observed = settled.clone();
        observed.live.remove(key);
        // A token that is gone is gone: there is a new one.
        let wanted = format!("Created {}/{}", key.0, key.1);
        assert_eq!(short(&plan_at(&cluster, &observed, 60)), set(&[&wanted]));

        let mut observed = settled.clone();
        let live = observed.live.get_mut(key).unwrap();
        live["metadata"]["labels"]["sluice.dev/cluster"] = "theirs".into();
        let wanted = format!("Corrected {}/{}", key.0, key.1);
        assert_eq!(short(&plan_at(&cluster, &observed, 60)), set(&[&wanted]));
    }
}

#[test]
fn what_an_admission_webhook_makes_of_the_pods_is_left_alone() {
    let (cluster, mut observed) = settled("{}");
    let wanted = plan_at(&cluster, &Observed::default(), 0);
    let key = (ChildKind::StatefulSet, "main".to_owned());
    let live = observed.live.get_mut(&key).unwrap();
    live["spec"]["template"]["spec"]["containers"][0]["image"] =
        "mirror.example.org/sluice-broker:0.1.0".into();
    let child = wanted.actions.into_iter().find_map(|action| match action {
        Action::Apply(child, _) if child.kind == ChildKind::StatefulSet => Some(child),
        _ => None,
    });
    let landed = Landed::of(&child.unwrap(), live);
    let uid = uid(live);
    assert_eq!(
        short(&plan_at(&cluster, &observed, 60)),
        set(&["Corrected StatefulSet/main"])
    );
    observed.landed.insert(uid, landed);
    assert_eq!(short(&plan_at(&cluster, &observed, 60)), set(&[]));
}

#[test]
fn a_token_is_exchanged_in_steps_that_touch_its_secret_alone() {
    let (cluster, mut observed) = settled(r#"{"admin": {"tokenRotationPeriodSeconds": 3600}}"#);
    for (seconds, changes) in [
        (3_599, &[][..]),
        (3_600, &["Updated Secret/main-admin"]),
        (3_700, &[]),
        (3_900, &["Updated Secret/main-admin"]),
        (4_200, &["Updated Secret/main-admin"]),
        (4_500, &[]),
    ] {
        assert_eq!(
            short(&plan_at(&cluster, &observed, seconds)),
            set(changes),
            "{seconds}"
        );
        settle(&cluster, &mut observed, seconds);
    }
    let secret = &observed.live[&(ChildKind::Secret, "main-admin".to_owned())];
    let annotations = secret["metadata"]["annotations"].as_object().unwrap();
    assert!(!annotations.contains_key("sluice.dev/token-step"), "{secret}");
}

#[test]
fn volumes_grow_before_the_stateful_set_is_made_anew() {
    let (_, mut observed) = settled("{}");
    let claim = |size: &str| {
        let claim = json!({
            "metadata": {"name": "data-main-0", "uid": "u"},
            "spec": {"resources": {"requests": {"storage": size}}},
            "status": {"capacity": {"storage": "10Gi"}},
        });
        vec![serde_json::from_value(claim).unwrap()]
    };
    let larger = cluster(r#"{"storage": {"size": "20Gi"}, "version": "0.2.0"}"#);
    observed.claims = claim("10Gi");
    // Other changes go on meanwhile, with the template that there is.
    let first = plan_at(&larger, &observed, 1);
    assert_eq!(
        short(&first),
        set(&["Expanded data-main-0 20Gi", "Updated StatefulSet/main"])
    );
    settle(&larger, &mut observed, 1);
    observed.claims = claim("20Gi");
    assert_eq!(short(&plan_at(&larger, &observed, 2)), set(&["Renewed main"]));
    // It is there until its pods are orphaned, and is not written to any more.
    let key = (ChildKind::StatefulSet, "main".to_owned());
    observed.live.get_mut(&key).unwrap()["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    assert_eq!(short(&plan_at(&larger, &observed, 3)), set(&[]));
    observed.live.remove(&key);
    assert_eq!(
        short(&plan_at(&larger, &observed, 4)),
        set(&["Created StatefulSet/main"])
    );
    settle(&larger, &mut observed, 4);
    assert_eq!(short(&plan_at(&larger, &observed, 5)), set(&[]));
}

#[test]
fn what_needs_a_port_of_kubernetes_choice_waits_for_it() {
    let exposed = cluster(
        r#"{"listeners": [{"name": "out", "exposure": {"type": "NodePort", "advertisedHost": "node"}}]}"#,
    );
    let (_, mut observed) = settled("{}");
    let plan = plan_at(&exposed, &observed, 1);
    assert_eq!(short(&plan), set(&["Created Service/main-out"]));
    settle(&exposed, &mut observed, 1);
    let service = observed
        .live
        .get_mut(&(ChildKind::Service, "main-out".to_owned()))
        .unwrap();
    service["spec"]["ports"][0]["nodePort"] = 31_000.into();
    let wanted = [
        "Deleted Service/main-grpc",
        "Updated ConfigMap/main-config",
        "Updated Secret/main-binding",
        "Updated StatefulSet/main",
    ];
    assert_eq!(short(&plan_at(&exposed, &observed, 2)), set(&wanted));
}

#[test]
fn nothing_is_done_while_something_is_wrong_or_the_resource_is_paused_or_going() {
    let (_, observed) = settled("{}");
    let wrong = cluster(r#"{"config": {"nope": 1}, "version": "0.2.0"}"#);
    let mut paused = cluster(r#"{"version": "0.2.0"}"#);
    paused.metadata.annotations = Some([("sluice.dev/paused".to_owned(), "true".to_owned())].into());
    let mut going = cluster(r#"{"version": "0.2.0"}"#);
    going.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(0)));
    for (name, cluster, problems, is_paused) in [
        ("wrong", wrong, 1, false),
        ("paused", paused, 0, true),
        ("going", going, 0, false),
    ] {
        let plan = plan_at(&cluster, &observed, 60);
        assert_eq!(plan.actions, [], "{name}");
        assert_eq!(
            (plan.problems.len(), plan.paused),
            (problems, is_paused),
            "{name}"
        );
    }
}

#[test]
fn an_object_of_somebody_else_stops_everything_and_is_named() {
    let cluster = cluster("{}");
    let theirs = json!({"metadata": {"name": "main-grpc", "uid": "x", "labels": {"app": "theirs"}}});
    let observed = Observed {
        live: [((ChildKind::Service, "main-grpc".to_owned()), theirs)].into(),
        ..Observed::default()
    };
    let plan = plan_at(&cluster, &observed, 0);
    assert_eq!(plan.actions, []);
    assert!(
        plan.problems[0].message.contains("Service 'main-grpc'"),
        "{:?}",
        plan.problems
    );
}

#[test]
fn the_operators_token_goes_when_the_resource_brings_its_own() {
    let (_, mut observed) = settled("{}");
    let own = cluster(r#"{"admin": {"tokenSecretRef": {"name": "mine", "key": "t"}}}"#);
    let secret = json!({"data": {"t": "MDEyMzQ1Njc4OWFiY2RlZg=="}});
    observed
        .given
        .insert("mine".to_owned(), serde_json::from_value(secret).unwrap());
    let plan = plan_at(&own, &observed, 1);
    assert_eq!(
        short(&plan),
        set(&["Deleted Secret/main-admin", "Updated StatefulSet/main"])
    );
    assert!(plan.tokens.is_none());
}
