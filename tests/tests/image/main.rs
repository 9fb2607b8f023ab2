//! The images, built as a release builds them, and the broker's run as Kubernetes runs it under its restricted profile.
#![cfg(test)]

mod facts;
mod operator;
mod running;
mod stage;
