//! How many replicas a consumer group's target is to have: a function of values.
//!
//! [`decide`] is given what is wanted ([`Policy`]), what is the case ([`Observed`]), what was the case before ([`History`])
//! and the time; it says what to do, why, what held it back, and what to remember. It reads no clock and touches nothing.
//!
//! ```text
//! ready lag ──► demand: ceil(lag / per replica), capped by queues ──► window, cooldown, steps ──► replicas
//!                                                                       ▲
//!              pauses, conflicts, missing readings, guards: hold ───────┘
//! ```

mod counter;
mod decide;
mod decision;
mod demand;
mod follow;
mod gate;
mod guard;
mod history;
mod observed;
mod pace;
mod policy;
mod sentence;
mod setback;
mod stuck;
mod time;
mod window;

#[cfg(test)]
mod tests;

pub use decide::decide;
pub use decision::{Decision, Limit, Reason};
pub use history::{BackOff, History, Lasting, Step};
pub use observed::{
    GuardReading, Lag, Missing, MissingKind, Observed, Pauses, QueueLag, ReplicasWriter, Said, Target,
};
pub use policy::{
    Bounds, BoundsInvalid, Cap, Fallback, FallbackAction, Guard, GuardAction, GuardRule, LagTarget, Mode,
    Pace, Policy, StepPolicy, StepSize,
};
pub use time::Time;
