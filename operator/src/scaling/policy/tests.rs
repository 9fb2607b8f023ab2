//! What specs come to, and what they are refused for.

use super::*;

fn spec(yaml: &str) -> api::Autoscaling {
    let whole = format!("scaleTargetRef: {{name: billing}}\n{yaml}");
    serde_yaml::from_str(&whole).unwrap()
}

fn n32(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap()
}

fn n64(value: u64) -> NonZeroU64 {
    NonZeroU64::new(value).unwrap()
}

#[test]
fn what_is_left_out_has_the_manuals_defaults() {
    let step = |size, period| StepPolicy {
        size,
        period_seconds: n32(period),
    };
    let wanted = Policy {
        mode: Mode::Active,
        bounds: Bounds::new(1, 8).unwrap(),
        cap: Cap::QueueCount { even: false },
        consumers_per_pod: n32(1),
        lag: LagTarget {
            messages_per_replica: n64(1000),
            activation_messages: n64(1),
            stuck_after_seconds: None,
        },
        up: Pace {
            window_seconds: 0,
            tolerance_percent: 10,
            steps: vec![
                step(StepSize::Percent(n32(100)), 30),
                step(StepSize::Pods(n32(4)), 30),
            ],
        },
        down: Pace {
            window_seconds: 300,
            tolerance_percent: 10,
            steps: vec![
                step(StepSize::Percent(n32(50)), 60),
                step(StepSize::Pods(n32(1)), 60),
            ],
        },
        cooldown_seconds: 30,
        zero_after_seconds: 300,
        fallback: None,
        guards: Vec::new(),
    };
    assert_eq!(Policy::from_spec(&spec("maxReplicas: 8")), Ok(wanted));
}

#[test]
fn what_is_given_of_bounds_and_lag_is_followed() {
    let policy = Policy::from_spec(&spec(
        "
mode: Recommend
minReplicas: 0
maxReplicas: 64
cap: {policy: QueueCount, evenDistribution: Preferred, consumersPerPod: 2}
lag: {source: Broker, messagesPerReplica: 500, activationMessages: 20, excludeStuckQueuesAfterSeconds: 300}
onMetricsMissing: {action: Fallback, afterSeconds: 120, fallbackReplicas: 4, fallbackPolicy: Exact}
",
    ));
    let policy = policy.unwrap();
    assert_eq!(
        (policy.mode, policy.bounds),
        (Mode::Recommend, Bounds::new(0, 64).unwrap())
    );
    assert_eq!(policy.cap, Cap::QueueCount { even: true });
    assert_eq!(policy.consumers_per_pod, n32(2));
    let lag = LagTarget {
        messages_per_replica: n64(500),
        activation_messages: n64(20),
        stuck_after_seconds: Some(n32(300)),
    };
    assert_eq!(policy.lag, lag);
    let action = FallbackAction::Static;
    let fallback = Fallback {
        after_seconds: 120,
        replicas: 4,
        action,
    };
    assert_eq!(policy.fallback, Some(fallback));
}

#[test]
fn what_is_given_of_the_pace_is_followed() {
    let policy = Policy::from_spec(&spec(
        "
maxReplicas: 64
behavior:
  scaleUp: {stabilizationWindowSeconds: 15, tolerancePercent: 5, stepPolicies: [{type: Pods, value: 3, periodSeconds: 45}]}
  scaleDown: {stabilizationWindowSeconds: 60, tolerancePercent: 7, stepPolicies: [{type: Percent, value: 25, periodSeconds: 90}]}
  cooldownSeconds: 5
  scaleToZeroAfterSeconds: 600
",
    ));
    let policy = policy.unwrap();
    let pace = |window_seconds, tolerance_percent, size, period| Pace {
        window_seconds,
        tolerance_percent,
        steps: vec![StepPolicy {
            size,
            period_seconds: n32(period),
        }],
    };
    assert_eq!(policy.up, pace(15, 5, StepSize::Pods(n32(3)), 45));
    assert_eq!(policy.down, pace(60, 7, StepSize::Percent(n32(25)), 90));
    assert_eq!((policy.cooldown_seconds, policy.zero_after_seconds), (5, 600));
}

