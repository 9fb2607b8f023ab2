//! Decisions, and the conditions that follow.

use super::*;
use crate::autoscale::{History, Lag, Lasting, Pauses, Policy, ReplicasWriter, Said, Target, Time, decide};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time as At};
use sluice_operator_api::conditions;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

const NOW: Time = Time(1_000_000);

fn policy(yaml: &str) -> Policy {
    let whole = format!("{{scaleTargetRef: {{name: billing}}, maxReplicas: 20, {yaml}}}");
    Policy::from_spec(&serde_yaml::from_str(&whole).unwrap()).unwrap()
}

fn observed(replicas: u32, ready: u64) -> Observed {
    Observed {
        lag: Ok(Lag {
            ready,
            ..Lag::default()
        }),
        queues: NonZeroU32::new(8),
        target: Target {
            replicas,
            ready: replicas,
            ..Target::default()
        },
        guards: BTreeMap::new(),
        consumed_total: None,
        dead_letters_total: None,
        pauses: Pauses::default(),
        conflict: None,
        writer: None,
        said: Said::default(),
    }
}

/// The conditions that hold or are asked for, as `Type=Status:Reason`.
fn found(policy: &Policy, observed: &Observed, at: Time) -> Vec<Condition> {
    let decision = decide(policy, observed, &History::default(), at);
    let mut all = Vec::new();
    let now = At("2026-01-01T00:00:00Z".parse().unwrap());
    for finding in findings(policy.mode, observed, &decision) {
        conditions::set(&mut all, finding, Some(1), &now);
    }
    all
}

/// Every condition is there, and among them are these, as `Type=Status:Reason`.
fn has(yaml: &str, observed: &Observed, wanted: &[&str]) {
    let words = |condition: &Condition| {
        let Condition {
            type_,
            status,
            reason,
            ..
        } = condition;
        format!("{type_}={status}:{reason}")
    };
    let found: Vec<_> = found(&policy(yaml), observed, NOW).iter().map(words).collect();
    assert_eq!(found.len(), 8, "{found:?}");
    for word in wanted {
        assert!(
            found.iter().any(|found| found == word),
            "{yaml} {word}: {found:?}"
        );
    }
}

#[test]
fn what_the_lag_comes_to_becomes_conditions() {
    let (follows, shows) = ("ScalingActive=True:Scaling", "ScalingActive=False:RecommendOnly");
    for (yaml, replicas, ready, wanted) in [
        ("", 8, 8000, [follows, "ScalingLimited=False:NotLimited"]),
        ("", 8, 60_000, [follows, "ScalingLimited=True:QueueCount"]),
        (
            "minReplicas: 2",
            2,
            0,
            [follows, "ScalingLimited=True:MinReplicas"],
        ),
        ("", 8, 3000, [follows, "ScalingLimited=True:StabilizationWindow"]),
        ("", 1, 60_000, [follows, "ScalingLimited=True:StepPolicy"]),
        (
            "mode: Recommend",
            1,
            60_000,
            [shows, "MetricsAvailable=True:MetricsRead"],
        ),
        (
            "mode: Disabled",
            1,
            60_000,
            ["ScalingActive=False:Disabled", "ScalingLimited=Unknown:Disabled"],
        ),
    ] {
        has(yaml, &observed(replicas, ready), &wanted);
    }
}

#[test]
fn a_lag_that_is_not_known_becomes_conditions() {
    let without = |kind| {
        let detail = "why".to_owned();
        Observed {
            lag: Err(Missing { kind, detail }),
            ..observed(4, 0)
        }
    };
    for (kind, word) in [
        (MissingKind::Unreachable, "PrometheusUnreachable"),
        (MissingKind::Empty, "ResultEmpty"),
        (MissingKind::Stale, "SampleStale"),
        (MissingKind::NotANumber, "ResultNotANumber"),
        (MissingKind::Refused, "QueryRefused"),
    ] {
        let (unknown, held) = (
            format!("MetricsAvailable=False:{word}"),
            format!("ScalingActive=False:{word}"),
        );
        has(
            "",
            &without(kind),
            &[&unknown, &held, "FallbackActive=False:NoFallback"],
        );
    }
    let fallback = "onMetricsMissing: {action: Fallback, afterSeconds: 0, fallbackReplicas: 6}";
    has(
        fallback,
        &without(MissingKind::Stale),
        &["FallbackActive=True:Fallback"],
    );
}

#[test]
fn what_is_left_out_of_the_lag_is_told_of() {
    let mut observed = observed(8, 8000);
    for (left_out, told) in [
        (None, "the lag can be told"),
        (
            Some("the brokers have no topic 'bills'"),
            "the lag can be told, but not all of it: the brokers have no topic 'bills'",
        ),
    ] {
        observed.lag.as_mut().unwrap().left_out = left_out.map(str::to_owned);
        let found = found(&policy(""), &observed, NOW);
        let available = conditions::find(&found, ConditionType::MetricsAvailable).unwrap();
        assert_eq!((&*available.status, &*available.message), ("True", told));
    }
}

