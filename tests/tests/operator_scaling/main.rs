//! The scaling of consumer groups on a real API server, by the operator as a process, with a real broker and a real Prometheus:
//! workloads follow the lag, and nothing moves where something is wrong, in the way or unknown.
#![cfg(test)]

mod absent;
mod account;
mod answers;
mod following;
mod guards;
mod holding;
mod load;
mod missing;
mod pods;
mod restarting;
mod rivals;
mod stage;
mod stuck;
