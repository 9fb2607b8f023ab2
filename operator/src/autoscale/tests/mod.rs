//! The decision as a whole: a row a rule, known failures of other autoscalers, properties, and a fleet of consumers.

mod bounds;
mod contention;
mod guards;
mod holds;
mod known_failures;
mod lag;
mod properties;
mod remembering;
mod simulation;

use super::*;
use std::num::{NonZeroU32, NonZeroU64};

/// When the tables' decisions are made.
const NOW: Time = Time(1_000_000);

fn n32(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap()
}

fn n64(value: u64) -> NonZeroU64 {
    NonZeroU64::new(value).unwrap()
}

/// 1,000 messages a replica, 1 to 20 of them, capped by queues, at once in both directions.
fn policy() -> Policy {
    Policy {
        mode: Mode::Active,
        bounds: Bounds::new(1, 20).unwrap(),
        cap: Cap::QueueCount { even: false },
        consumers_per_pod: n32(1),
        lag: LagTarget {
            messages_per_replica: n64(1000),
            activation_messages: n64(1),
            stuck_after_seconds: None,
        },
        up: Pace::default(),
        down: Pace::default(),
        cooldown_seconds: 0,
        zero_after_seconds: 0,
        fallback: None,
        guards: Vec::new(),
    }
}

/// A lag on 8 queues, and a target with so many replicas that work.
fn observed(replicas: u32, ready: u64) -> Observed {
    Observed {
        lag: Ok(Lag {
            ready,
            inflight: 0,
            queues: Vec::new(),
            left_out: None,
        }),
        queues: Some(n32(8)),
        target: Target {
            replicas,
            ready: replicas,
            pending: 0,
            rolling_out: false,
        },
        guards: std::collections::BTreeMap::new(),
        consumed_total: None,
        dead_letters_total: None,
        pauses: Pauses::default(),
        conflict: None,
        writer: None,
        said: Said::default(),
    }
}

/// Queues with these ready messages and so many done.
fn queues(rows: &[(u64, u64)]) -> Lag {
    let queue = |(number, &(ready, done)): (usize, &(u64, u64))| QueueLag {
        queue: format!("orders/{number}"),
        ready,
        done: Some(done),
    };
    Lag {
        ready: rows.iter().map(|(ready, _)| ready).sum(),
        inflight: 0,
        queues: rows.iter().enumerate().map(queue).collect(),
        left_out: None,
    }
}

fn missing() -> Result<Lag, Missing> {
    Err(Missing {
        kind: MissingKind::Unreachable,
        detail: "prometheus does not answer".to_owned(),
    })
}

fn pods(value: u32, period: u32) -> StepPolicy {
    StepPolicy {
        size: StepSize::Pods(n32(value)),
        period_seconds: n32(period),
    }
}

fn percent(value: u32, period: u32) -> StepPolicy {
    StepPolicy {
        size: StepSize::Percent(n32(value)),
        period_seconds: n32(period),
    }
}

/// What follows from what is the case at several times; a number to write is written, and then is the case.
struct Run {
    policy: Policy,
    history: History,
    replicas: u32,
}

impl Run {
    fn new(policy: Policy, replicas: u32) -> Self {
        Self {
            policy,
            history: History::default(),
            replicas,
        }
    }

    /// Decides at so many seconds behind [`NOW`], with the run's replicas.
    fn at(&mut self, seconds: u64, mut observed: Observed) -> Decision {
        let now = Time(NOW.0 + seconds);
        observed.target.replicas = self.replicas;
        observed.target.ready = observed.target.ready.min(self.replicas);
        let decision = decide(&self.policy, &observed, &self.history, now);
        self.history = match decision.to_write() {
            Some(replicas) => {
                self.replicas = replicas;
                decision.written(now)
            }
            None => decision.history.clone(),
        };
        decision
    }
}
