//! What guards do.

use super::*;

fn guarded(rule: GuardRule) -> Policy {
    Policy {
        guards: vec![Guard {
            name: "db".to_owned(),
            for_seconds: 0,
            rule,
        }],
        ..policy()
    }
}

fn threshold(action: GuardAction) -> Policy {
    let mut policy = guarded(GuardRule::Threshold { action });
    policy.guards[0].for_seconds = 60;
    policy
}

fn reading(replicas: u32, ready: u64, reading: GuardReading) -> Observed {
    Observed {
        guards: [("db".to_owned(), reading)].into(),
        ..observed(replicas, ready)
    }
}

fn above() -> GuardReading {
    GuardReading::Beyond("91 is above 85".to_owned())
}

#[test]
fn a_guard_acts_once_it_was_above_its_threshold_for_long_enough() {
    for (action, ready, before, after, reason, limit) in [
        (
            GuardAction::HoldScaleUp,
            8000,
            8,
            4,
            Reason::Lag,
            Some(Limit::Guard),
        ),
        (GuardAction::HoldScaleUp, 2000, 2, 2, Reason::Lag, None),
        (GuardAction::StepDown, 8000, 8, 3, Reason::GuardStepDown, None),
        (GuardAction::Suspend, 8000, 8, 4, Reason::Suspended, None),
        (GuardAction::Suspend, 2000, 2, 4, Reason::Suspended, None),
    ] {
        // What would be done a second before is what is done without the guard.
        for (seconds, wanted) in [(59, before), (60, after)] {
            let mut run = Run::new(threshold(action), 4);
            run.at(0, reading(4, 4000, above()));
            let decision = run.at(seconds, reading(4, ready, above()));
            assert_eq!(
                decision.replicas, wanted,
                "{action:?} at {seconds}: {}",
                decision.sentence
            );
            let tripped = seconds == 60;
            assert_eq!(!decision.guards_tripped.is_empty(), tripped);
            if tripped {
                assert_eq!(
                    (decision.reason, decision.limited_by),
                    (reason, limit),
                    "{action:?}"
                );
            }
        }
    }
}

#[test]
fn a_guard_that_falls_below_begins_anew_and_one_that_is_not_read_goes_on() {
    for (between, replicas) in [
        (GuardReading::Within, 8),
        (GuardReading::Missing("stale".to_owned()), 4),
    ] {
        let mut run = Run::new(threshold(GuardAction::HoldScaleUp), 4);
        run.at(0, reading(4, 4000, above()));
        run.at(30, reading(4, 4000, between));
        assert_eq!(run.at(60, reading(4, 8000, above())).replicas, replicas);
    }
}

#[test]
fn without_a_guards_reading_nothing_is_added_and_nothing_else_is_hindered() {
    let unread = |replicas, ready| reading(replicas, ready, GuardReading::Missing("it is slow".to_owned()));
    for action in [
        GuardAction::HoldScaleUp,
        GuardAction::StepDown,
        GuardAction::Suspend,
    ] {
        let policy = threshold(action);
        for observed in [unread(4, 8000), observed(4, 8000)] {
            let decision = decide(&policy, &observed, &History::default(), NOW);
            assert_eq!(
                (decision.replicas, decision.limited_by),
                (4, Some(Limit::GuardUnknown)),
                "{action:?}"
            );
        }
        assert_eq!(
            decide(&policy, &unread(4, 2000), &History::default(), NOW).replicas,
            2,
            "{action:?}"
        );
    }
}

#[test]
fn stepping_down_goes_as_fast_as_steps_and_ends_at_the_least_number() {
    let mut policy = threshold(GuardAction::StepDown);
    policy.bounds = Bounds::new(2, 20).unwrap();
    policy.down = Pace {
        window_seconds: 300,
        steps: vec![pods(2, 30)],
        ..Pace::default()
    };
    let mut run = Run::new(policy, 7);
    run.at(0, reading(7, 8000, GuardReading::Within));
    run.replicas = 7;
    run.history = History::default();
    for (seconds, wanted) in [(0, 7), (60, 5), (75, 5), (90, 3), (120, 2), (150, 2)] {
        // Without the guard there would be no change: lag and replicas agree.
        let lag = u64::from(run.replicas) * 1000;
        let decision = run.at(seconds, reading(0, lag, above()));
        assert_eq!(decision.replicas, wanted, "at {seconds}: {}", decision.sentence);
    }
}

fn regression() -> Policy {
    let rule = GuardRule::ThroughputRegression {
        window_seconds: n32(120),
        drop_percent: n32(10),
    };
    Policy {
        up: Pace {
            steps: vec![pods(2, 120)],
            ..Pace::default()
        },
        ..guarded(rule)
    }
}

/// Decisions every 15 seconds from `from` to `to`, with so many messages done a minute.
fn consume(run: &mut Run, from: u64, to: u64, done: &mut u64, per_minute: u64, ready: u64) -> Vec<Decision> {
    let times = (from..=to).step_by(15);
    times
        .map(|seconds| {
            *done += per_minute / 4;
            run.at(
                seconds,
                Observed {
                    consumed_total: Some(*done),
                    ..observed(run.replicas, ready)
                },
            )
        })
        .collect()
}

