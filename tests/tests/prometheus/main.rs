//! A real Prometheus reads the broker's metrics (B1, B2, P3): the rules, and the queries that docs/metrics.md promises.
#![cfg(test)]

mod page;
mod queries;
mod rules;
mod series;
