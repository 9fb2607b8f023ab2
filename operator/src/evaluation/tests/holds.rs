//! Cases in which nothing is written, each with its words.

use super::*;
use serde_json::json;

/// A case after one evaluation, in which the workload was left alone.
async fn held(fields: &str, given: impl FnOnce(&Case)) -> Case {
    let case = Case::new("60000", fields).await;
    given(&case);
    case.evaluate().await.unwrap();
    assert_eq!(case.scaled(), [0_u64; 0]);
    case
}

#[tokio::test]
async fn without_a_number_that_can_be_believed_replicas_stay() {
    type Given = fn(&mut super::prometheus::Scraped);
    let rows: [(Given, &str); 5] = [
        (|scraped| scraped.ready = None, "ResultEmpty"),
        (
            |scraped| scraped.ready = Some("NaN".to_owned()),
            "ResultNotANumber",
        ),
        (
            |scraped| scraped.ready = Some("-1".to_owned()),
            "ResultNotANumber",
        ),
        (|scraped| scraped.age = 3_600, "SampleStale"),
        (|scraped| scraped.token = Some("unknown"), "PrometheusUnreachable"),
    ];
    for (given, reason) in rows {
        let case = held("", |case| case.prometheus.scrape(given)).await;
        assert_eq!(case.condition("MetricsAvailable"), format!("False:{reason}"));
        assert_eq!(case.condition("ScalingActive"), format!("False:{reason}"));
        assert_eq!(case.status()["replicas"]["desired"], 1);
        assert!(case.status().get("lag").is_none());
        case.evaluate().await.unwrap();
        assert_eq!(case.api.with(|state| state.events.clone()), ["MetricsMissing"]);
        case.prometheus.scrape(|scraped| {
            (scraped.ready, scraped.age, scraped.token) = (Some("500".to_owned()), 1, None);
        });
        case.evaluate().await.unwrap();
        let told = case.api.with(|state| state.events.clone());
        assert_eq!(told, ["MetricsMissing", "MetricsAvailable"]);
    }
}

#[tokio::test]
async fn where_nobody_tells_of_single_queues_their_cap_holds_replicas_and_says_what_is_missing() {
    let case = held("cap: {policy: QueuesWithLag}", |_| {}).await;
    assert_eq!(case.condition("MetricsAvailable"), "False:ResultEmpty");
    let message = case.status()["conditions"].to_string();
    assert!(message.contains("queueMetrics"), "{message}");
    let case = held("lag: {excludeStuckQueuesAfterSeconds: 300}", |_| {}).await;
    assert_eq!(case.condition("ScalingActive"), "False:InvalidSpec");
    let message = case.status()["conditions"].to_string();
    assert!(message.contains("lag.source to Broker"), "{message}");
}

#[tokio::test]
async fn a_prometheus_that_is_gone_is_no_lag_of_zero() {
    let case = Case::new("60000", "").await;
    case.evaluate().await.unwrap();
    // Nobody listens on a port that was just given back.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    case.api
        .with(|state| state.group["spec"]["autoscaling"]["prometheus"]["url"] = url.into());
    case.evaluate().await.unwrap();
    assert_eq!(case.scaled(), [8]);
    assert_eq!(case.condition("MetricsAvailable"), "False:PrometheusUnreachable");
}

#[tokio::test]
async fn recommendations_are_shown_and_not_written() {
    let case = held("mode: Recommend", |_| {}).await;
    let replicas = &case.status()["replicas"];
    assert_eq!(
        (&replicas["current"], &replicas["desired"]),
        (&1.into(), &8.into())
    );
    assert_eq!(case.condition("ScalingActive"), "False:RecommendOnly");
    let history = case.status().get("history").cloned();
    assert_eq!(history, Some(json!({ "queues": 8 })), "nothing has happened");
    assert_eq!(case.api.with(|state| state.events.clone()), [""; 0]);
}

