//! What holds whatever the numbers are.

use super::*;
use proptest::prelude::*;

fn pace() -> impl Strategy<Value = Pace> {
    let size = (1_u32..=200, any::<bool>());
    let size = size.prop_map(|(value, is_pods)| match is_pods {
        true => StepSize::Pods(n32(value.min(20))),
        false => StepSize::Percent(n32(value)),
    });
    let step = (size, 1_u32..=300).prop_map(|(size, period)| StepPolicy {
        size,
        period_seconds: n32(period),
    });
    let steps = proptest::collection::vec(step, 0..3);
    (0_u32..=300, 0_u32..=50, steps).prop_map(|(window_seconds, tolerance_percent, steps)| Pace {
        window_seconds,
        tolerance_percent,
        steps,
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    let cap = prop_oneof![
        Just(Cap::QueueCount { even: false }),
        Just(Cap::QueueCount { even: true }),
        Just(Cap::QueuesWithLag),
        Just(Cap::None),
    ];
    let bounds = (0_u32..=12, 1_u32..=40).prop_map(|(min, max)| Bounds::new(min.min(max), max).unwrap());
    let numbers = (1_u32..=3, 1_u64..=3000, 1_u64..=50, 0_u32..=90, 0_u32..=300);
    (cap, bounds, numbers, pace(), pace()).prop_map(|(cap, bounds, numbers, up, down)| {
        let (consumers, per_replica, activation, cooldown_seconds, zero_after_seconds) = numbers;
        Policy {
            bounds,
            cap,
            consumers_per_pod: n32(consumers),
            lag: LagTarget {
                messages_per_replica: n64(per_replica),
                activation_messages: n64(activation),
                stuck_after_seconds: None,
            },
            up: Pace {
                window_seconds: up.window_seconds.min(60),
                ..up
            },
            down,
            cooldown_seconds,
            zero_after_seconds,
            ..policy()
        }
    })
}

/// Ready messages by queue.
fn lags() -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec(prop_oneof![Just(0), 1_u64..=5000, 0_u64..=1_000_000], 1..20)
}

fn seen(replicas: u32, ready: &[u64]) -> Observed {
    let rows: Vec<_> = ready.iter().map(|ready| (*ready, 0)).collect();
    let count = u32::try_from(ready.len()).unwrap();
    Observed {
        lag: Ok(queues(&rows)),
        queues: Some(n32(count)),
        ..observed(replicas, 0)
    }
}

/// The greatest number of replicas, in words of its own.
fn cap(policy: &Policy, queues: usize) -> u32 {
    let by_queues = u32::try_from(queues)
        .unwrap()
        .div_ceil(policy.consumers_per_pod.get());
    match policy.cap {
        Cap::None => policy.bounds.max(),
        _ => policy.bounds.max().min(by_queues),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_number_is_within_floor_and_cap(
        policy in policies(),
        rounds in proptest::collection::vec((lags(), 1_u64..200), 1..20),
        replicas in 0_u32..60,
    ) {
        let mut run = Run::new(policy, replicas);
        let mut seconds = 0;
        for (ready, later) in rounds {
            seconds += later;
            let decision = run.at(seconds, seen(0, &ready));
            let cap = cap(&run.policy, ready.len());
            prop_assert!(decision.replicas <= cap, "{}", decision.sentence);
            prop_assert!(decision.replicas >= run.policy.bounds.min().min(cap), "{}", decision.sentence);
            prop_assert_eq!(decision.cap, cap);
        }
    }

    #[test]
    fn more_lag_never_means_fewer_replicas(
        policy in policies(),
        past in proptest::collection::vec((lags(), 1_u64..200), 0..8),
        ready in lags(),
        more in proptest::collection::vec(0_u64..=100_000, 20),
        replicas in 0_u32..60,
    ) {
        let mut run = Run::new(policy, replicas);
        let mut seconds = 0;
        for (ready, later) in past {
            seconds += later;
            run.at(seconds, seen(0, &ready));
        }
        let now = Time(NOW.0 + seconds + 15);
        let greater: Vec<_> = ready.iter().zip(more).map(|(ready, more)| ready + more).collect();
        let with = |ready: &[u64]| decide(&run.policy, &seen(run.replicas, ready), &run.history, now);
        let (less, more) = (with(&ready), with(&greater));
        prop_assert!(less.replicas <= more.replicas, "{} but {}", less.sentence, more.sentence);
    }

    #[test]
    fn without_a_lag_nothing_moves(
        policy in policies(),
        past in proptest::collection::vec((lags(), 1_u64..200), 0..8),
        replicas in 0_u32..60,
    ) {
        let mut run = Run::new(policy, replicas);
        let mut seconds = 0;
        for (ready, later) in past {
            seconds += later;
            run.at(seconds, seen(0, &ready));
        }
        let before = run.replicas;
        for round in 1..100 {
            let decision = run.at(seconds + round * 15, Observed { lag: missing(), ..observed(0, 0) });
            prop_assert_eq!((decision.replicas, decision.reason), (before, Reason::MetricsMissing));
        }
    }

    #[test]
    fn a_fallback_is_never_above_the_queues_that_were_known_last_and_adds_none_where_none_were(
        policy in policies(),
        past in proptest::collection::vec((lags(), 1_u64..200), 0..4),
        replicas in 0_u32..60,
        fallback in 0_u32..60,
        is_static in any::<bool>(),
    ) {
        let action = if is_static { FallbackAction::Static } else { FallbackAction::KeepIfHigher };
        let fallback = Some(Fallback { after_seconds: 30, replicas: fallback, action });
        let mut run = Run::new(Policy { fallback, ..policy }, replicas);
        let (mut seconds, mut known) = (0, None);
        for (ready, later) in past {
            seconds += later;
            known = Some(ready.len());
            run.at(seconds, seen(0, &ready));
        }
        let before = run.replicas;
        for round in 1..20 {
            let unknown = Observed { lag: missing(), queues: None, ..observed(0, 0) };
            let decision = run.at(seconds + round * 15, unknown);
            let most = match known {
                Some(queues) => cap(&run.policy, queues).max(before),
                None if run.policy.cap == Cap::None => run.policy.bounds.max().max(before),
                None => before,
            };
            prop_assert!(decision.replicas <= most, "{} and {most}", decision.sentence);
        }
    }

    #[test]
    fn what_lasts_of_a_history_lasts_through_any_number_of_starts(
        policy in policies(),
        past in proptest::collection::vec((lags(), 1_u64..200), 0..12),
        replicas in 0_u32..60,
    ) {
        let mut run = Run::new(policy, replicas);
        let mut seconds = 0;
        for (ready, later) in past {
            seconds += later;
            run.at(seconds, seen(0, &ready));
        }
        let now = Time(NOW.0 + seconds);
        let lasting = run.history.lasting(now);
        prop_assert_eq!(History::resumed(lasting.clone()).lasting(now), lasting);
    }
}

proptest! {
    // Each case is a thousand decisions.
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn constant_lag_turns_around_once_at_most_and_ends_in_a_number(
        policy in policies(),
        ready in lags(),
        replicas in 0_u32..60,
    ) {
        let mut run = Run::new(policy, replicas);
        let mut numbers = vec![replicas];
        // Every step is at most a cooldown, a window and a period apart; a pod a step is the slowest.
        for round in 0..1000_u64 {
            numbers.push(run.at(round * 15, seen(0, &ready)).replicas);
        }
        let settled = numbers.len() - 100;
        prop_assert!(numbers[settled..].iter().all(|number| *number == numbers[settled]), "{:?}", numbers);
        numbers.dedup();
        let directions: Vec<_> = numbers.windows(2).map(|pair| pair[1] > pair[0]).collect();
        let turns = directions.windows(2).filter(|pair| pair[0] != pair[1]).count();
        prop_assert!(turns <= 1, "{:?}", numbers);
    }
}
