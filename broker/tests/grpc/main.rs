//! The gRPC service over a real store, in this process: each call's answers, by their codes.
#![cfg(test)]

mod metrics;
mod pulls;
mod quirks;
mod routes;
mod sends;
mod sessions;
mod settling;
mod spans;
mod support;
