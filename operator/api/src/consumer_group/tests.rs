use super::*;
use crate::testing::{parse, refusals};

fn group(name: &str, spec: &str) -> ConsumerGroup {
    let head = "apiVersion: sluice.dev/v1alpha1\nkind: ConsumerGroup\n";
    parse(&format!(
        "{head}metadata: {{name: {name}}}\nspec: {{clusterRef: {{name: prod}}{spec}}}\n"
    ))
}

fn scaled(autoscaling: &str) -> ConsumerGroup {
    let target = "scaleTargetRef: {name: workers}";
    group(
        "workers",
        &format!(", autoscaling: {{{target}, maxReplicas: 8{autoscaling}}}"),
    )
}

#[test]
fn a_spec_that_says_no_more_than_its_cluster_has_the_defaults() {
    let group = group("workers", "");
    assert_eq!(refusals(&group, None), [""; 0]);
    assert_eq!(group.group_name(), "workers");
    let spec = group.spec;
    assert_eq!((spec.retry.max_attempts, spec.retry.backoff), (17, None));
    let Tuning {
        receive_batch,
        long_poll_seconds,
        invisible_seconds,
    } = spec.tuning;
    assert_eq!(
        (receive_batch, long_poll_seconds, invisible_seconds),
        (32, 20, 60)
    );
    assert_eq!(
        (spec.delivery_order, spec.start_from),
        (DeliveryOrder::Concurrent, StartFrom::default())
    );
    assert_eq!(spec.autoscaling, None);
}

#[test]
fn autoscaling_that_says_no_more_than_its_target_has_the_defaults() {
    let group = scaled("");
    assert_eq!(refusals(&group, None), [""; 0]);
    let autoscaling = group.spec.autoscaling.unwrap();
    assert_eq!((autoscaling.mode, autoscaling.min_replicas), (Mode::Active, 1));
    assert_eq!(autoscaling.scale_target_ref.kind, "Deployment");
    assert_eq!(
        (autoscaling.cap, autoscaling.lag),
        (Cap::default(), Lag::default())
    );
    assert_eq!(autoscaling.behavior, Behavior::default());
    assert_eq!(autoscaling.on_metrics_missing, OnMetricsMissing::default());
}

#[test]
fn what_does_not_go_together_is_refused() {
    let steps =
        "spec.retry.backoff: stepsSeconds belongs to a back-off of type Customized, and is needed there";
    let initial = "spec.retry.backoff: initialSeconds and maxSeconds belong to a back-off of type Exponential, and are needed there";
    let time = "spec.startFrom: time belongs to the position Time, and to no other";
    let cases: [(&str, &[&str]); 13] = [
        (
            ", retry: {backoff: {type: Customized, stepsSeconds: [0, 1]}}",
            &[],
        ),
        (", retry: {backoff: {type: Customized}}", &[steps]),
        (
            ", retry: {backoff: {type: Exponential, initialSeconds: 1, maxSeconds: 9}}",
            &[],
        ),
        (
            ", retry: {backoff: {type: Exponential, initialSeconds: 1}}",
            &[initial],
        ),
        (
            ", retry: {backoff: {type: Exponential, initialSeconds: 1, maxSeconds: 9, stepsSeconds: [1]}}",
            &[steps],
        ),
        (
            ", retry: {backoff: {type: Exponential, initialSeconds: 9, maxSeconds: 1}}",
            &["spec.retry.backoff: initialSeconds is more than maxSeconds"],
        ),
        (
            ", retry: {backoff: {type: Customized, stepsSeconds: [1], multiplierPercent: 200}}",
            &["spec.retry.backoff: multiplierPercent belongs to a back-off of type Exponential"],
        ),
        (", startFrom: {position: Time, time: '2026-01-31T15:04:05Z'}", &[]),
        (", startFrom: {position: Latest}", &[]),
        (", startFrom: {position: Time}", &[time]),
        (", startFrom: {time: '2026-01-31T15:04:05Z'}", &[time]),
        (", groupName: g", &[]),
        (
            ", subscriptions: [{topic: a}, {topic: b, filter: {expression: x || y}}]",
            &[],
        ),
    ];
    for (spec, expected) in cases {
        assert_eq!(refusals(&group("workers", spec), None), expected, "{spec}");
    }
    let own = "the resource's name cannot be a consumer group's: give spec.groupName of up to 120 letters, digits and any of % | _ -";
    assert_eq!(refusals(&group("a.b", ""), None), [own]);
    assert_eq!(refusals(&group(&"a".repeat(121), ""), None), [own]);
}