#[test]
fn each_type_of_guard_is_followed_with_the_action_that_suits_it() {
    let policy = Policy::from_spec(&spec(
        "
maxReplicas: 64
guards:
- {name: db, type: Prometheus, action: StepDown, forSeconds: 60, prometheus: {query: up, above: '85'}}
- {name: rate, type: ThroughputRegression}
- {name: dead, type: DeadLetterRate, deadLetterRate: {perMinute: 100}}
- {name: pods, type: PendingPods}
",
    ));
    let guard = |name: &str, for_seconds, rule| Guard {
        name: name.to_owned(),
        for_seconds,
        rule,
    };
    let step_down = GuardAction::StepDown;
    let rate = GuardRule::ThroughputRegression {
        window_seconds: n32(180),
        drop_percent: n32(10),
    };
    let dead = GuardRule::DeadLetterRate {
        per_minute: n64(100),
        action: GuardAction::Suspend,
    };
    let pods = GuardRule::PendingPods {
        action: GuardAction::HoldScaleUp,
    };
    let wanted = [
        guard("db", 60, GuardRule::Threshold { action: step_down }),
        guard("rate", 0, rate),
        guard("dead", 0, dead),
        guard("pods", 0, pods),
    ];
    assert_eq!(policy.unwrap().guards, wanted);
}

#[test]
fn what_cannot_be_followed_is_refused_by_its_field() {
    for (yaml, words) in [
        ("maxReplicas: 0", "maxReplicas is 0: give at least 1"),
        (
            "maxReplicas: -1",
            "autoscaling.maxReplicas is -1: give a number from 0 on",
        ),
        (
            "minReplicas: 9\nmaxReplicas: 8",
            "minReplicas 9 is above maxReplicas 8",
        ),
        (
            "maxReplicas: 8\ncap: {consumersPerPod: 0}",
            "autoscaling.cap.consumersPerPod is 0: give a number from 1 on",
        ),
        (
            "maxReplicas: 8\nlag: {messagesPerReplica: 0}",
            "autoscaling.lag.messagesPerReplica is 0",
        ),
        (
            "maxReplicas: 8\nlag: {excludeStuckQueuesAfterSeconds: 300}",
            "autoscaling.lag.excludeStuckQueuesAfterSeconds needs what is done",
        ),
        (
            "maxReplicas: 8\ncap: {policy: None, evenDistribution: Preferred}",
            "autoscaling.cap.evenDistribution belongs to the policy QueueCount",
        ),
        (
            "maxReplicas: 8\nbehavior: {scaleUp: {stepPolicies: [{type: Pods, value: 1, periodSeconds: 0}]}}",
            "autoscaling.behavior.scaleUp.stepPolicies[0].periodSeconds is 0: give a number from 1 on",
        ),
        (
            "maxReplicas: 8\nonMetricsMissing: {action: Fallback}",
            "fallbackReplicas is missing",
        ),
        (
            "maxReplicas: 8\nguards: [{name: a, type: Prometheus}]",
            "the guard \"a\" has no query",
        ),
        (
            "maxReplicas: 8\nguards: [{name: a, type: DeadLetterRate}]",
            "the guard \"a\" has no rate",
        ),
        (
            "maxReplicas: 8\nguards: [{name: a, type: PendingPods, action: RevertLastStep}]",
            "the guard \"a\" cannot take back a step",
        ),
        (
            "maxReplicas: 8\nguards: [{name: a, type: ThroughputRegression, action: Suspend}]",
            "its action is RevertLastStep",
        ),
        (
            "maxReplicas: 8\nguards: [{name: a, type: ThroughputRegression, forSeconds: 60}]",
            "the guard \"a\" has forSeconds, which would do nothing",
        ),
        (
            "maxReplicas: 8\nguards: [{name: a, type: PendingPods}, {name: a, type: PendingPods}]",
            "the guard \"a\" is there twice",
        ),
        (
            "maxReplicas: 8\nguards: [{name: a, type: ThroughputRegression}, {name: b, type: ThroughputRegression}]",
            "the guard \"b\" is the second of type ThroughputRegression",
        ),
    ] {
        let error = Policy::from_spec(&spec(yaml)).unwrap_err().to_string();
        assert!(error.contains(words), "{error} has not {words:?}");
    }
}
