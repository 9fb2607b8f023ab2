use super::*;
use crate::broker_cluster::configuration::{Configuration, Running};
use crate::broker_cluster::storage::Volumes;
use crate::broker_cluster::testing::cluster;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use sluice_operator_api::broker_cluster::StorageStatus;
use sluice_proto::admin::{BrokerStatus as Answer, ConfigEntry, DiskStatus};

fn at(seconds: i64) -> Time {
    Time(Timestamp::from_second(seconds).unwrap())
}

fn pod(conditions: Value) -> Pod {
    let pod = json!({
        "metadata": {"name": "main-0"},
        "status": {"conditions": conditions, "hostIP": "192.0.2.9"},
    });
    serde_json::from_value(pod).unwrap()
}

fn ready_pod() -> Pod {
    pod(json!([{"type": "Ready", "status": "True"}]))
}

fn answer() -> Broker {
    let status = Answer {
        version: "0.1.0".to_owned(),
        disk: Some(DiskStatus {
            total_bytes: 1 << 30,
            free_bytes: (1 << 30) - 5,
            ..DiskStatus::default()
        }),
        ..Answer::default()
    };
    let entry = ConfigEntry {
        key: "flush".to_owned(),
        value: "sync".to_owned(),
        source: "default".to_owned(),
        ..ConfigEntry::default()
    };
    let running = Running {
        entries: vec![entry],
        refusal: None,
    };
    Broker::Answers(Box::new(status), running)
}

/// A cluster whose pods are as they are to be.
fn observed(broker: Broker, pods: Vec<Pod>) -> Observed {
    let set = json!({
        "metadata": {"name": "main", "generation": 3},
        "spec": {"selector": {}, "template": {}},
        "status": {
            "replicas": 1, "observedGeneration": 3, "updatedReplicas": 1,
            "currentRevision": "main-1", "updateRevision": "main-2",
        },
    });
    let owners = json!([{"uid": "uid-of-main", "controller": true}]);
    let service = json!({"metadata": {"name": "main-grpc", "ownerReferences": owners}, "spec": {}});
    let binding = json!({"metadata": {"ownerReferences": owners}});
    Observed {
        live: [
            ((ChildKind::StatefulSet, "main".to_owned()), set),
            ((ChildKind::Service, "main-grpc".to_owned()), service),
            ((ChildKind::Secret, "main-binding".to_owned()), binding),
        ]
        .into(),
        pods,
        broker,
        ..Observed::default()
    }
}

fn plan_of(cluster: &BrokerCluster) -> Plan {
    Plan {
        configuration: Configuration::of(&cluster.spec, None).ok(),
        volumes: Volumes {
            status: Some(StorageStatus::default()),
            ..Volumes::default()
        },
        ..Plan::default()
    }
}

fn next_of(cluster: &BrokerCluster, observed: &Observed, plan: &Plan) -> BrokerClusterStatus {
    let found = Found {
        cluster,
        observed,
        plan,
        refused: None,
        resize_refused: None,
        failed: None,
    };
    next(&found, &at(1))
}

fn short(status: &BrokerClusterStatus, type_: ConditionType) -> String {
    let found = conditions::find(&status.conditions, type_).unwrap();
    format!("{} {}", found.status, found.reason)
}

#[test]
fn all_conditions_are_there_from_the_first_look_on() {
    let cluster = cluster("{}");
    let status = next_of(&cluster, &Observed::default(), &Plan::default());
    let types: Vec<_> = ConditionType::ALL
        .iter()
        .map(|type_| short(&status, *type_))
        .collect();
    assert_eq!(types.len(), status.conditions.len());
    assert_eq!(short(&status, ConditionType::Ready), "False Starting");
    assert_eq!(short(&status, ConditionType::Progressing), "True Starting");
}