#[tokio::test]
async fn what_is_disabled_is_not_even_read() {
    let case = held("mode: Disabled", |case| {
        case.api.with(|state| state.replicas = None)
    })
    .await;
    assert_eq!(case.condition("ScalingActive"), "False:Disabled");
    assert_eq!(case.condition("MetricsAvailable"), "");
    let case = Case::new("60000", "").await;
    case.evaluate().await.unwrap();
    case.api
        .with(|state| state.group["spec"]["autoscaling"]["mode"] = "Disabled".into());
    case.evaluate().await.unwrap();
    let page = case.work.context.metrics.page().unwrap();
    assert!(!page.contains("sluice_operator_desired_replicas{"), "{page}");
    assert_eq!(
        case.status()["history"]["written"],
        8,
        "what was done is remembered"
    );
}

#[tokio::test]
async fn another_autoscaler_of_the_workload_is_named_and_not_fought() {
    let autoscaler = |namespace: &str| {
        json!({
            "metadata": { "name": "theirs", "namespace": namespace },
            "spec": { "maxReplicas": 3, "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "worker" } },
        })
    };
    let case = held("", |case| {
        case.api.with(|state| state.autoscalers.push(autoscaler("shop")))
    })
    .await;
    assert_eq!(case.condition("Conflicted"), "True:OtherAutoscaler");
    assert_eq!(case.condition("ScalingActive"), "False:OtherAutoscaler");
    let message = case.status()["conditions"].to_string();
    assert!(message.contains("HorizontalPodAutoscaler theirs"), "{message}");
    let case = Case::new("60000", "").await;
    case.api.with(|state| state.autoscalers.push(autoscaler("other")));
    case.evaluate().await.unwrap();
    assert_eq!(case.scaled(), [8], "one of another namespace's workload");
}

#[tokio::test(start_paused = true)]
async fn while_it_cannot_be_told_who_else_scales_it_the_workload_is_left_alone() {
    let case = Case::new("60000", "").await;
    assert_eq!(case.evaluate_unlisted().await.unwrap(), Next::Usual);
    assert_eq!(case.scaled(), [0_u64; 0]);
    assert_eq!(case.condition("ScalingActive"), "False:Failed");
    let message = case.status()["conditions"].to_string();
    assert!(message.contains("cannot tell who else scales"), "{message}");
}

#[tokio::test]
async fn all_guards_are_asked_at_one_time() {
    let guard = |name: &str| {
        format!("{{name: {name}, type: Prometheus, prometheus: {{query: together, above: '85'}}}}")
    };
    let names = ["a", "b", "c"].map(guard).join(", ");
    let case = Case::new("60000", &format!("guards: [{names}]")).await;
    // Asked one after the other, none of them would be answered.
    case.evaluate().await.unwrap();
    assert_eq!(case.condition("MetricsAvailable"), "True:MetricsRead");
    assert_eq!(case.scaled(), [8]);
}

#[tokio::test]
async fn a_guard_that_has_tripped_holds_and_is_told_of_once() {
    let guards = "guards: [{name: load, type: Prometheus, prometheus: {query: db_load, above: '85'}}]";
    let case = held(guards, |case| {
        case.prometheus.scrape(|scraped| scraped.load = Some(91))
    })
    .await;
    case.evaluate().await.unwrap();
    assert_eq!(case.scaled(), [0_u64; 0]);
    assert_eq!(case.condition("GuardActive"), "True:Guard");
    assert_eq!(case.condition("ScalingLimited"), "True:Guard");
    let guard = &case.status()["guards"][0];
    assert_eq!(
        (&guard["active"], &guard["message"]),
        (&true.into(), &"its value is above 85".into())
    );
    assert_eq!(case.api.with(|state| state.events.clone()), ["GuardActive"]);
    let page = case.work.context.metrics.page().unwrap();
    let line = r#"sluice_operator_guard_active{guard="load",name="billing",namespace="shop"} 1"#;
    assert!(page.contains(line), "{page}");
    // When: the database has caught up.
    case.prometheus.scrape(|scraped| scraped.load = Some(20));
    case.evaluate().await.unwrap();
    assert_eq!(case.scaled(), [8]);
    // When: the guard is taken out of the resource.
    case.api
        .with(|state| state.group["spec"]["autoscaling"]["guards"] = json!([]));
    case.evaluate().await.unwrap();
    let page = case.work.context.metrics.page().unwrap();
    assert!(!page.contains("sluice_operator_guard_active{"), "{page}");
}

#[tokio::test]
async fn a_guard_that_cannot_be_read_adds_no_replica() {
    let guards = "guards: [{name: load, type: Prometheus, prometheus: {query: db_load, above: '85'}}]";
    let case = held(guards, |case| {
        case.prometheus.scrape(|scraped| scraped.load = None)
    })
    .await;
    assert_eq!(case.condition("MetricsAvailable"), "False:GuardUnknown");
    assert_eq!(case.condition("ScalingLimited"), "True:Guard");
}

#[tokio::test]
async fn a_guard_over_what_is_done_that_cannot_be_read_adds_no_replica() {
    let own = "lag: {query: vector(60000)}, cap: {policy: None}";
    for (guard, words) in [
        ("type: ThroughputRegression", "what gets done"),
        (
            "type: DeadLetterRate, deadLetterRate: {perMinute: 1}",
            "dead letters",
        ),
    ] {
        let fields = format!("{own}, guards: [{{name: rate, {guard}}}]");
        let case = held(&fields, |case| {
            case.prometheus.scrape(|scraped| scraped.queues = None);
        })
        .await;
        assert_eq!(
            case.condition("MetricsAvailable"),
            "False:GuardUnknown",
            "{guard}"
        );
        assert_eq!(case.condition("ScalingLimited"), "True:Guard", "{guard}");
        let message = case.status()["conditions"].to_string();
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn annotations_pause_it() {
    for (annotation, active) in [
        ("sluice.dev/paused", "False:Paused"),
        ("sluice.dev/paused-scale-out", "True:Scaling"),
    ] {
        let given = |case: &Case| {
            case.api
                .with(|state| state.group["metadata"]["annotations"] = json!({ annotation: "true" }));
        };
        let case = held("", given).await;
        assert_eq!(case.condition("ScalingPaused"), "True:Paused", "{annotation}");
        assert_eq!(case.condition("ScalingActive"), active, "{annotation}");
    }
}

#[tokio::test]
async fn a_workload_that_is_not_there_is_named() {
    let case = held("", |case| case.api.with(|state| state.replicas = None)).await;
    assert_eq!(case.condition("ScalingActive"), "False:TargetNotFound");
    let given = |case: &Case| {
        let target = json!({ "apiVersion": "apps/v1", "kind": "Worker", "name": "worker" });
        case.api
            .with(|state| state.group["spec"]["autoscaling"]["scaleTargetRef"] = target);
    };
    let case = held("", given).await;
    assert_eq!(case.condition("ScalingActive"), "False:TargetNotScalable");
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_no_lag_of_zero() {
    let case = held("lag: {source: Broker}", |_| {}).await;
    assert_eq!(case.condition("MetricsAvailable"), "False:BrokerUnreachable");
    let case = held(
        "guards: [{name: a, type: PendingPods}, {name: a, type: PendingPods}]",
        |_| {},
    )
    .await;
    assert_eq!(case.condition("ScalingActive"), "False:InvalidSpec");
}

#[tokio::test]
async fn who_does_not_lead_writes_nothing() {
    let case = Case::new("60000", "").await;
    let before = case.status();
    case.leadership.end();
    let refused = case.evaluate().await.unwrap_err().to_string();
    assert!(refused.contains("leads no longer"), "{refused}");
    assert_eq!((case.scaled(), case.status()), (Vec::new(), before));
}

#[tokio::test]
async fn a_group_whose_name_is_taken_scales_nothing() {
    let case = held("", |case| {
        let taken = json!({
            "type": "Conflicted", "status": "True", "reason": "NameTaken", "message": "'older' has the name",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        case.api
            .with(|state| state.group["status"] = json!({"conditions": [taken]}));
    })
    .await;
    assert_eq!(case.condition("ScalingActive"), "False:NameTaken");
}

#[tokio::test]
async fn a_group_that_is_being_deleted_is_told_of_no_longer() {
    let case = Case::new("60000", "").await;
    case.evaluate().await.unwrap();
    let page = || case.work.context.metrics.page().unwrap();
    assert!(page().contains(r#"name="billing""#));
    case.api
        .with(|state| state.group["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:01:00Z"));
    assert_eq!(case.evaluate().await.unwrap(), Next::Changed);
    assert!(!page().contains(r#"name="billing""#), "{}", page());
}
