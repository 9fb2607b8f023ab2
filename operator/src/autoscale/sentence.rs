//! Decisions in words.

use super::decision::Limit;
use super::demand::{Demand, Range};
use super::policy::Policy;
use std::fmt::Write;

/// What the lag asks for: `ready lag 60000 / 1000 per replica wants 60, capped at 8 queues`.
pub fn demand(policy: &Policy, range: Range, demand: Demand) -> String {
    let Demand {
        ready,
        stuck,
        lagging,
        raw,
        want,
        limited_by,
        ..
    } = demand;
    let per_replica = policy.lag.messages_per_replica;
    let mut words = format!("ready lag {ready} / {per_replica} per replica wants {raw}");
    let pods = policy.consumers_per_pod.get();
    let shared = |queues: u32, what: &str| match pods {
        1 => format!("{queues} {what}"),
        _ => format!(
            "{} by {queues} {what} with {pods} consumers a pod",
            queues.div_ceil(pods)
        ),
    };
    let limit = match limited_by {
        Some(Limit::QueueCount) => format!("capped at {}", shared(range.queues, "queues")),
        Some(Limit::QueuesWithLag) => format!("capped at {}", shared(lagging, "queues with lag")),
        Some(Limit::MaxReplicas) => format!("capped at maxReplicas {}", range.cap),
        Some(Limit::MinReplicas) => format!("raised to {}, the least number", range.floor),
        Some(Limit::Activation) => format!("and {} bring the first replica", policy.lag.activation_messages),
        _ if want > raw.max(1) => format!("rounded up to {want}, which share {} queues evenly", range.queues),
        _ => String::new(),
    };
    // Writing to a string cannot fail.
    if !limit.is_empty() {
        let _ = write!(words, ", {limit}");
    }
    if stuck > 0 {
        let _ = write!(
            words,
            ", {stuck} stuck {} left out",
            if stuck == 1 { "queue" } else { "queues" }
        );
    }
    words
}

/// Why replicas are not taken away yet.
pub fn down_window(highest: u32, policy: &Policy) -> String {
    format!(
        "{highest} were asked for within the last {} s",
        policy.down.window_seconds
    )
}

/// Why replicas are not added yet.
pub fn up_window(lowest: u32, policy: &Policy) -> String {
    format!(
        "no more than {lowest} were asked for within the last {} s",
        policy.up.window_seconds
    )
}