#[test]
fn autoscaling_that_contradicts_itself_is_refused() {
    let at = |path: &str, message: &str| format!("spec.autoscaling{path}: {message}");
    let cases: [(&str, Option<String>); 15] = [
        (", minReplicas: 0", None),
        (", minReplicas: 8", None),
        (
            ", minReplicas: 9",
            Some(at("", "minReplicas is more than maxReplicas")),
        ),
        (", lag: {query: sum(x)}", None),
        (
            ", lag: {source: Broker, query: sum(x)}",
            Some(at(".lag", "query belongs to the source Prometheus")),
        ),
        (", prometheus: {url: 'http://p:9090'}", None),
        (", prometheus: {serviceRef: {name: p}}", None),
        (
            ", prometheus: {tenant: a}",
            Some(at(".prometheus", "give url or serviceRef, and not both")),
        ),
        (
            ", prometheus: {url: 'http://p', serviceRef: {name: p}}",
            Some(at(".prometheus", "give url or serviceRef, and not both")),
        ),
        (
            ", prometheus: {url: 'http://p', bearerTokenSecretRef: {name: a, key: b}, basicAuth: {usernameSecretRef: {name: a, key: b}, passwordSecretRef: {name: a, key: c}}}",
            Some(at(
                ".prometheus",
                "give bearerTokenSecretRef or basicAuth, and not both",
            )),
        ),
        (
            ", onMetricsMissing: {action: Fallback, fallbackReplicas: 8}",
            None,
        ),
        (
            ", onMetricsMissing: {action: Fallback}",
            Some(at(
                ".onMetricsMissing",
                "fallbackReplicas belongs to the action Fallback, and is needed there",
            )),
        ),
        (
            ", onMetricsMissing: {fallbackReplicas: 8}",
            Some(at(
                ".onMetricsMissing",
                "fallbackReplicas belongs to the action Fallback, and is needed there",
            )),
        ),
        (
            ", onMetricsMissing: {action: Fallback, fallbackReplicas: 9}",
            Some(at(
                "",
                "onMetricsMissing.fallbackReplicas is more than maxReplicas",
            )),
        ),
        (", mode: Recommend, cap: {policy: None}", None),
    ];
    for (autoscaling, expected) in cases {
        let refused = refusals(&scaled(autoscaling), None);
        assert_eq!(refused, Vec::from_iter(expected), "{autoscaling}");
    }
}

#[test]
fn what_would_do_nothing_is_refused() {
    let at = |path: &str, message: &str| format!("spec.autoscaling{path}: {message}");
    let cases: [(&str, Option<String>); 5] = [
        (
            ", lag: {excludeStuckQueuesAfterSeconds: 300}",
            Some(at(
                ".lag",
                "excludeStuckQueuesAfterSeconds belongs to the source Broker: Prometheus does not tell what is done",
            )),
        ),
        (
            ", lag: {source: Broker, excludeStuckQueuesAfterSeconds: 300}",
            None,
        ),
        (
            ", cap: {policy: QueuesWithLag, evenDistribution: Preferred}",
            Some(at(".cap", "evenDistribution belongs to the policy QueueCount")),
        ),
        (", cap: {policy: None, evenDistribution: Disabled}", None),
        (", cap: {evenDistribution: Preferred}", None),
    ];
    for (autoscaling, expected) in cases {
        let refused = refusals(&scaled(autoscaling), None);
        assert_eq!(refused, Vec::from_iter(expected), "{autoscaling}");
    }
}

#[test]
fn a_guard_has_what_its_type_needs_and_nothing_of_others() {
    let at = |path: &str, message: &str| vec![format!("spec.autoscaling.guards[0]{path}: {message}")];
    let needs = |field: &str, type_: &str| {
        at(
            "",
            &format!("{field} belongs to a guard of type {type_}, and is needed there"),
        )
    };
    let cases: [(&str, Vec<String>); 12] = [
        ("type: Prometheus, prometheus: {query: q, above: '85'}", vec![]),
        ("type: Prometheus", needs("prometheus", "Prometheus")),
        (
            "type: PendingPods, prometheus: {query: q, above: '85'}",
            needs("prometheus", "Prometheus"),
        ),
        (
            "type: Prometheus, prometheus: {query: q}",
            at(".prometheus", "give above, below, or both"),
        ),
        ("type: ThroughputRegression", vec![]),
        (
            "type: PendingPods, throughputRegression: {}",
            at(
                "",
                "throughputRegression belongs to a guard of type ThroughputRegression",
            ),
        ),
        (
            "type: ThroughputRegression, forSeconds: 60",
            at(
                "",
                "forSeconds does not belong to a guard of type ThroughputRegression, which has throughputRegression.windowSeconds",
            ),
        ),
        ("type: DeadLetterRate, deadLetterRate: {perMinute: 100}", vec![]),
        ("type: DeadLetterRate", needs("deadLetterRate", "DeadLetterRate")),
        ("type: PendingPods, pendingPods: {afterSeconds: 5}", vec![]),
        (
            "type: ThroughputRegression, pendingPods: {}",
            at("", "pendingPods belongs to a guard of type PendingPods"),
        ),
        (
            "type: PendingPods, action: RevertLastStep",
            at(
                "",
                "the action RevertLastStep belongs to a guard of type ThroughputRegression",
            ),
        ),
    ];
    for (guard, expected) in cases {
        let refused = refusals(&scaled(&format!(", guards: [{{name: g, {guard}}}]")), None);
        assert_eq!(refused, expected, "{guard}");
    }
}

