//! The scaling of consumer groups: each group with autoscaling is looked at every few seconds, and at once when somebody asks.
//!
//! An evaluation observes the lag, the workload, who else scales it and what guards watch; decides, by a function of values;
//! writes the scale; and tells of it in the part of the status that is its own.

mod absent;
mod apply;
mod beginnings;
mod broker_lag;
mod controller;
mod evaluate;
mod guards;
mod memory;
mod observe;
mod push;
mod rivals;
mod servers;
mod status;
#[cfg(test)]
mod tests;

pub use controller::run;
pub use push::Pushes;
