//! What the lag asks for.

use super::*;

type Change = fn(&mut Policy);

/// What the lag asks for where there is that already, under a policy with a change: the lag, the number, and its limit.
fn asks_for(rows: &[(&str, Change, u64, u32, Option<Limit>)]) {
    for &(name, change, ready, wanted, limit) in rows {
        let mut policy = policy();
        change(&mut policy);
        let decision = decide(&policy, &observed(wanted, ready), &History::default(), NOW);
        let found = (decision.replicas, decision.limited_by);
        assert_eq!(found, (wanted, limit), "{name}: {}", decision.sentence);
        let asked = u32::try_from(ready.div_ceil(1000)).unwrap_or(u32::MAX);
        assert_eq!(decision.recommended, Some(asked), "{name}");
    }
}

#[test]
fn lag_asks_for_replicas_up_to_the_queues() {
    let capped = Some(Limit::QueueCount);
    let two_a_pod = |policy: &mut Policy| policy.consumers_per_pod = n32(2);
    let three_a_pod = |policy: &mut Policy| policy.consumers_per_pod = n32(3);
    asks_for(&[
        ("one message", |_| {}, 1, 1, None),
        ("one replica's", |_| {}, 1000, 1, None),
        ("one more", |_| {}, 1001, 2, None),
        ("as many as queues", |_| {}, 8000, 8, None),
        ("more than queues", |_| {}, 8001, 8, capped),
        ("more than can be counted", |_| {}, u64::MAX, 8, capped),
        ("two consumers a pod", two_a_pod, 60_000, 4, capped),
        ("a last pod that is not full", three_a_pod, 60_000, 3, capped),
    ]);
}

#[test]
fn lag_asks_for_replicas_within_the_policys_bounds() {
    let (least, most) = (Some(Limit::MinReplicas), Some(Limit::MaxReplicas));
    let no_cap = |policy: &mut Policy| policy.cap = Cap::None;
    let most_5 = |policy: &mut Policy| policy.bounds = Bounds::new(1, 5).unwrap();
    let least_3 = |policy: &mut Policy| policy.bounds = Bounds::new(3, 20).unwrap();
    let least_12 = |policy: &mut Policy| policy.bounds = Bounds::new(12, 20).unwrap();
    asks_for(&[
        ("nothing to do", |_| {}, 0, 1, least),
        ("the least number", least_3, 500, 3, least),
        ("a cap below the least number wins", least_12, 500, 8, least),
        ("no cap by queues", no_cap, 15_000, 15, None),
        ("no cap but the greatest number", no_cap, 60_000, 20, most),
        ("the greatest number below the queues", most_5, 60_000, 5, most),
    ]);
}

#[test]
fn queues_with_lag_cap_what_is_asked_for_and_never_what_there_is_at_once() {
    let mut policy = policy();
    policy.cap = Cap::QueuesWithLag;
    policy.down.window_seconds = 300;
    let mut run = Run::new(policy, 1);
    let hot = |ready| Observed {
        lag: Ok(queues(&[(ready, 0), (0, 0), (50, 0), (0, 0)])),
        ..observed(1, 0)
    };

    let decision = run.at(0, hot(60_000));
    assert_eq!(
        (decision.replicas, decision.limited_by),
        (2, Some(Limit::QueuesWithLag))
    );
    assert_eq!(
        decision.sentence,
        "ready lag 60050 / 1000 per replica wants 61, capped at 2 queues with lag"
    );

    let only_one = Observed {
        lag: Ok(queues(&[(60_000, 0), (0, 0)])),
        ..observed(2, 0)
    };
    let decision = run.at(60, only_one);
    assert_eq!(
        (decision.replicas, decision.reason),
        (2, Reason::Steady),
        "the window holds"
    );
    assert_eq!(decision.limited_by, Some(Limit::DownWindow));
}

