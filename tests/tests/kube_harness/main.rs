//! The harness itself: the Kubernetes that it starts is a real one, two do not disturb each other, and nothing of them is
//! left.
#![cfg(test)]

mod alone;
mod leaving;
mod pods;
mod stage;