#[test]
fn what_holds_replicas_becomes_conditions() {
    let mut other = observed(4, 9000);
    other.conflict = Some("HorizontalPodAutoscaler x".to_owned());
    has(
        "",
        &other,
        &[
            "Conflicted=True:OtherAutoscaler",
            "ScalingActive=False:OtherAutoscaler",
        ],
    );

    let mut paused = observed(12, 9000);
    paused.pauses.scale_in = true;
    has(
        "",
        &paused,
        &[
            "ScalingPaused=True:Paused",
            "ScalingLimited=True:Paused",
            "ScalingActive=True:Scaling",
        ],
    );

    let mut pending = observed(4, 9000);
    pending.target.pending = 1;
    let guard = "guards: [{name: pods, type: PendingPods, action: Suspend}]";
    has(
        guard,
        &pending,
        &["GuardActive=True:Guard", "ScalingActive=False:Guard"],
    );

    let mut rolling = observed(4, 9000);
    rolling.target.rolling_out = true;
    has(
        "",
        &rolling,
        &[
            "ScalingActive=False:RollingOut",
            "GuardActive=False:NoGuardActive",
        ],
    );
}

#[test]
fn that_no_bound_holds_replicas_is_said_only_where_something_is_asked_for() {
    let unread = || Missing {
        kind: MissingKind::Stale,
        detail: "why".to_owned(),
    };
    let with = |change: &dyn Fn(&mut Observed)| {
        let mut observed = observed(4, 4000);
        change(&mut observed);
        observed
    };
    let unknown = with(&|observed| observed.lag = Err(unread()));
    let conflict = with(&|observed| observed.conflict = Some("HorizontalPodAutoscaler x".to_owned()));
    let paused = with(&|observed| observed.pauses.all = true);
    let rolling = with(&|observed| observed.target.rolling_out = true);
    let asked = with(&|_| ());
    let near = with(&|observed| observed.lag.as_mut().unwrap().ready = 4100);
    let few = with(&|observed| observed.target.replicas = 0);
    let recommend = "mode: Recommend";
    let fallback = "onMetricsMissing: {action: Fallback, afterSeconds: 0, fallbackReplicas: 6}";
    for (yaml, observed, wanted, words) in [
        ("", &unknown, "Unknown SampleStale", "the lag cannot be told"),
        (
            recommend,
            &unknown,
            "Unknown SampleStale",
            "the lag cannot be told",
        ),
        ("", &conflict, "Unknown OtherAutoscaler", "something else scales"),
        ("", &paused, "Unknown Paused", "an annotation pauses it"),
        ("", &rolling, "Unknown RollingOut", "being exchanged"),
        (
            "",
            &asked,
            "False NotLimited",
            "replicas are what the lag asks for",
        ),
        (
            recommend,
            &asked,
            "False NotLimited",
            "the recommended replicas are",
        ),
        ("", &near, "False NotLimited", "within the tolerance"),
        (
            "minReplicas: 2",
            &few,
            "False NotLimited",
            "the least number that there is to be",
        ),
        (fallback, &unknown, "False NotLimited", "the fallback's"),
    ] {
        let found = found(&policy(yaml), observed, NOW);
        let limited = conditions::find(&found, ConditionType::ScalingLimited).unwrap();
        let told = format!("{} {}", limited.status, limited.reason);
        assert_eq!(told, wanted, "{yaml} {words}: {}", limited.message);
        assert!(
            limited.message.contains(words),
            "{yaml} {words}: {}",
            limited.message
        );
    }
}

#[test]
fn who_puts_replicas_back_is_named_with_what_to_do_about_it() {
    let policy = policy("");
    let reverts = vec![Time(NOW.0 - 120), Time(NOW.0 - 60), NOW];
    let history = History::resumed(Lasting {
        reverts,
        ..Lasting::default()
    });
    let writer = ReplicasWriter {
        name: "argocd-controller".to_owned(),
        operation: "Apply".to_owned(),
        subresource: None,
        at: Some(Time(0)),
    };
    let rows = [
        (
            Some(writer),
            [
                "by argocd-controller (Apply at 1970-01-01T00:00:00Z)",
                "ignoreDifferences",
            ],
        ),
        (
            None,
            ["managedFields of the workload do not say", "what is applied"],
        ),
    ];
    for (writer, words) in rows {
        let observed = Observed {
            writer,
            ..observed(1, 60_000)
        };
        let decision = decide(&policy, &observed, &history, NOW);
        let mut all = Vec::new();
        let now = At("2026-01-01T00:00:00Z".parse().unwrap());
        for finding in findings(policy.mode, &observed, &decision) {
            conditions::set(&mut all, finding, Some(1), &now);
        }
        let found = conditions::find(&all, ConditionType::ReplicasContended).unwrap();
        assert_eq!((&*found.status, &*found.reason), ("True", "ReplicasReverted"));
        for word in words.into_iter().chain(["sluice.dev/force-sync"]) {
            assert!(found.message.contains(word), "{}", found.message);
        }
    }
}

#[test]
fn a_lag_that_moves_without_consequences_changes_no_condition() {
    let policy = policy("");
    let conditions = |ready, seconds| found(&policy, &observed(8, ready), Time(NOW.0 + seconds));
    assert_eq!(conditions(60_000, 0), conditions(60_777, 15));
    assert_eq!(conditions(7900, 0), conditions(7800, 15));
}

#[test]
fn every_reason_and_limit_has_a_word_of_the_status() {
    let limits: Vec<_> = Limit::ALL.iter().map(|of| limit(*of)).collect();
    assert!(limits.contains(&ScalingReason::StepPolicy) && limits.contains(&ScalingReason::PendingPods));
    let mut decision = decide(&policy(""), &observed(8, 8000), &History::default(), NOW);
    for of in Decided::ALL {
        decision.reason = *of;
        decision.cap_by = Limit::QueueCount;
        let word = reason(&decision).as_str();
        assert_eq!(word.parse::<ScalingReason>().unwrap().as_str(), word);
    }
}
