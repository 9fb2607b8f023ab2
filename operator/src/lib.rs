//! Sluice's Kubernetes operator.
//!
//! One replica leads, by a Lease, and runs a controller for each kind of resource. A controller observes, validates, plans,
//! applies and writes the status; planning is a plain function of values.

mod alerts;
mod args;
pub mod autoscale;
mod backoff;
mod broker;
mod broker_cluster;
mod broker_object;
mod check;
mod clock;
mod consumer_group;
mod context;
mod controllers;
mod crds;
mod error;
mod evaluation;
mod events;
mod http;
mod index;
mod kubernetes;
mod leadership;
mod lease;
mod logging;
mod metrics;
pub mod prometheus;
mod quantity;
mod run;
pub mod scaling;
mod settings;
mod shutdown;
mod topic;
mod watching;
mod writer;

pub use args::from_command_line;
