//! When nothing moves.

use super::*;

#[test]
fn reasons_to_hold_keep_what_there_is_whatever_the_lag() {
    type Change = fn(&mut Policy, &mut Observed);
    let rows: &[(&str, Change, Reason)] = &[
        (
            "disabled",
            |policy, _| policy.mode = Mode::Disabled,
            Reason::Disabled,
        ),
        ("paused", |_, observed| observed.pauses.all = true, Reason::Paused),
        (
            "another autoscaler",
            |_, observed| observed.conflict = Some("HorizontalPodAutoscaler x".to_owned()),
            Reason::Conflicted,
        ),
        (
            "a rollout",
            |_, observed| observed.target.rolling_out = true,
            Reason::RollingOut,
        ),
        (
            "no lag",
            |_, observed| observed.lag = missing(),
            Reason::MetricsMissing,
        ),
        (
            "no number of queues",
            |_, observed| observed.queues = None,
            Reason::MetricsMissing,
        ),
    ];
    for &(name, change, reason) in rows {
        for (replicas, ready) in [(0, 60_000), (1, 60_000), (8, 0), (15, 60_000)] {
            let (mut policy, mut observed) = (policy(), observed(replicas, ready));
            change(&mut policy, &mut observed);
            let decision = decide(&policy, &observed, &History::default(), NOW);
            assert_eq!((decision.replicas, decision.reason), (replicas, reason), "{name}");
            assert_eq!(decision.to_write(), None, "{name}");
            assert!(
                decision.sentence.ends_with(&format!("stays at {replicas}")),
                "{}",
                decision.sentence
            );
        }
    }
}

#[test]
fn without_a_cap_by_queues_their_number_is_not_needed() {
    let policy = Policy {
        cap: Cap::None,
        ..policy()
    };
    let decision = decide(
        &policy,
        &Observed {
            queues: None,
            ..observed(1, 5000)
        },
        &History::default(),
        NOW,
    );
    assert_eq!(decision.replicas, 5);
}

#[test]
fn each_direction_can_be_paused() {
    let scale_in = Pauses {
        scale_in: true,
        ..Pauses::default()
    };
    let scale_out = Pauses {
        scale_out: true,
        ..Pauses::default()
    };
    let rows = [
        (scale_in, 4, 100, 4, Some(Limit::PausedScaleIn)),
        (scale_in, 4, 8000, 8, None),
        (scale_in, 12, 8000, 12, Some(Limit::PausedScaleIn)),
        (scale_out, 4, 8000, 4, Some(Limit::PausedScaleOut)),
        (scale_out, 4, 2000, 2, None),
        (scale_out, 0, 2000, 0, Some(Limit::PausedScaleOut)),
    ];
    for (pauses, replicas, ready, wanted, limit) in rows {
        let observed = Observed {
            pauses,
            ..observed(replicas, ready)
        };
        let decision = decide(&policy(), &observed, &History::default(), NOW);
        assert_eq!(
            (decision.replicas, decision.limited_by),
            (wanted, limit),
            "{}",
            decision.sentence
        );
    }
}

#[test]
fn recommendations_are_shown_and_not_written() {
    let policy = Policy {
        mode: Mode::Recommend,
        ..policy()
    };
    let decision = decide(&policy, &observed(1, 60_000), &History::default(), NOW);
    assert_eq!(
        (decision.replicas, decision.recommended, decision.to_write()),
        (8, Some(60), None)
    );
}

#[test]
fn pods_without_a_node_stop_further_ones() {
    let mut waiting = observed(4, 8000);
    waiting.target.pending = 2;
    let decision = decide(&policy(), &waiting, &History::default(), NOW);
    assert_eq!(
        (decision.replicas, decision.limited_by),
        (4, Some(Limit::PendingPods))
    );
    waiting.lag = Ok(Lag {
        ready: 100,
        ..Lag::default()
    });
    assert_eq!(
        decide(&policy(), &waiting, &History::default(), NOW).replicas,
        1,
        "fewer help"
    );
}

