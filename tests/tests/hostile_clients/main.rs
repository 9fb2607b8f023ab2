//! Clients that mean harm, or know no better: whatever they send, others are served as ever (P1).
#![cfg(test)]

mod bytes;
mod empty_parts;
mod fairness;
mod frames;
mod pings;
mod protobuf;
mod readers;
mod requests;
mod stage;
