//! The history is bounded, and outlives the operator.

use super::*;

fn busy_policy() -> Policy {
    let guard = |name: &str, rule| Guard {
        name: name.to_owned(),
        for_seconds: 60,
        rule,
    };
    Policy {
        lag: LagTarget {
            stuck_after_seconds: Some(n32(300)),
            ..policy().lag
        },
        up: Pace {
            window_seconds: 60,
            tolerance_percent: 5,
            steps: vec![percent(100, 1800)],
        },
        down: Pace {
            window_seconds: 3600,
            tolerance_percent: 5,
            steps: vec![pods(2, 1800)],
        },
        guards: vec![
            guard(
                "db",
                GuardRule::Threshold {
                    action: GuardAction::HoldScaleUp,
                },
            ),
            guard(
                "rate",
                GuardRule::ThroughputRegression {
                    window_seconds: n32(600),
                    drop_percent: n32(10),
                },
            ),
            guard(
                "dead",
                GuardRule::DeadLetterRate {
                    per_minute: n64(100),
                    action: GuardAction::Suspend,
                },
            ),
        ],
        ..policy()
    }
}

fn busy(second: u64) -> Observed {
    let rows: Vec<_> = (0..1000).map(|queue| (second % 7 + 1, queue)).collect();
    let above = GuardReading::Beyond("91 is above 85".to_owned());
    Observed {
        lag: Ok(queues(&rows)),
        guards: [("db".to_owned(), above)].into(),
        consumed_total: Some(second * 100),
        dead_letters_total: Some(second),
        ..observed(1, 0)
    }
}

#[test]
fn what_lasts_of_a_history_changes_only_when_something_happens() {
    let mut policy = busy_policy();
    policy.guards.truncate(2);
    let mut run = Run::new(policy, 8);
    let steady = |seconds: u64| {
        // Queue 0 stands still; the others get done what comes.
        let rows: Vec<_> = (0..8)
            .map(|queue| (900, if queue == 0 { 7 } else { seconds * 10 }))
            .collect();
        Observed {
            lag: Ok(queues(&rows)),
            guards: [("db".to_owned(), GuardReading::Within)].into(),
            consumed_total: Some(seconds * 70),
            ..observed(8, 0)
        }
    };
    let mut kept = Vec::new();
    for seconds in (0..1200).step_by(15) {
        run.at(seconds, steady(seconds));
        kept.push(run.history.lasting(Time(NOW.0 + seconds)));
    }
    kept.dedup();
    assert_eq!(kept.len(), 2, "the standstill is all that happens: {kept:?}");
}

#[test]
fn an_operator_that_starts_anew_goes_on_with_what_lasts() {
    let mut policy = Policy {
        cooldown_seconds: 600,
        ..policy()
    };
    policy.lag.stuck_after_seconds = Some(n32(300));
    policy.down.window_seconds = 120;
    let mut run = Run::new(policy, 1);
    // One queue stands still, the other gets done what comes.
    let stuck = |seconds| Observed {
        lag: Ok(queues(&[(60_000, 500), (900, seconds)])),
        ..observed(8, 0)
    };
    assert_eq!(run.at(0, stuck(0)).replicas, 8, "at first it counts");
    run.at(290, stuck(290));
    run.history = History::resumed(run.history.lasting(Time(NOW.0 + 290)));
    let decision = run.at(300, stuck(300));
    assert_eq!(decision.stuck_queues, 1);
    assert_eq!(
        (decision.replicas, decision.limited_by),
        (8, Some(Limit::DownWindow)),
        "a new window"
    );
    let later: Vec<_> = (315..600).step_by(15).map(|at| run.at(at, stuck(at))).collect();
    let last = later.last().unwrap();
    let why = &last.sentence;
    assert_eq!(
        last.limited_by,
        Some(Limit::Cooldown),
        "the old change counts: {why}"
    );
    assert_eq!(run.at(600, stuck(600)).replicas, 1);
}

#[test]
fn a_history_stays_small_however_long_and_busy_the_time() {
    let mut run = Run::new(busy_policy(), 3);
    for second in 0..5000 {
        run.at(second, busy(second));
        // Somebody sets it back each second, so that each decision may write.
        run.replicas = 3 + u32::try_from(second % 2).unwrap();
    }
    let written = format!("{:?}", run.history);
    assert!(written.len() < 64 << 10, "{} characters", written.len());
}

#[test]
fn a_clock_that_was_put_back_blocks_nothing() {
    let policy = Policy {
        cooldown_seconds: 60,
        down: Pace {
            window_seconds: 300,
            steps: vec![pods(8, 60)],
            ..Pace::default()
        },
        ..policy()
    };
    let mut run = Run::new(policy, 1);
    run.at(1_000_000, observed(1, 8000));
    assert_eq!(run.replicas, 8);
    run.at(0, observed(8, 100));
    assert_eq!(run.at(300, observed(8, 100)).replicas, 1);
}

#[test]
fn every_reason_and_limit_has_a_word_of_its_own() {
    let words: Vec<_> = Reason::ALL.iter().map(|reason| reason.word()).collect();
    let limits: Vec<_> = Limit::ALL.iter().map(|limit| limit.word()).collect();
    for words in [words, limits] {
        let distinct: std::collections::BTreeSet<_> = words.iter().collect();
        assert_eq!(distinct.len(), words.len());
        assert!(
            words
                .iter()
                .all(|word| word.starts_with(|c: char| c.is_ascii_uppercase()))
        );
    }
}
