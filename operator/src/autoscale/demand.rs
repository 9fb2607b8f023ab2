//! What the lag asks for within floor and cap, without regard to what was before.

use super::decision::Limit;
use super::history::History;
use super::observed::{Lag, Observed};
use super::policy::{Cap, Policy};
use super::time::Time;
use std::num::NonZeroU32;

/// The numbers of replicas that there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The least one. The cap wins where it is below the least number of the policy.
    pub floor: u32,
    /// The greatest one.
    pub cap: u32,
    /// What sets the greatest one.
    pub cap_by: Limit,
    /// The queues behind it; 0 where these set no bound or are not known.
    pub queues: u32,
}

impl Range {
    /// The range that policy and queues leave, by the number of queues that was known last; if none ever was, the policy's alone.
    pub fn of(policy: &Policy, queues: Option<NonZeroU32>) -> Self {
        let max = policy.bounds.max();
        let queues = match policy.cap {
            Cap::None => 0,
            Cap::QueueCount { .. } | Cap::QueuesWithLag => queues.map_or(0, NonZeroU32::get),
        };
        let pods = queues.div_ceil(policy.consumers_per_pod.get());
        let (cap, cap_by) = match pods {
            1.. if pods < max => (pods, Limit::QueueCount),
            _ => (max, Limit::MaxReplicas),
        };
        Self {
            floor: policy.bounds.min().min(cap),
            cap,
            cap_by,
            queues,
        }
    }
}

/// What the lag asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Ready messages that count.
    pub ready: u64,
    /// Queues whose messages do not.
    pub stuck: u32,
    /// Queues with messages that do, where the single queues are known.
    pub lagging: u32,
    /// The replicas for them, without any bound.
    pub raw: u32,
    /// The replicas within floor and cap.
    pub want: u32,
    /// The greatest number that this lag can ask for: the cap, or fewer where only queues with lag count.
    pub most: u32,
    /// What keeps `want` from `raw`.
    pub limited_by: Option<Limit>,
}

impl Demand {
    /// What this lag asks for.
    pub fn of(
        policy: &Policy,
        observed: &Observed,
        lag: &Lag,
        range: Range,
        history: &History,
        now: Time,
    ) -> Self {
        let (ready, lagging, stuck) = counted(policy, lag, history, now);
        let raw = ready.div_ceil(policy.lag.messages_per_replica.get());
        let raw = u32::try_from(raw).unwrap_or(u32::MAX);
        let unbounded = Self {
            ready,
            stuck,
            lagging,
            raw,
            want: raw,
            most: range.cap,
            limited_by: None,
        };
        let bounded = unbounded
            .capped(policy, lag, range)
            .floored(policy, observed, lag, range);
        Self {
            want: even(policy, range, bounded.want),
            ..bounded
        }
    }

    fn capped(mut self, policy: &Policy, lag: &Lag, range: Range) -> Self {
        let mut limit = range.cap_by;
        if policy.cap == Cap::QueuesWithLag && !lag.queues.is_empty() {
            let pods = self.lagging.div_ceil(policy.consumers_per_pod.get());
            if pods < range.cap {
                (self.most, limit) = (pods, Limit::QueuesWithLag);
            }
        }
        if self.want > self.most {
            (self.want, self.limited_by) = (self.most, Some(limit));
        }
        self
    }

    /// The least number; where that is 0, one replica stays as long as it is not said otherwise, and the first one comes
    /// when there is enough to do, be it in stuck queues.
    fn floored(mut self, policy: &Policy, observed: &Observed, lag: &Lag, range: Range) -> Self {
        if range.floor == 0
            && observed.target.replicas == 0
            && lag.ready < policy.lag.activation_messages.get()
        {
            self.limited_by = (self.want > 0).then_some(Limit::Activation);
            self.want = 0;
        } else if self.want < range.floor.max(1) {
            self.limited_by = (range.floor > 0).then_some(Limit::MinReplicas);
            self.want = range.floor.max(1);
        }
        self
    }
}

/// Ready messages that count, the queues that have them, and the queues that do not count.
fn counted(policy: &Policy, lag: &Lag, history: &History, now: Time) -> (u64, u32, u32) {
    let lagging = lag.queues.iter().filter(|queue| queue.ready > 0);
    let is_stuck = |queue: &&_| {
        let after = policy.lag.stuck_after_seconds;
        after.is_some_and(|seconds| history.standstills.is_stuck(queue, seconds.get(), now))
    };
    let (stuck, counted): (Vec<_>, Vec<_>) = lagging.partition(is_stuck);
    let count = |queues: &[_]| u32::try_from(queues.len()).unwrap_or(u32::MAX);
    // A message that always fails stops its queue; where all stand still it is something else, and none is left out.
    if counted.is_empty() {
        return (lag.ready, count(&stuck), 0);
    }
    let left_out = stuck
        .iter()
        .fold(0, |sum: u64, queue| sum.saturating_add(queue.ready));
    (lag.ready.saturating_sub(left_out), count(&counted), count(&stuck))
}

/// The next number from this one on that shares the queues out evenly, if that is asked for and one is within the cap.
fn even(policy: &Policy, range: Range, want: u32) -> u32 {
    let candidates = want..=range.cap;
    let asked = policy.cap == Cap::QueueCount { even: true } && want > 0;
    let found = asked.then(|| {
        candidates
            .into_iter()
            .find(|replicas| is_even(policy, range, *replicas))
    });
    found.flatten().unwrap_or(want)
}

/// Tells whether so many replicas have equal shares of the queues, as far as that is asked for.
pub fn is_even(policy: &Policy, range: Range, replicas: u32) -> bool {
    if policy.cap != (Cap::QueueCount { even: true }) || range.queues == 0 || replicas == 0 {
        return true;
    }
    let consumers = replicas.saturating_mul(policy.consumers_per_pod.get());
    consumers >= range.queues || range.queues.is_multiple_of(consumers)
}
