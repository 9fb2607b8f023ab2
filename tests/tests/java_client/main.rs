//! The official Java client, unmodified, against a real broker.
#![cfg(test)]

mod asking;
mod consuming;
mod fifo;
mod producing;
mod reconnecting;
mod redelivery;
mod stage;
mod watching;
