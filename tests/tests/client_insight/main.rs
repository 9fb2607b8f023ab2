//! Clients as an operator sees them: what they do and hold, settings that reach them while they run, and what they
//! answer (B7, B11).
#![cfg(test)]

mod figures;
mod questions;
mod settings;
mod stage;