#[test]
fn ready_is_what_pods_and_broker_say() {
    let cluster = cluster("{}");
    let starting = pod(json!([{"type": "Ready", "status": "False"}]));
    let unscheduled = pod(json!([{"type": "PodScheduled", "status": "False", "message": "no room"}]));
    let mut rolling = observed(answer(), vec![ready_pod()]);
    rolling
        .live
        .get_mut(&(ChildKind::StatefulSet, "main".to_owned()))
        .unwrap()["status"]["updatedReplicas"] = 0.into();
    let mut unseen = observed(answer(), vec![ready_pod()]);
    unseen
        .live
        .get_mut(&(ChildKind::StatefulSet, "main".to_owned()))
        .unwrap()["metadata"]["generation"] = 4.into();
    for (observed, ready, progressing, part) in [
        (
            observed(answer(), vec![ready_pod()]),
            "True AllBrokersReady",
            "False Stable",
            "1 of 1",
        ),
        (
            observed(Broker::NotAsked, vec![]),
            "False BrokerNotReady",
            "True Starting",
            "its pod is not there",
        ),
        (
            observed(Broker::NotAsked, vec![starting]),
            "False BrokerNotReady",
            "True Starting",
            "it starts",
        ),
        (
            observed(Broker::NotAsked, vec![unscheduled]),
            "False BrokerNotReady",
            "True Starting",
            "no room",
        ),
        (
            observed(Broker::Silent("refused".to_owned()), vec![ready_pod()]),
            "False BrokerUnreachable",
            "False Stable",
            "refused",
        ),
        (rolling, "False Rolling", "True Rolling", "not all"),
        (unseen, "False Rolling", "True Rolling", "not all"),
    ] {
        let status = next_of(&cluster, &observed, &plan_of(&cluster));
        assert_eq!(short(&status, ConditionType::Ready), ready);
        assert_eq!(short(&status, ConditionType::Progressing), progressing, "{ready}");
        let message = &conditions::find(&status.conditions, ConditionType::Ready)
            .unwrap()
            .message;
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn what_is_wrong_stands_in_its_condition_and_in_ready() {
    let cluster = cluster("{}");
    let observed = observed(answer(), vec![ready_pod()]);
    for (reason, applied) in [
        (Reason::ConfigurationInvalid, "False ConfigurationInvalid"),
        (Reason::SecretNotFound, "True Applied"),
        (Reason::NameTaken, "True Applied"),
        (Reason::ObjectRefused, "True Applied"),
    ] {
        let problem = Problem::blocking(reason, "why");
        let mut plan = plan_of(&cluster);
        plan.problems = vec![problem.clone()];
        let planned = next_of(&cluster, &observed, &plan);
        let plan = plan_of(&cluster);
        let found = Found {
            cluster: &cluster,
            observed: &observed,
            plan: &plan,
            refused: Some(&problem),
            resize_refused: None,
            failed: None,
        };
        for status in [planned, next(&found, &at(1))] {
            assert_eq!(short(&status, ConditionType::Ready), format!("False {reason}"));
            assert_eq!(
                short(&status, ConditionType::Progressing),
                format!("False {reason}")
            );
            assert_eq!(short(&status, ConditionType::ConfigurationApplied), applied);
        }
    }
}

#[test]
fn keys_that_wait_for_a_restart_are_listed_until_the_broker_has_them() {
    let cluster = cluster(r#"{"config": {"flush": "async"}}"#);
    let waiting = observed(answer(), vec![ready_pod()]);
    let status = next_of(&cluster, &waiting, &plan_of(&cluster));
    assert_eq!(status.pending_restart_keys, ["flush"]);
    assert_eq!(
        short(&status, ConditionType::ConfigurationApplied),
        "False RestartPending"
    );
    // While it restarts nobody tells.
    let mut later = cluster;
    later.status = Some(status);
    let silent = observed(Broker::NotAsked, vec![]);
    assert_eq!(
        next_of(&later, &silent, &plan_of(&later)).pending_restart_keys,
        ["flush"]
    );
    let mut done = observed(answer(), vec![ready_pod()]);
    if let Broker::Answers(_, running) = &mut done.broker {
        running.entries[0].value = "async".to_owned();
    }
    let status = next_of(&later, &done, &plan_of(&later));
    assert!(status.pending_restart_keys.is_empty());
    assert_eq!(
        short(&status, ConditionType::ConfigurationApplied),
        "True Applied"
    );
}

#[test]
fn growing_volumes_are_told_of() {
    let cluster = cluster("{}");
    let observed = observed(answer(), vec![ready_pod()]);
    let mut growing = plan_of(&cluster);
    growing.volumes.growing = vec!["data-main-0 grows from 1Gi to 2Gi".to_owned()];
    let mut asked = plan_of(&cluster);
    asked.actions = vec![Action::Renew("main".to_owned(), "u".to_owned())];
    let mut none = plan_of(&cluster);
    none.volumes.status = None;
    let mut unbound = plan_of(&cluster);
    unbound.volumes.unbound = vec!["data-main-0 is not bound".to_owned()];
    for (plan, refused, wanted) in [
        (plan_of(&cluster), None, "False SizeReached"),
        (growing, None, "True Resizing"),
        (asked, None, "True Resizing"),
        (none, None, "Unknown Pending"),
        (unbound, None, "Unknown Pending"),
        (plan_of(&cluster), Some("no"), "False ResizeNotAllowed"),
    ] {
        let found = Found {
            cluster: &cluster,
            observed: &observed,
            plan: &plan,
            refused: None,
            resize_refused: refused,
            failed: None,
        };
        assert_eq!(
            short(&next(&found, &at(1)), ConditionType::StorageResizing),
            wanted
        );
    }
}

#[test]
fn the_status_has_brokers_listeners_and_what_applications_and_controllers_need() {
    let cluster = cluster("{}");
    let mut observed = observed(answer(), vec![ready_pod()]);
    let secret = json!({"data": {"token": "MDEyMzQ1Njc4OWFiY2RlZg=="}});
    observed
        .live
        .insert((ChildKind::Secret, "main-admin".to_owned()), secret);
    let status = next_of(&cluster, &observed, &plan_of(&cluster));
    assert_eq!(status.version.as_deref(), Some("0.1.0"));
    let broker = &status.brokers[0];
    assert_eq!((broker.name.as_str(), broker.ready), ("main-0", true));
    // Five bytes are told as one step.
    assert_eq!(
        (broker.disk_used_bytes, broker.disk_capacity_bytes),
        (Some(16 << 20), Some(1 << 30))
    );
    assert_eq!(status.listeners[0].address, "main-grpc.shop.svc:8081");
    assert_eq!(status.binding.unwrap().secret_ref.name, "main-binding");
    let token = status.admin_token_secret_ref.unwrap();
    assert_eq!((token.name.as_str(), token.key.as_str()), ("main-admin", "token"));
}

#[test]
fn somebody_elses_objects_are_no_address_of_the_cluster() {
    let cluster = cluster("{}");
    let mut observed = observed(answer(), vec![ready_pod()]);
    for (kind, name) in [
        (ChildKind::Service, "main-grpc"),
        (ChildKind::Secret, "main-binding"),
    ] {
        let theirs = observed.live.get_mut(&(kind, name.to_owned())).unwrap();
        theirs["metadata"]["ownerReferences"][0]["uid"] = "another".into();
    }
    let status = next_of(&cluster, &observed, &plan_of(&cluster));
    assert_eq!(status.listeners, []);
    assert_eq!(status.binding, None);
}

#[test]
fn a_cluster_that_cannot_be_looked_at_says_why_and_keeps_what_was_known() {
    let mut cluster = cluster("{}");
    let blank = unseen(&cluster, "the API server: forbidden", &at(1));
    let ready = conditions::find(&blank.conditions, ConditionType::Ready).unwrap();
    assert_eq!(short(&blank, ConditionType::Ready), "False Failed");
    assert!(ready.message.ends_with("the API server: forbidden"), "{ready:?}");
    assert_eq!(ready.observed_generation, Some(1));
    let told = notes(None, &blank);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].warning && told[0].reason == "Failed", "{told:?}");

    let known = next_of(
        &cluster,
        &observed(answer(), vec![ready_pod()]),
        &plan_of(&cluster),
    );
    cluster.status = Some(known.clone());
    let lost = unseen(&cluster, "the API server: forbidden", &at(2));
    assert_eq!(short(&lost, ConditionType::Ready), "False Failed");
    assert_eq!(
        (&lost.brokers, &lost.listeners),
        (&known.brokers, &known.listeners)
    );
    assert_eq!(lost.conditions.len(), known.conditions.len());
    cluster.status = Some(lost.clone());
    let again = unseen(&cluster, "the API server: forbidden", &at(3));
    assert_eq!(again, lost, "it is written once");
    assert_eq!(notes(Some(&lost), &again), []);
}

#[test]
fn looking_again_without_a_change_changes_nothing() {
    let mut cluster = cluster("{}");
    let observed = observed(answer(), vec![ready_pod()]);
    let plan = plan_of(&cluster);
    let first = next_of(&cluster, &observed, &plan);
    cluster.status = Some(first.clone());
    let found = Found {
        cluster: &cluster,
        observed: &observed,
        plan: &plan,
        refused: None,
        resize_refused: None,
        failed: None,
    };
    let second = next(&found, &at(99));
    assert_eq!(second, first);
    assert_eq!(notes(Some(&first), &second), []);
}

#[test]
fn what_becomes_of_a_cluster_is_told_once() {
    let cluster = cluster("{}");
    let plan = plan_of(&cluster);
    let ready = next_of(&cluster, &observed(answer(), vec![ready_pod()]), &plan);
    let told = notes(None, &ready);
    assert!(
        told.iter()
            .any(|note| note.reason == "AllBrokersReady" && !note.warning),
        "{told:?}"
    );
    let mut wrong = plan_of(&cluster);
    wrong.problems = vec![Problem::blocking(Reason::SecretNotFound, "where")];
    let lost = next_of(&cluster, &observed(answer(), vec![ready_pod()]), &wrong);
    let told = notes(Some(&ready), &lost);
    let warnings: Vec<_> = told.iter().filter(|note| note.warning).collect();
    assert_eq!(warnings.len(), 1, "{told:?}");
    assert_eq!(
        (warnings[0].reason, warnings[0].text.as_str()),
        ("SecretNotFound", "where")
    );
}
