//! Sluice's Kubernetes operator.

mod args;
mod crds;

pub use args::from_command_line;
