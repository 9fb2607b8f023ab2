//! A real Prometheus reads the broker's metrics (B1, B2, P3): the rules, and the queries that docs/metrics.md and the
//! dashboards promise.
#![cfg(test)]

mod dashboards;
mod page;
mod promtool;
mod queries;
mod rules;
mod series;
