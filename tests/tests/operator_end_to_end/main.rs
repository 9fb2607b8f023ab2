//! Everything together, on a real node: the chart installs the operator under its own account, brokers run in pods, Apache's
//! client for Python sends and receives, a Prometheus scrapes, and the consumers are scaled; then parts of it are killed.
#![cfg(test)]

mod backlog;
mod broker_kills;
mod certificate;
mod configuring;
mod examples;
mod holds;
mod images;
mod lifecycle;
mod living;
mod monitoring;
mod operator_kills;
mod policies;
mod release;
mod replicas;
mod resources;
mod scraping;
mod shop;
mod stage;
mod token;
mod volumes;
mod workloads;
