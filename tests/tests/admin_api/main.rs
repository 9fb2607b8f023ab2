//! The admin API of a broker process: who is let in, every call, every refusal, and what survives.
#![cfg(test)]

mod access;
mod health;
mod reading;
mod stage;