#[test]
fn what_cannot_change_is_refused_and_what_can_is_not() {
    let added = "spec: groupName cannot be added or taken away: make another ConsumerGroup";
    let cases: [(&str, &str, &[&str]); 6] = [
        (
            "",
            ", deliveryOrder: Fifo, startFrom: {position: Latest}, retry: {maxAttempts: 3}",
            &[],
        ),
        ("", ", subscriptions: [{topic: a}]", &[]),
        (
            ", subscriptions: [{topic: a}, {topic: b}]",
            ", subscriptions: [{topic: b}]",
            &[],
        ),
        ("", ", groupName: other", &[added]),
        (", groupName: other", "", &[added]),
        (
            ", groupName: one",
            ", groupName: other",
            &["spec.groupName: groupName cannot be changed: make another ConsumerGroup"],
        ),
    ];
    for (old, new, expected) in cases {
        let refused = refusals(&group("workers", new), Some(&group("workers", old)));
        assert_eq!(refused, expected, "{old} -> {new}");
    }
    let mut moved = group("workers", "");
    moved.spec.cluster_ref.name = "test".to_owned();
    assert_eq!(
        refusals(&moved, Some(&group("workers", ""))),
        ["spec.clusterRef: clusterRef cannot be changed: make another ConsumerGroup"]
    );
}

#[test]
fn each_type_of_guard_has_the_action_that_suits_it_unless_one_is_given() {
    let cases = [
        ("type: Prometheus", GuardAction::HoldScaleUp),
        ("type: PendingPods", GuardAction::HoldScaleUp),
        ("type: ThroughputRegression", GuardAction::RevertLastStep),
        ("type: DeadLetterRate", GuardAction::Suspend),
        ("type: DeadLetterRate, action: StepDown", GuardAction::StepDown),
    ];
    for (guard, action) in cases {
        let guard: Guard = parse(&format!("{{name: g, {guard}}}"));
        assert_eq!(guard.action(), action);
    }
}

#[test]
fn thresholds_are_crossed_beyond_them() {
    let cases = [
        ("above: '85'", 85.0, false),
        ("above: '85'", 85.1, true),
        ("below: '-0.5'", -0.5, false),
        ("below: '-0.5'", -0.6, true),
        ("above: '10', below: '1'", 5.0, false),
        ("above: '10', below: '1'", 0.0, true),
        ("above: '10'", f64::NAN, false),
    ];
    for (thresholds, result, crossed) in cases {
        let guard: PrometheusGuard = parse(&format!("{{query: q, {thresholds}}}"));
        assert_eq!(guard.is_crossed_by(result), crossed, "{thresholds} {result}");
    }
}

#[test]
fn a_prometheus_has_the_url_of_its_service() {
    let cases = [
        ("url: 'http://p:9090/'", Some("http://p:9090")),
        ("serviceRef: {name: p}", Some("http://p.apps.svc:9090")),
        (
            "serviceRef: {name: p, namespace: monitoring, port: 443, scheme: https, path: /prom/}",
            Some("https://p.monitoring.svc:443/prom"),
        ),
        ("tenant: a", None),
    ];
    for (spec, url) in cases {
        let prometheus: Prometheus = parse(&format!("{{{spec}}}"));
        assert_eq!(prometheus.base_url("apps").as_deref(), url, "{spec}");
    }
}

#[test]
fn a_time_that_there_is_not_is_none() {
    let start = |time: &str| StartFrom {
        position: StartPosition::Time,
        time: Some(time.to_owned()),
    };
    let second = |time: &str| start(time).timestamp().map(|time| time.as_second());
    assert_eq!(second("1970-01-01T00:01:00Z"), Some(60));
    assert_eq!(second("1970-01-01T02:01:00.5+02:00"), Some(60));
    assert_eq!(second("2026-02-30T00:00:00Z"), None);
    assert_eq!(StartFrom::default().timestamp(), None);
}

#[test]
fn reasons_of_decisions_are_read_as_they_are_written() {
    for reason in ScalingReason::ALL {
        assert_eq!(reason.to_string().parse(), Ok(*reason));
    }
    let unknown: Result<ScalingReason, _> = "lag".parse();
    assert_eq!(
        unknown.unwrap_err().to_string(),
        "'lag' is no reason of a scaling decision"
    );
}
