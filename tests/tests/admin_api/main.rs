//! The admin API of a broker process: who is let in, every call, every refusal, and what survives.
#![cfg(test)]

mod access;
mod auditing;
mod bounds;
mod clients;
mod configuration;
mod every_call;
mod fencing;
mod groups;
mod health;
mod messages;
mod offsets;
mod page;
mod reading;
mod stage;
mod static_lag;
mod topics;
