//! What is decided, and why: closed sets of words, which conditions, events and metrics carry on.

use super::history::{History, Step};
use super::time::Time;

/// What to do with a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// How many replicas it is to have.
    pub replicas: u32,
    /// How many it has.
    pub current: u32,
    /// What the lag asks for, before all bounds; `None` without a lag.
    pub recommended: Option<u32>,
    /// The greatest number there can be.
    pub cap: u32,
    /// What sets the cap.
    pub cap_by: Limit,
    /// Why.
    pub reason: Reason,
    /// What keeps `replicas` from what the reason asks for.
    pub limited_by: Option<Limit>,
    /// Messages done a minute so far, where a guard looks at that.
    pub rate: Option<u64>,
    /// The reason and what limits it, for people.
    pub sentence: String,
    /// Whether it is only to be shown.
    pub recommend_only: bool,
    /// Guards that have tripped, by name.
    pub guards_tripped: Vec<String>,
    /// Why what a guard watches is not known, if it is not.
    pub guard_unknown: Option<String>,
    /// Queues whose lag was left out.
    pub stuck_queues: u32,
    /// What to remember until the next decision, unless `replicas` is written: then [`Decision::written`].
    pub history: History,
}

impl Decision {
    /// The number to write, if there is one to write.
    pub fn to_write(&self) -> Option<u32> {
        (self.replicas != self.current && !self.recommend_only).then_some(self.replicas)
    }

    /// What to remember once the number was written.
    pub fn written(&self, now: Time) -> History {
        self.history.scaled(Step {
            at: now,
            from: self.current,
            to: self.replicas,
            rate_before: self.rate,
            reason: self.reason,
            judged: self.replicas <= self.current,
        })
    }
}

/// Declares an enum whose variants are the words that conditions and metrics carry.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// Every one there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it, in capitals as conditions have them.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words! {
    /// Why a target gets its number of replicas.
    Reason {
        /// What the lag asks for differs from what there is.
        Lag,
        /// What there is suits the lag.
        Steady,
        /// Nothing has been to do for long: the last replica goes, or is gone.
        Idle,
        /// There is something to do and no replica: the first one comes.
        Activated,
        /// There are more replicas than can be.
        AboveCap,
        /// There are fewer replicas than must be.
        BelowMin,
        /// Autoscaling is off.
        Disabled,
        /// Somebody has paused it.
        Paused,
        /// Something else scales the target.
        Conflicted,
        /// Somebody sets the replicas back each time.
        Contended,
        /// The target's pods are being exchanged.
        RollingOut,
        /// A guard suspends it.
        Suspended,
        /// The lag is not known.
        MetricsMissing,
        /// The lag has not been known for long.
        Fallback,
        /// A guard takes replicas away.
        GuardStepDown,
        /// The last step made things worse and is taken back.
        ThroughputRegression,
    }
}

words! {
    /// What keeps a number of replicas from what is asked for.
    Limit {
        /// The least number of replicas.
        MinReplicas,
        /// The greatest one.
        MaxReplicas,
        /// The number of queues.
        QueueCount,
        /// The number of queues with lag.
        QueuesWithLag,
        /// The lag differs too little.
        Tolerance,
        /// More must be asked for during the whole window upwards.
        UpWindow,
        /// More was asked for within the window downwards.
        DownWindow,
        /// A change is not larger.
        Steps,
        /// The last change is too recent.
        Cooldown,
        /// Adding replicas is paused.
        PausedScaleOut,
        /// Taking replicas away is paused.
        PausedScaleIn,
        /// A guard holds up adding replicas.
        Guard,
        /// A guard's reading is missing, and what stands downstream is unknown.
        GuardUnknown,
        /// Pods wait for a node.
        PendingPods,
        /// A step that made things worse was taken back not long ago.
        BackOff,
        /// With no replica at all, there is too little to do for the first one.
        Activation,
        /// It is too early for the last replica to go.
        ZeroDelay,
    }
}
