//! What a consumer group's autoscaling is to do, in values that cannot be wrong.

use std::num::{NonZeroU32, NonZeroU64};

/// Everything that is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether decisions are carried out.
    pub mode: Mode,
    /// The least and the greatest number of replicas.
    pub bounds: Bounds,
    /// What else bounds the number of replicas.
    pub cap: Cap,
    /// Consumers that run in one pod: a queue count is divided by it.
    pub consumers_per_pod: NonZeroU32,
    /// What lag asks for.
    pub lag: LagTarget,
    /// How fast replicas are added.
    pub up: Pace,
    /// How fast they are taken away.
    pub down: Pace,
    /// After any change nothing changes for so long: clients need it to share the queues anew.
    pub cooldown_seconds: u32,
    /// How long there must have been nothing to do before the last replica goes; only where the least number is 0.
    pub zero_after_seconds: u32,
    /// What to do when the lag has not been known for long; hold unless given.
    pub fallback: Option<Fallback>,
    /// What stops it.
    pub guards: Vec<Guard>,
}

/// Whether decisions are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are.
    Active,
    /// They are made and shown.
    Recommend,
    /// None is made.
    Disabled,
}

/// The least and the greatest number of replicas: min ≤ max, and max is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    min: u32,
    max: u32,
}

/// Bounds that cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BoundsInvalid {
    /// There would be no replica ever.
    #[error("maxReplicas is 0: give at least 1, or switch autoscaling off with mode Disabled")]
    NoReplica,
    /// The least number is above the greatest.
    #[error("minReplicas {min} is above maxReplicas {max}: lower the one or raise the other")]
    Crossed {
        /// The least number.
        min: u32,
        /// The greatest.
        max: u32,
    },
}

impl Bounds {
    /// Bounds from `min` to `max`.
    ///
    /// # Errors
    /// When no number of replicas keeps them, or only 0 does.
    pub fn new(min: u32, max: u32) -> Result<Self, BoundsInvalid> {
        match (min, max) {
            (_, 0) => Err(BoundsInvalid::NoReplica),
            _ if min > max => Err(BoundsInvalid::Crossed { min, max }),
            _ => Ok(Self { min, max }),
        }
    }

    /// The least number of replicas.
    pub fn min(self) -> u32 {
        self.min
    }

    /// The greatest.
    pub fn max(self) -> u32 {
        self.max
    }
}

/// What bounds the number of replicas beside the greatest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap {
    /// The queues that can be read.
    QueueCount {
        /// Round up to a number that shares the queues out evenly, where one is within the cap.
        even: bool,
    },
    /// Those of them with messages that are ready.
    QueuesWithLag,
    /// Nothing: any number of consumers shares a queue.
    None,
}

/// What lag asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LagTarget {
    /// So many ready messages are one replica's.
    pub messages_per_replica: NonZeroU64,
    /// With no replica at all, so many ready messages bring the first one.
    pub activation_messages: NonZeroU64,
    /// A queue in which nothing gets done for so long although it is consumed is stuck, and its lag asks for nothing.
    pub stuck_after_seconds: Option<NonZeroU32>,
}

/// How fast replicas are added, or taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Upwards the least, downwards the greatest number that was asked for within so long counts.
    pub window_seconds: u32,
    /// Between floor and cap, a lag within so much of what the replicas are there for changes nothing.
    pub tolerance_percent: u32,
    /// The greatest change; the policy that allows most counts, and without any there is no bound.
    pub steps: Vec<StepPolicy>,
}

/// The greatest change within a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepPolicy {
    /// How much.
    pub size: StepSize,
    /// Within how long.
    pub period_seconds: NonZeroU32,
}

/// A change, as a number of pods or as a part of those at the period's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepSize {
    /// So many pods.
    Pods(NonZeroU32),
    /// So many hundredths, and one pod at least.
    Percent(NonZeroU32),
}

/// What to do when the lag has not been known for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// For how long.
    pub after_seconds: u32,
    /// How many replicas there are to be then.
    pub replicas: u32,
    /// What if there are more.
    pub action: FallbackAction,
}

/// What a fallback does with more replicas than its own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallbackAction {
    /// It leaves them.
    KeepIfHigher,
    /// It goes to its own number.
    Static,
}

/// Something that stops autoscaling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Its name, by which it is shown.
    pub name: String,
    /// How long what it watches must hold before it acts.
    pub for_seconds: u32,
    /// What it watches, and what it does.
    pub rule: GuardRule,
}

/// What a guard watches, and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardRule {
    /// A query's value is beyond its threshold.
    Threshold {
        /// What is done then.
        action: GuardAction,
    },
    /// Pods wait for a node. Whatever a guard says, none is added then.
    PendingPods {
        /// What is done then.
        action: GuardAction,
    },
    /// After replicas were added, fewer messages get done than before: the step is taken back. It has its own time.
    ThroughputRegression {
        /// How long both are looked at.
        window_seconds: NonZeroU32,
        /// How much less it must be.
        drop_percent: NonZeroU32,
    },
    /// So many messages a minute go to the dead-letter topic.
    DeadLetterRate {
        /// How many.
        per_minute: NonZeroU64,
        /// What is done then.
        action: GuardAction,
    },
}

/// What a guard that has tripped does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardAction {
    /// No replica is added.
    HoldScaleUp,
    /// Replicas are taken away, a step at a time.
    StepDown,
    /// Nothing is changed.
    Suspend,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_a_number_of_replicas() {
        assert_eq!(
            Bounds::new(0, 1).map(|bounds| (bounds.min(), bounds.max())),
            Ok((0, 1))
        );
        assert_eq!(
            Bounds::new(3, 3).map(|bounds| (bounds.min(), bounds.max())),
            Ok((3, 3))
        );
        assert_eq!(Bounds::new(0, 0), Err(BoundsInvalid::NoReplica));
        assert_eq!(Bounds::new(3, 2), Err(BoundsInvalid::Crossed { min: 3, max: 2 }));
    }
}
