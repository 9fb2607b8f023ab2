//! Windows, steps, the time between changes, and zero.

use super::*;

#[test]
fn the_first_decision_takes_nothing_away_before_a_whole_window() {
    let mut run = Run::new(
        Policy {
            down: Pace {
                window_seconds: 300,
                ..Pace::default()
            },
            ..policy()
        },
        8,
    );
    for seconds in (0..300).step_by(15) {
        let decision = run.at(seconds, observed(8, 100));
        assert_eq!(
            (decision.replicas, decision.limited_by),
            (8, Some(Limit::DownWindow)),
            "at {seconds}"
        );
    }
    let decision = run.at(300, observed(8, 100));
    assert_eq!((decision.replicas, decision.reason), (1, Reason::Lag));
}

#[test]
fn replicas_go_down_to_the_most_that_was_asked_for_within_the_window() {
    let mut run = Run::new(
        Policy {
            down: Pace {
                window_seconds: 60,
                ..Pace::default()
            },
            ..policy()
        },
        8,
    );
    run.at(0, observed(8, 8000));
    run.at(30, observed(8, 5000));
    let decision = run.at(60, observed(8, 2000));
    assert_eq!(
        (decision.replicas, decision.limited_by),
        (5, Some(Limit::DownWindow))
    );
    assert_eq!(
        decision.sentence,
        "ready lag 2000 / 1000 per replica wants 2; 5 were asked for within the last 60 s"
    );
    assert_eq!(run.at(89, observed(5, 2000)).replicas, 5);
    assert_eq!(run.at(90, observed(5, 2000)).replicas, 2);
}

#[test]
fn a_window_upwards_waits_until_all_of_it_asks_for_more() {
    let mut run = Run::new(
        Policy {
            up: Pace {
                window_seconds: 30,
                ..Pace::default()
            },
            ..policy()
        },
        1,
    );
    run.at(0, observed(1, 500));
    assert_eq!(run.at(10, observed(1, 8000)).limited_by, Some(Limit::UpWindow));
    assert_eq!(run.at(29, observed(1, 3000)).replicas, 1);
    let decision = run.at(30, observed(1, 8000));
    assert_eq!(
        (decision.replicas, decision.limited_by),
        (3, Some(Limit::UpWindow))
    );
    assert_eq!(run.at(59, observed(3, 8000)).replicas, 8);
}

#[test]
fn a_gap_between_decisions_begins_the_window_anew() {
    let mut run = Run::new(
        Policy {
            down: Pace {
                window_seconds: 60,
                ..Pace::default()
            },
            ..policy()
        },
        8,
    );
    run.at(0, observed(8, 8000));
    let decision = run.at(121, observed(8, 100));
    assert_eq!(
        (decision.replicas, decision.limited_by),
        (8, Some(Limit::DownWindow))
    );
    assert_eq!(run.at(181, observed(8, 100)).replicas, 1);
}

#[test]
fn steps_bound_each_change() {
    let up = Pace {
        steps: vec![percent(100, 30), pods(2, 30)],
        ..Pace::default()
    };
    let down = Pace {
        steps: vec![pods(2, 60)],
        ..Pace::default()
    };
    let mut run = Run::new(
        Policy {
            up,
            down,
            cap: Cap::None,
            ..policy()
        },
        1,
    );
    for (seconds, wanted) in [(0, 3), (15, 3), (29, 3), (30, 6), (60, 12), (90, 20)] {
        let decision = run.at(seconds, observed(1, 60_000));
        assert_eq!(decision.replicas, wanted, "at {seconds}: {}", decision.sentence);
    }
    for (seconds, wanted) in [(100, 18), (130, 18), (159, 18), (160, 16), (220, 14)] {
        let decision = run.at(seconds, observed(20, 100));
        assert_eq!(
            (decision.replicas, decision.limited_by),
            (wanted, Some(Limit::Steps)),
            "at {seconds}"
        );
    }
}

