//! What is written, and what is told of it.

use super::*;

#[tokio::test]
async fn a_backlog_brings_as_many_replicas_as_there_are_queues_and_never_one_more() {
    let case = Case::new("60000", "").await;
    for ready in ["60000", "500000", "9000000"] {
        case.prometheus
            .scrape(|scraped| scraped.ready = Some(ready.to_owned()));
        assert_eq!(case.evaluate().await.unwrap(), Next::Usual);
    }
    assert_eq!(case.scaled(), [8]);
    let status = case.status();
    assert_eq!(status["replicas"]["cap"], 8);
    assert_eq!(status["replicas"]["capReason"], "QueueCount");
    assert_eq!(status["replicas"]["current"], 8);
    assert_eq!(
        (&status["lastScale"]["from"], &status["lastScale"]["to"]),
        (&1.into(), &8.into())
    );
    assert_eq!(status["lastScale"]["reason"], "Lag");
    assert_eq!(status["lastDecisions"][1]["lag"], 60_000);
    for (type_, wanted) in [
        ("MetricsAvailable", "True:MetricsRead"),
        ("ScalingActive", "True:Scaling"),
        ("ScalingLimited", "True:QueueCount"),
        ("Conflicted", "False:NoOtherAutoscaler"),
        ("ScalingPaused", "False:NotPaused"),
    ] {
        assert_eq!(case.condition(type_), wanted, "{type_}");
    }
    assert_eq!(case.api.with(|state| state.events.clone()), ["ScaledUp"]);
    let page = case.work.context.metrics.page().unwrap();
    for line in [
        r#"sluice_operator_current_replicas{name="billing",namespace="shop"} 8"#,
        r#"sluice_operator_desired_replicas{name="billing",namespace="shop"} 8"#,
        r#"sluice_operator_recommended_replicas{name="billing",namespace="shop"} 9000"#,
        r#"sluice_operator_cap_replicas{name="billing",namespace="shop"} 8"#,
        r#"sluice_operator_metrics_available{name="billing",namespace="shop"} 1"#,
        r#"sluice_operator_replicas_contended{name="billing",namespace="shop"} 0"#,
        r#"sluice_operator_scale_events_total{direction="Up",name="billing",namespace="shop",reason="Lag"} 1"#,
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
}

#[tokio::test]
async fn queues_with_lag_are_the_cap_whatever_the_query_for_the_lag() {
    let own = r#", lag: {query: 'sum(rocketmq_consumer_ready_messages{cluster="main",namespace=~"|shop"})'}"#;
    for more in ["", own] {
        let case = Case::new("60000", &format!("cap: {{policy: QueuesWithLag}}{more}")).await;
        case.prometheus
            .scrape(|scraped| scraped.by_queue = vec![59_990, 0, 10]);
        case.evaluate().await.unwrap();
        assert_eq!(case.scaled(), [2], "{more}");
        assert_eq!(case.condition("ScalingLimited"), "True:QueuesWithLag", "{more}");
    }
}

#[tokio::test]
async fn the_age_of_the_oldest_message_is_told_where_prometheus_knows_it_and_hinders_nothing_where_not() {
    let own = r#"lag: {query: 'sum(rocketmq_consumer_ready_messages{cluster="main",namespace=~"|shop"})'}"#;
    for (fields, oldest, wanted) in [
        ("", Some(7_999), Some(7)),
        ("", Some(0), Some(0)),
        ("", None, None),
        (own, Some(7_999), None),
    ] {
        let case = Case::new("60000", fields).await;
        case.prometheus.scrape(|scraped| scraped.oldest = oldest);
        case.evaluate().await.unwrap();
        assert_eq!(case.scaled(), [8], "{fields} {oldest:?}");
        let age = case.status()["lag"]["ageSeconds"].as_u64();
        assert_eq!(age, wanted, "{fields} {oldest:?}");
    }
}

#[tokio::test]
async fn the_status_is_written_under_a_name_of_its_own_and_only_when_it_has_changed() {
    let case = Case::new("500", "").await;
    for ready in ["500", "500", "501", "502"] {
        case.prometheus
            .scrape(|scraped| scraped.ready = Some(ready.to_owned()));
        case.evaluate().await.unwrap();
    }
    let statuses = case.api.with(|state| state.statuses.clone());
    assert_eq!(statuses.len(), 1, "figures alone wait: {statuses:?}");
    assert!(
        statuses[0].0.contains("fieldManager=sluice-autoscaler"),
        "{}",
        statuses[0].0
    );
    assert!(statuses[0].1.get("groupName").is_none(), "that is the settings'");
    assert_eq!(case.scaled(), [0_u64; 0]);
}

#[tokio::test]
async fn an_operator_that_starts_anew_goes_on_where_the_last_one_was() {
    let mut case = Case::new("3000", "").await;
    case.api
        .with(|state| state.group["spec"]["autoscaling"]["behavior"]["cooldownSeconds"] = 3_600.into());
    case.evaluate().await.unwrap();
    assert_eq!(case.scaled(), [3]);
    case.restart().await;
    case.prometheus
        .scrape(|scraped| scraped.ready = Some("60000".to_owned()));
    case.evaluate().await.unwrap();
    assert_eq!(case.scaled(), [3], "the last change is too recent");
    assert_eq!(case.condition("ScalingLimited"), "True:Cooldown");
}

#[tokio::test]
async fn somebody_who_writes_the_workload_in_between_is_not_overwritten() {
    let case = Case::new("60000", "").await;
    case.api.with(|state| state.overtaken = true);
    let changed = Next::Overtaken("Deployment worker was changed meanwhile".to_owned());
    assert_eq!(case.evaluate().await.unwrap(), changed);
    assert_eq!(case.scaled(), [0_u64; 0]);
    assert!(case.status().get("lastScale").is_none());
    assert_eq!(case.evaluate().await.unwrap(), Next::Usual);
    assert_eq!(case.scaled(), [8]);
}

#[tokio::test]
async fn a_group_that_is_scaled_no_longer_has_nothing_told_of_its_scaling() {
    let case = Case::new("60000", "").await;
    case.evaluate().await.unwrap();
    let spec = |state: &mut super::api_server::State| {
        state.group["spec"]
            .as_object_mut()
            .unwrap()
            .remove("autoscaling")
            .unwrap()
    };
    case.api.with(spec);
    assert_eq!(case.evaluate().await.unwrap(), Next::Changed);
    assert_eq!(case.status(), serde_json::json!({ "conditions": [] }));
    let page = case.work.context.metrics.page().unwrap();
    assert!(!page.contains("sluice_operator_current_replicas{"), "{page}");
    let written = case.api.with(|state| state.statuses.len());
    case.evaluate().await.unwrap();
    assert_eq!(
        case.api.with(|state| state.statuses.len()),
        written,
        "once is enough"
    );
}

#[tokio::test]
async fn a_prometheus_that_wants_a_token_gets_the_one_in_the_secret() {
    let prometheus = Prometheus::serve("60000").await;
    prometheus.scrape(|scraped| scraped.token = Some("s3cret"));
    let fields = format!(
        "prometheus: {{url: '{}', bearerTokenSecretRef: {{name: prometheus, key: token}}}}",
        prometheus.url
    );
    let case = Case::of(prometheus, &fields).await;
    case.evaluate().await.unwrap();
    assert_eq!(case.condition("MetricsAvailable"), "False:ReferenceNotFound");
    let secret =
        serde_json::json!({ "kind": "Secret", "apiVersion": "v1", "data": { "token": "czNjcmV0Cg==" } });
    case.api.with(|state| state.secrets.push(("prometheus", secret)));
    case.evaluate().await.unwrap();
    assert_eq!(case.scaled(), [8]);
}

#[tokio::test]
async fn the_operators_own_prometheus_serves_groups_that_name_none() {
    let prometheus = Prometheus::serve("60000").await;
    let mut case = Case::of(prometheus, "").await;
    case.evaluate().await.unwrap();
    assert_eq!(
        case.condition("MetricsAvailable"),
        "False:PrometheusNotConfigured"
    );
    (case.work, case.leadership, case.autoscalers) = operator(&case.api, &case.prometheus, false).await;
    case.evaluate().await.unwrap();
    assert_eq!(case.scaled(), [8]);
}
