//! The broker's image, built as a release builds it and run as Kubernetes runs it under its restricted profile.
#![cfg(test)]

mod facts;
mod running;
mod stage;
