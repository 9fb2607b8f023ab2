//! A fleet of consumers with a rate each works off a backlog, and the decision follows it.

use super::*;

/// Queues with messages, and consumers that take from one queue each.
struct Fleet {
    queues: Vec<u64>,
    done: Vec<u64>,
    /// Messages a second that a replica does.
    rate: u64,
    /// When each replica starts to work.
    starts: Vec<u64>,
}

/// How long a pod takes until it works.
const START_SECONDS: u64 = 10;

impl Fleet {
    fn new(queues: usize, backlog: u64, rate: u64) -> Self {
        let each = backlog / queues as u64;
        Self {
            queues: vec![each; queues],
            done: vec![0; queues],
            rate,
            starts: vec![0],
        }
    }

    fn second(&mut self, now: u64, incoming: u64) {
        for queue in &mut self.queues {
            *queue += incoming;
        }
        let working = self.starts.iter().filter(|start| **start <= now).count();
        // Queues are shared out in turn: a consumer without a queue does nothing.
        for consumer in 0..working.min(self.queues.len()) {
            let mine: Vec<_> = (consumer..self.queues.len()).step_by(working).collect();
            let mut left = self.rate;
            for queue in mine {
                let taken = left.min(self.queues[queue]);
                self.queues[queue] -= taken;
                self.done[queue] += taken;
                left -= taken;
            }
        }
    }

    fn scale(&mut self, replicas: u32, now: u64) {
        self.starts.resize(replicas as usize, now + START_SECONDS);
    }

    fn observed(&self, now: u64) -> Observed {
        let rows: Vec<_> = self
            .queues
            .iter()
            .copied()
            .zip(self.done.iter().copied())
            .collect();
        let ready = self.starts.iter().filter(|start| **start <= now).count();
        Observed {
            lag: Ok(queues(&rows)),
            queues: Some(n32(u32::try_from(self.queues.len()).unwrap())),
            target: Target {
                ready: u32::try_from(ready).unwrap(),
                ..Target::default()
            },
            consumed_total: Some(self.done.iter().sum()),
            ..observed(1, 0)
        }
    }
}

/// As a resource would have it: doubling, one step in 30 seconds, and a window of two minutes downwards.
fn production() -> Policy {
    let regression = GuardRule::ThroughputRegression {
        window_seconds: n32(60),
        drop_percent: n32(10),
    };
    Policy {
        bounds: Bounds::new(1, 64).unwrap(),
        lag: LagTarget {
            stuck_after_seconds: Some(n32(300)),
            ..policy().lag
        },
        up: Pace {
            steps: vec![percent(100, 30), pods(4, 30)],
            tolerance_percent: 5,
            ..Pace::default()
        },
        down: Pace {
            window_seconds: 120,
            tolerance_percent: 5,
            steps: vec![pods(4, 60)],
        },
        cooldown_seconds: 30,
        guards: vec![Guard {
            name: "rate".to_owned(),
            for_seconds: 0,
            rule: regression,
        }],
        ..policy()
    }
}

/// Every replicas' number there was, in order, with its time.
fn simulate(policy: Policy, fleet: &mut Fleet, seconds: u64, incoming: fn(u64) -> u64) -> Vec<(u64, u32)> {
    let mut run = Run::new(policy, 1);
    let mut numbers = vec![(0, 1)];
    for now in 0..seconds {
        fleet.second(now, incoming(now));
        if now % 15 == 0 {
            let decision = run.at(now, fleet.observed(now));
            if decision.replicas != decision.current {
                fleet.scale(decision.replicas, now);
                numbers.push((now, decision.replicas));
            }
        }
    }
    numbers
}

#[test]
fn a_backlog_of_60_000_on_8_queues_brings_8_replicas_never_9_and_one_again_after_the_window() {
    let mut fleet = Fleet::new(8, 60_000, 25);
    let numbers = simulate(production(), &mut fleet, 1800, |_| 0);
    let replicas: Vec<_> = numbers.iter().map(|(_, replicas)| *replicas).collect();
    let top = replicas.iter().position(|replicas| *replicas == 8).unwrap();
    assert!(numbers[top].0 <= 60, "8 replicas within a minute: {numbers:?}");
    assert!(replicas[..=top].is_sorted(), "{numbers:?}");
    assert!(replicas[top..].is_sorted_by(|a, b| a >= b), "{numbers:?}");
    assert_eq!(replicas.iter().max(), Some(&8));
    assert_eq!(fleet.queues.iter().sum::<u64>(), 0, "{numbers:?}");
    // 60,000 at 8 times 25 a second takes 300 seconds; the window and the steps come behind it.
    let &(last, one) = numbers.last().unwrap();
    assert_eq!(one, 1, "{numbers:?}");
    assert!((300..700).contains(&last), "{numbers:?}");
}

#[test]
fn a_steady_stream_settles_on_a_number() {
    // 8 queues get 10 messages a second each, and a replica does 25 a second: 4 replicas keep up.
    let mut fleet = Fleet::new(8, 8000, 25);
    let numbers = simulate(production(), &mut fleet, 7200, |_| 10);
    let late: Vec<_> = numbers.iter().filter(|(at, _)| *at > 3600).collect();
    assert!(numbers.iter().all(|(_, replicas)| *replicas <= 8), "{numbers:?}");
    assert!(
        fleet.queues.iter().sum::<u64>() < 20_000,
        "it keeps up: {numbers:?}"
    );
    // A lag near a boundary may move the number now and then, but not with each decision.
    assert!(late.len() <= 40, "{numbers:?}");
}

#[test]
fn bursts_bring_replicas_and_leave_none_behind() {
    let mut fleet = Fleet::new(8, 0, 50);
    let burst = |now| if now % 1800 < 60 { 100 } else { 0 };
    let numbers = simulate(production(), &mut fleet, 7200, burst);
    assert_eq!(numbers.last().unwrap().1, 1, "{numbers:?}");
    assert!(numbers.iter().any(|(_, replicas)| *replicas == 8), "{numbers:?}");
    assert_eq!(fleet.queues.iter().sum::<u64>(), 0);
}