#[test]
fn a_step_that_made_things_worse_is_taken_back_and_further_ones_wait_longer_each_time() {
    let mut run = Run::new(regression(), 2);
    let mut done = 0;
    consume(&mut run, 0, 120, &mut done, 6000, 2000);
    let up = consume(&mut run, 135, 135, &mut done, 6000, 8000).remove(0);
    assert_eq!((up.replicas, up.rate), (4, Some(6000)), "{}", up.sentence);
    let after = consume(&mut run, 150, 240, &mut done, 5000, 8000);
    assert!(
        after.iter().all(|decision| decision.replicas == 4),
        "the step's window is not over"
    );
    let back = consume(&mut run, 255, 255, &mut done, 5000, 8000).remove(0);
    assert_eq!(
        (back.replicas, back.reason),
        (2, Reason::ThroughputRegression),
        "{}",
        back.sentence
    );
    assert_eq!(
        back.sentence,
        "guard \"db\": 2 to 4 replicas took the rate from 6000 to 5000 messages a minute; goes back to 2"
    );
    assert_eq!(back.guards_tripped, ["db"]);

    let waits = consume(&mut run, 270, 480, &mut done, 6000, 8000);
    assert!(
        waits
            .iter()
            .all(|decision| decision.limited_by == Some(Limit::BackOff)),
        "240 s the first time"
    );
    let again = consume(&mut run, 495, 495, &mut done, 6000, 8000).remove(0);
    assert_eq!(again.replicas, 4, "{}", again.sentence);
    let back = consume(&mut run, 510, 615, &mut done, 5000, 8000).pop().unwrap();
    assert_eq!(back.reason, Reason::ThroughputRegression, "{}", back.sentence);
    let waits = consume(&mut run, 630, 615 + 465, &mut done, 6000, 8000);
    assert!(
        waits
            .iter()
            .all(|decision| decision.limited_by == Some(Limit::BackOff)),
        "480 s the second time"
    );
}

#[test]
fn a_step_is_kept_where_nothing_speaks_against_it() {
    // (rate before, rate after, ready after, why)
    for (before, after, ready, why) in [
        (6000, 6000, 8000, "the rate stays"),
        (6000, 5400, 8000, "it falls by no more than is allowed"),
        (6000, 9000, 8000, "it grows"),
        (6000, 100, 2000, "there is too little to do"),
    ] {
        let mut run = Run::new(
            Policy {
                down: Pace {
                    window_seconds: 3600,
                    ..Pace::default()
                },
                ..regression()
            },
            2,
        );
        let mut done = 0;
        consume(&mut run, 0, 120, &mut done, before, 2000);
        consume(&mut run, 135, 135, &mut done, before, 8000);
        let decisions = consume(&mut run, 150, 255, &mut done, after, ready);
        let taken_back = decisions
            .iter()
            .any(|decision| decision.reason == Reason::ThroughputRegression);
        assert!(!taken_back && run.replicas >= 4, "{why}");
    }
}

#[test]
fn without_a_rate_from_before_no_step_is_taken_back() {
    let mut run = Run::new(regression(), 2);
    let mut done = 0;
    assert_eq!(consume(&mut run, 0, 0, &mut done, 6000, 4000)[0].replicas, 4);
    let decisions = consume(&mut run, 15, 600, &mut done, 100, 4000);
    assert!(decisions.iter().all(|decision| decision.replicas == 4));
}

#[test]
fn dead_letters_at_a_rate_stop_scaling() {
    let rule = GuardRule::DeadLetterRate {
        per_minute: n64(100),
        action: GuardAction::Suspend,
    };
    for (per_15_seconds, wanted) in [(24, 8), (25, 4)] {
        let mut run = Run::new(guarded(rule), 4);
        let mut dead = 7_000_000;
        for seconds in (0..60).step_by(15) {
            run.at(
                seconds,
                Observed {
                    dead_letters_total: Some(dead),
                    ..observed(4, 4000)
                },
            );
            dead += per_15_seconds;
        }
        let decision = run.at(
            60,
            Observed {
                dead_letters_total: Some(dead),
                ..observed(4, 8000)
            },
        );
        assert_eq!(decision.replicas, wanted, "{}", decision.sentence);
    }
}

#[test]
fn dead_letters_that_cannot_be_read_let_nothing_rise() {
    let rule = GuardRule::DeadLetterRate {
        per_minute: n64(100),
        action: GuardAction::Suspend,
    };
    let decision = decide(&guarded(rule), &observed(4, 8000), &History::default(), NOW);
    assert_eq!(decision.replicas, 4, "{}", decision.sentence);
}

#[test]
fn pods_without_a_node_can_do_more_than_stop_further_ones() {
    for (action, wanted) in [
        (GuardAction::HoldScaleUp, 2),
        (GuardAction::StepDown, 3),
        (GuardAction::Suspend, 4),
    ] {
        let mut waiting = observed(4, 2000);
        waiting.target.pending = 1;
        let policy = guarded(GuardRule::PendingPods { action });
        let decision = decide(&policy, &waiting, &History::default(), NOW);
        assert_eq!(
            (decision.replicas, &*decision.guards_tripped),
            (wanted, &["db".to_owned()][..]),
            "{action:?}"
        );
    }
}
