//! Clusters of brokers.

pub mod names;
