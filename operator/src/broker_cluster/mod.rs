//! Clusters of brokers: the objects that each is made of, kept as its resource says.
//!
//! Children are written by server-side apply, and only where they differ from what they are to be. They belong to the resource
//! and go with it, so that no finalizer is needed; volumes do where the resource says so.

mod addresses;
mod apply;
mod children;
mod configuration;
mod controller;
mod drift;
mod keys;
mod metadata;
pub mod names;
mod observe;
mod observed;
mod plan;
mod rotation;
mod status;
mod storage;
#[cfg(test)]
mod testing;
mod validate;

pub use controller::run;
pub use observed::token_unknown;