#[test]
fn a_fallback_comes_after_its_time_and_ends_with_the_first_reading() {
    let fallback = |action| {
        Some(Fallback {
            after_seconds: 180,
            replicas: 4,
            action,
        })
    };
    // (action, replicas, queues, wanted)
    let rows = [
        (FallbackAction::KeepIfHigher, 2, Some(8), 4),
        (FallbackAction::KeepIfHigher, 6, Some(8), 6),
        (FallbackAction::KeepIfHigher, 2, Some(3), 3),
        (FallbackAction::Static, 6, Some(8), 4),
        (FallbackAction::Static, 6, Some(3), 3),
        // Without a number of queues it adds none.
        (FallbackAction::Static, 6, None, 4),
        (FallbackAction::Static, 2, None, 2),
        (FallbackAction::KeepIfHigher, 2, None, 2),
        (FallbackAction::KeepIfHigher, 6, None, 6),
        (FallbackAction::KeepIfHigher, 0, None, 0),
    ];
    for (action, replicas, count, wanted) in rows {
        let mut run = Run::new(
            Policy {
                fallback: fallback(action),
                ..policy()
            },
            replicas,
        );
        let unknown = || Observed {
            lag: missing(),
            queues: count.map(n32),
            ..observed(replicas, 0)
        };
        assert_eq!(run.at(0, unknown()).reason, Reason::MetricsMissing);
        assert_eq!(run.at(179, unknown()).replicas, replicas);
        let decision = run.at(180, unknown());
        assert_eq!(
            (decision.replicas, decision.reason),
            (wanted, Reason::Fallback),
            "{action:?} {replicas}"
        );
        assert_ne!(run.at(185, observed(replicas, 5000)).reason, Reason::Fallback);
        assert_eq!(
            run.at(190, unknown()).reason,
            Reason::MetricsMissing,
            "it begins anew"
        );
    }
}

#[test]
fn a_fallback_is_bounded_by_the_queues_that_were_known_last_whoever_has_known_them() {
    let fallback = Some(Fallback {
        after_seconds: 180,
        replicas: 12,
        action: FallbackAction::Static,
    });
    let unknown = || Observed {
        lag: missing(),
        queues: None,
        ..observed(2, 0)
    };
    // The cap, whether the operator starts anew, and what the fallback comes to.
    for (cap, restarts, wanted, cap_by) in [
        (Cap::QueueCount { even: false }, false, 8, Limit::QueueCount),
        (Cap::QueueCount { even: false }, true, 8, Limit::QueueCount),
        (Cap::QueuesWithLag, true, 8, Limit::QueueCount),
        (Cap::None, true, 12, Limit::MaxReplicas),
    ] {
        let mut run = Run::new(
            Policy {
                fallback,
                cap,
                ..policy()
            },
            2,
        );
        run.at(0, observed(2, 2000));
        if restarts {
            run.history = History::resumed(run.history.lasting(NOW));
        }
        let held = run.at(15, unknown());
        assert_eq!(
            (held.reason, held.cap_by),
            (Reason::MetricsMissing, cap_by),
            "{cap:?}"
        );
        let decision = run.at(200, unknown());
        assert_eq!(
            (decision.replicas, decision.reason),
            (wanted, Reason::Fallback),
            "{cap:?}: {}",
            decision.sentence
        );
        let limit = (wanted < 12).then_some(Limit::QueueCount);
        assert_eq!(decision.limited_by, limit, "{cap:?}");
    }
}

#[test]
fn what_was_wanted_before_an_outage_of_metrics_holds_for_a_window_after_it() {
    let mut policy = policy();
    policy.down.window_seconds = 300;
    let mut run = Run::new(policy, 8);
    assert_eq!(run.at(0, observed(8, 60_000)).replicas, 8);
    for seconds in (15..=400).step_by(15) {
        let blind = Observed {
            lag: missing(),
            ..observed(8, 0)
        };
        assert_eq!(run.at(seconds, blind).replicas, 8, "at {seconds}");
    }
    let decision = run.at(415, observed(8, 0));
    assert_eq!(
        (decision.replicas, decision.limited_by),
        (8, Some(Limit::DownWindow)),
        "{}",
        decision.sentence
    );
}
