//! What is known to go wrong with other autoscalers, by the numbers of their reports.

use super::*;

/// kedacore/keda#2908: a tolerance of a tenth left 63 of 64 queues with consumers for ever.
#[test]
fn keda_2908_the_queue_count_is_reached_whatever_the_tolerance() {
    let mut policy = Policy {
        bounds: Bounds::new(1, 64).unwrap(),
        ..policy()
    };
    policy.up.tolerance_percent = 10;
    for replicas in [58, 60, 63] {
        for ready in [64_000, 1_000_000] {
            let observed = Observed {
                queues: Some(n32(64)),
                ..observed(replicas, ready)
            };
            let decision = decide(&policy, &observed, &History::default(), NOW);
            assert_eq!(decision.replicas, 64, "{replicas}: {}", decision.sentence);
        }
    }
}

/// kedacore/keda#4483: a lag between P and P + 1 replicas' passed the cap's test, and led to P + 1.
#[test]
fn keda_4483_no_lag_leads_to_more_replicas_than_queues() {
    for ready in [8000, 8001, 8500, 8999, 9000, 9001] {
        let decision = decide(&policy(), &observed(7, ready), &History::default(), NOW);
        assert_eq!(decision.replicas, 8, "{ready}");
    }
}

/// kedacore/keda#3065: a Prometheus without an answer counted as no lag, and took everything down at the busiest time.
#[test]
fn keda_3065_no_answer_is_no_lag_of_zero() {
    for kind in [
        MissingKind::Unreachable,
        MissingKind::Empty,
        MissingKind::Stale,
        MissingKind::NotANumber,
        MissingKind::Refused,
    ] {
        let mut run = Run::new(policy(), 8);
        run.at(0, observed(8, 60_000));
        for seconds in (15..3600).step_by(15) {
            let lag = Err(Missing {
                kind,
                detail: "no answer".to_owned(),
            });
            let decision = run.at(
                seconds,
                Observed {
                    lag,
                    ..observed(8, 0)
                },
            );
            assert_eq!((decision.replicas, decision.reason), (8, Reason::MetricsMissing));
            assert_eq!(decision.recommended, None);
        }
    }
}

/// kedacore/keda#3904: one message that no consumer could handle made the lag of its queue grow, and brought the greatest
/// number of replicas for nothing.
#[test]
fn keda_3904_the_lag_behind_a_message_that_nobody_can_handle_asks_for_nothing() {
    let mut policy = policy();
    policy.lag.stuck_after_seconds = Some(n32(300));
    policy.down.window_seconds = 60;
    let mut run = Run::new(policy, 1);
    let mut greatest = 0;
    for seconds in (0..1200).step_by(15) {
        // Queue 0 stands at 500 done and gets 10 messages a second; the others have little to do, and do it.
        let lag = queues(&[(seconds * 10, 500), (200, seconds * 9), (300, seconds * 9)]);
        let decision = run.at(
            seconds,
            Observed {
                lag: Ok(lag),
                ..observed(8, 0)
            },
        );
        greatest = greatest.max(decision.replicas);
        if seconds > 315 + 60 {
            assert_eq!(
                (decision.replicas, decision.stuck_queues),
                (1, 1),
                "at {seconds}: {}",
                decision.sentence
            );
            assert!(
                decision.sentence.ends_with("1 stuck queue left out"),
                "{}",
                decision.sentence
            );
        }
    }
    assert!(greatest <= 4, "before it counts as stuck, {greatest}");
}

/// The same queue counts again as soon as something gets done.
#[test]
fn keda_3904_a_queue_that_goes_on_counts_at_once() {
    let mut policy = policy();
    policy.lag.stuck_after_seconds = Some(n32(300));
    let mut run = Run::new(policy, 1);
    let lag = |done, others| Observed {
        lag: Ok(queues(&[(6000, done), (10, others)])),
        ..observed(8, 0)
    };
    run.at(0, lag(500, 100));
    assert_eq!(run.at(300, lag(500, 200)).replicas, 1);
    assert_eq!(run.at(315, lag(501, 300)).replicas, 7);
}

/// Where all queues stand still it is no single message: what stands downstream is away, and the backlog counts.
#[test]
fn keda_3904_queues_that_all_stand_still_count() {
    let mut policy = policy();
    policy.lag.stuck_after_seconds = Some(n32(300));
    let mut run = Run::new(policy, 8);
    let lag = Observed {
        lag: Ok(queues(&[(6000, 500), (2000, 100)])),
        ..observed(8, 0)
    };
    run.at(0, lag.clone());
    let decision = run.at(600, lag);
    assert_eq!(
        (decision.replicas, decision.stuck_queues),
        (8, 0),
        "{}",
        decision.sentence
    );
}

/// A stuck queue is work all the same: it brings the first replica.
#[test]
fn keda_3904_what_is_stuck_counts_for_the_first_replica() {
    let mut policy = Policy {
        bounds: Bounds::new(0, 20).unwrap(),
        ..policy()
    };
    policy.lag.stuck_after_seconds = Some(n32(300));
    let lag = |others| Observed {
        lag: Ok(queues(&[(6000, 500), (10, others)])),
        ..observed(1, 0)
    };
    let mut run = Run::new(policy.clone(), 1);
    run.at(0, lag(100));
    assert_eq!(run.at(300, lag(200)).replicas, 1, "it is not idle");
    assert_eq!(
        decide(&policy, &observed(0, 6000), &run.history, Time(NOW.0 + 315)).replicas,
        6
    );
}
