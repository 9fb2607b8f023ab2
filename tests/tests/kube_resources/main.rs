//! The custom resources on a real API server: what it takes and refuses, with which words, and what it shows.
#![cfg(test)]

mod changes;
mod definitions;
mod explained;
mod manual;
mod refusals;
mod stage;