#[test]
fn an_even_share_is_rounded_up_to_within_the_cap() {
    // (queues, greatest number, consumers a pod, ready, wanted)
    let rows: &[(u32, u32, u32, u64, u32)] = &[
        (8, 20, 1, 500, 1),
        (8, 20, 1, 1500, 2),
        (8, 20, 1, 2500, 4),
        (8, 20, 1, 4500, 8),
        (8, 20, 1, 60_000, 8),
        (12, 20, 1, 4500, 6),
        (12, 20, 1, 6500, 12),
        (12, 20, 2, 3500, 6),
        (7, 20, 1, 1500, 7),
        (8, 7, 1, 4500, 5),
        (8, 3, 2, 1500, 2),
        (9, 20, 2, 3500, 5),
    ];
    for &(count, max, consumers, ready, wanted) in rows {
        let mut policy = policy();
        policy.cap = Cap::QueueCount { even: true };
        policy.bounds = Bounds::new(1, max).unwrap();
        policy.consumers_per_pod = n32(consumers);
        let observed = Observed {
            queues: Some(n32(count)),
            ..observed(1, ready)
        };
        let decision = decide(&policy, &observed, &History::default(), NOW);
        assert_eq!(
            decision.replicas, wanted,
            "{count} queues, {ready} ready: {}",
            decision.sentence
        );
    }
}

#[test]
fn small_differences_change_nothing_except_at_the_ends() {
    let mut policy = policy();
    policy.up.tolerance_percent = 10;
    policy.down.tolerance_percent = 20;
    // (replicas, ready, wanted, limit)
    let rows: &[(u32, u64, u32, Option<Limit>)] = &[
        (5, 5500, 5, Some(Limit::Tolerance)),
        (5, 5501, 6, None),
        (6, 4900, 6, Some(Limit::Tolerance)),
        (6, 4800, 6, Some(Limit::Tolerance)),
        (6, 4799, 5, None),
        (5, 4500, 5, None),
        (7, 7001, 8, None),
        (2, 1001, 2, None),
        (2, 1000, 1, None),
        (1, 1001, 1, Some(Limit::Tolerance)),
    ];
    for &(replicas, ready, wanted, limit) in rows {
        let decision = decide(&policy, &observed(replicas, ready), &History::default(), NOW);
        assert_eq!(
            (decision.replicas, decision.limited_by),
            (wanted, limit),
            "{replicas}, {ready}: {}",
            decision.sentence
        );
    }
}

#[test]
fn an_uneven_number_is_no_place_to_stay_at() {
    let mut policy = policy();
    policy.cap = Cap::QueueCount { even: true };
    policy.up.tolerance_percent = 50;
    policy.down.tolerance_percent = 50;
    let decision = decide(&policy, &observed(3, 2500), &History::default(), NOW);
    assert_eq!(decision.replicas, 4);
    assert_eq!(
        decision.sentence,
        "ready lag 2500 / 1000 per replica wants 3, rounded up to 4, which share 8 queues evenly"
    );
}

#[test]
fn a_sentence_says_what_was_computed() {
    let two_a_pod = Policy {
        consumers_per_pod: n32(2),
        ..policy()
    };
    let least = Policy {
        bounds: Bounds::new(2, 20).unwrap(),
        ..policy()
    };
    let few = Policy {
        bounds: Bounds::new(1, 4).unwrap(),
        ..policy()
    };
    let rows: &[(Policy, u32, u64, &str)] = &[
        (
            policy(),
            1,
            60_000,
            "ready lag 60000 / 1000 per replica wants 60, capped at 8 queues",
        ),
        (
            two_a_pod,
            1,
            60_000,
            "ready lag 60000 / 1000 per replica wants 60, capped at 4 by 8 queues with 2 consumers a pod",
        ),
        (
            few,
            1,
            60_000,
            "ready lag 60000 / 1000 per replica wants 60, capped at maxReplicas 4",
        ),
        (
            least,
            2,
            10,
            "ready lag 10 / 1000 per replica wants 1, raised to 2, the least number",
        ),
        (policy(), 3, 3000, "ready lag 3000 / 1000 per replica wants 3"),
    ];
    for (policy, replicas, ready, wanted) in rows {
        let decision = decide(policy, &observed(*replicas, *ready), &History::default(), NOW);
        assert_eq!(decision.sentence, *wanted);
    }
}
