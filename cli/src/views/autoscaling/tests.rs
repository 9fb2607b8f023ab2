//! One group as the operator leaves it, in every format.

use super::Explanation;
use crate::output::{Format, Report as _};
use serde_json::{Value, json};
use sluice_operator_api::ConsumerGroup;

/// Noon of the last decision but for two minutes.
const ASKED_MS: u64 = 1_782_907_320_000;

fn group(mut change: impl FnMut(&mut Value)) -> Explanation {
    let mut group = json!({
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "ConsumerGroup",
        "metadata": {"name": "billing", "namespace": "shop"},
        "spec": {
            "clusterRef": {"name": "main"},
            "groupName": "Billing_v2",
            "autoscaling": {"scaleTargetRef": {"name": "billing-worker"}, "maxReplicas": 12},
        },
        "status": {
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "UpToDate", "message": "as it is to be",
                 "lastTransitionTime": "2026-07-01T11:00:00Z"},
                {"type": "ScalingLimited", "status": "True", "reason": "QueueCount", "message": "8 queues",
                 "lastTransitionTime": "2026-07-01T12:00:00Z"},
            ],
            "lag": {"messages": 60_240, "ready": 60_000, "inflight": 240, "ageSeconds": 95, "queuesWithLag": 8,
                    "stuckQueues": 1},
            "replicas": {"current": 1, "desired": 8, "recommended": 60, "cap": 8, "capReason": "QueueCount"},
            "lastScale": {"time": "2026-07-01T12:00:00Z", "from": 1, "to": 8, "reason": "Lag"},
            "guards": [{"name": "db", "active": true, "action": "HoldScaleUp", "message": "91 is above 85"}],
            "lastDecisions": [{
                "time": "2026-07-01T12:00:00Z", "from": 1, "to": 8, "recommended": 60, "reason": "Lag",
                "limitedBy": "QueueCount", "lag": 60_240, "message": "60 wanted, capped at 8 queues",
            }],
        },
    });
    change(&mut group);
    let group: ConsumerGroup = serde_json::from_value(group).unwrap();
    Explanation::new(&group, ASKED_MS)
}

#[test]
fn the_table_says_what_was_decided_and_what_is_in_the_way() {
    assert_eq!(
        group(|_| ()).render(Format::Table, false),
        "group:        Billing_v2 (ConsumerGroup billing) of the cluster main\n\
         namespace:    shop\n\
         scales:       Deployment billing-worker\n\
         mode:         Active\n\
         replicas:     1 current, 8 desired, 60 asked for by the lag, at most 8 (QueueCount)\n\
         lag:          60,000 ready, 240 in flight, the oldest waits for 1m35s, in 8 queues, 1 of them stuck\n\
         last change:  1 -> 8, 2m ago (Lag)\n\
         \n\
         GUARD   ACTIVE   ACTION        FOUND\n\
         db      yes      HoldScaleUp   91 is above 85\n\
         \n\
         CONDITION        STATUS   REASON       MESSAGE\n\
         ScalingLimited   True     QueueCount   8 queues\n\
         \n\
         DECIDED   FROM   TO   ASKED FOR      LAG   REASON   LIMITED BY   WHY\n\
         2m ago       1    8          60   60,240   Lag      QueueCount   60 wanted, capped at 8 queues"
    );
    let wide = group(|_| ()).render(Format::Wide, false);
    assert!(wide.contains("Ready            True     UpToDate"), "{wide}");
}

#[test]
fn what_is_asked_for_is_written_as_the_lag_is() {
    let asked = group(|group| {
        let status = &mut group["status"];
        status["replicas"]["recommended"] = 1000.into();
        status["lastDecisions"][0]["recommended"] = 1000.into();
        status["lastDecisions"][0]["lag"] = 1000.into();
    });
    let table = asked.render(Format::Table, false);
    assert!(table.contains("1,000 asked for by the lag"), "{table}");
    assert!(
        table.contains("2m ago       1    8       1,000   1,000   Lag"),
        "{table}"
    );
}

#[test]
fn a_group_that_nothing_was_decided_for_says_so() {
    let text = group(|group| group["status"] = json!({"conditions": []})).render(Format::Table, false);
    assert!(
        text.ends_with("lag:          not known\nlast change:  -\n\nnothing was decided yet"),
        "{text}"
    );
    let without = group(|group| {
        group["spec"].as_object_mut().unwrap().remove("autoscaling");
        group["status"] = json!({"conditions": []});
    });
    let text = without.render(Format::Table, false);
    assert!(
        text.contains("autoscaling:  none: spec.autoscaling is not given"),
        "{text}"
    );
}

#[test]
fn a_lag_of_which_only_the_sum_is_known_is_told_as_such() {
    let text =
        group(|group| group["status"]["lag"] = json!({"messages": 1_500})).render(Format::Table, false);
    assert!(text.contains("lag:          1,500 messages\n"), "{text}");
}

#[test]
fn json_is_the_documented_shape() {
    let json = group(|_| ()).render(Format::Json, true);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        json,
        json!({
            "group": "Billing_v2",
            "resource": "billing",
            "namespace": "shop",
            "cluster": "main",
            "mode": "Active",
            "target": {"kind": "Deployment", "name": "billing-worker"},
            "replicas": {"current": 1, "desired": 8, "recommended": 60, "cap": 8, "cap_reason": "QueueCount"},
            "lag": {"messages": 60_240, "ready": 60_000, "inflight": 240, "age_seconds": 95, "queues_with_lag": 8,
                    "stuck_queues": 1},
            "last_scale": {"time": "2026-07-01T12:00:00.000Z", "from": 1, "to": 8, "reason": "Lag"},
            "guards": [{"name": "db", "active": true, "action": "HoldScaleUp", "message": "91 is above 85"}],
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "UpToDate", "message": "as it is to be",
                 "since": "2026-07-01T11:00:00.000Z"},
                {"type": "ScalingLimited", "status": "True", "reason": "QueueCount", "message": "8 queues",
                 "since": "2026-07-01T12:00:00.000Z"},
            ],
            "decisions": [{
                "time": "2026-07-01T12:00:00.000Z", "from": 1, "to": 8, "recommended": 60, "reason": "Lag",
                "limited_by": "QueueCount", "lag": 60_240, "message": "60 wanted, capped at 8 queues",
            }],
        })
    );
}