#[test]
fn nothing_changes_before_consumers_have_settled() {
    let mut run = Run::new(
        Policy {
            cooldown_seconds: 60,
            ..policy()
        },
        1,
    );
    assert_eq!(run.at(0, observed(1, 3000)).replicas, 3);
    for ready in [8000, 100] {
        let decision = run.at(59, observed(3, ready));
        assert_eq!(
            (decision.replicas, decision.limited_by),
            (3, Some(Limit::Cooldown))
        );
    }
    assert_eq!(run.at(60, observed(3, 8000)).replicas, 8);
}

#[test]
fn what_lies_outside_the_range_goes_back_in_one_step() {
    let slow = Pace {
        window_seconds: 300,
        steps: vec![pods(1, 60)],
        ..Pace::default()
    };
    let policy = Policy {
        bounds: Bounds::new(3, 20).unwrap(),
        up: Pace {
            window_seconds: 60,
            ..slow.clone()
        },
        down: slow,
        cooldown_seconds: 60,
        ..policy()
    };
    for (replicas, wanted, reason) in [
        (15, 8, Reason::AboveCap),
        (9, 8, Reason::AboveCap),
        (0, 3, Reason::BelowMin),
    ] {
        let decision = decide(&policy, &observed(replicas, 4000), &History::default(), NOW);
        assert_eq!(
            (decision.replicas, decision.reason),
            (wanted, reason),
            "{replicas}: {}",
            decision.sentence
        );
    }
}

fn to_zero() -> Policy {
    Policy {
        bounds: Bounds::new(0, 20).unwrap(),
        zero_after_seconds: 120,
        lag: LagTarget {
            activation_messages: n64(10),
            ..policy().lag
        },
        ..policy()
    }
}

#[test]
fn the_last_replica_goes_after_there_was_nothing_to_do_for_long() {
    let mut run = Run::new(to_zero(), 2);
    let decision = run.at(0, observed(2, 0));
    assert_eq!((decision.replicas, decision.reason), (1, Reason::Lag));
    let decision = run.at(119, observed(1, 0));
    assert_eq!(
        (decision.replicas, decision.limited_by),
        (1, Some(Limit::ZeroDelay))
    );
    let decision = run.at(120, observed(1, 0));
    assert_eq!((decision.replicas, decision.reason), (0, Reason::Idle));
    let decision = run.at(1000, observed(0, 0));
    assert_eq!((decision.replicas, decision.reason), (0, Reason::Idle));
}

#[test]
fn messages_in_flight_and_missing_readings_keep_the_last_replica() {
    let in_flight = Observed {
        lag: Ok(Lag {
            ready: 0,
            inflight: 1,
            ..Lag::default()
        }),
        ..observed(1, 0)
    };
    let unknown = Observed {
        lag: missing(),
        ..observed(1, 0)
    };
    for between in [in_flight, unknown, observed(1, 1)] {
        let mut run = Run::new(to_zero(), 1);
        run.at(0, observed(1, 0));
        run.at(60, between);
        assert_eq!(run.at(120, observed(1, 0)).replicas, 1);
        assert_eq!(run.at(239, observed(1, 0)).replicas, 1);
        assert_eq!(run.at(240, observed(1, 0)).replicas, 0);
    }
}

#[test]
fn the_first_replica_comes_when_there_is_enough_to_do() {
    for (ready, wanted, reason, limit) in [
        (0, 0, Reason::Idle, None),
        (9, 0, Reason::Idle, Some(Limit::Activation)),
        (10, 1, Reason::Activated, None),
        (5000, 5, Reason::Activated, None),
    ] {
        let decision = decide(&to_zero(), &observed(0, ready), &History::default(), NOW);
        let found = (decision.replicas, decision.reason, decision.limited_by);
        assert_eq!(found, (wanted, reason, limit), "{ready}: {}", decision.sentence);
    }
    // With a replica there, less than that keeps it.
    assert_eq!(
        decide(&to_zero(), &observed(1, 9), &History::default(), NOW).replicas,
        1
    );
}
