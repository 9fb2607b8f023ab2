//! Which of the operator's replicas leads: one Lease of `coordination.k8s.io/v1` that its holder renews.
//!
//! `renew_within < duration`: who leads stops before anybody else may begin, as long as clocks run equally fast. What
//! happens when they do not, or when the process was frozen, is for the epochs of the brokers to refuse.

mod campaign;
mod elector;
mod record;

pub use campaign::{Campaign, End};
pub use elector::{Loss, Terms};
