//! Sluice's Kubernetes operator.

mod args;
pub mod autoscale;
mod crds;
pub mod prometheus;
pub mod scaling;

pub use args::from_command_line;
