//! The chart (K1, K9): what it renders, and that a real API server takes it.
#![cfg(test)]

mod admission;
mod archive;
mod artifact_hub;
mod definitions;
mod lifecycle;
mod monitoring;
mod operator;
mod others;
mod rights;
mod stage;
mod state_metrics;
mod values;
