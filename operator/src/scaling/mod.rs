//! The workload that consumes for a group: what the resource says of its scaling, how the workload stands, who else scales it,
//! and the one write there is to it.

pub mod conflict;
mod contention;
pub mod findings;
pub mod pods;
mod policy;
mod prometheus_lag;
mod target;

pub use policy::PolicyInvalid;
pub use prometheus_lag::LagQueries;
pub use target::{Seen, TargetError, Targets};
