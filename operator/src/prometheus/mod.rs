//! Asking a Prometheus, or what answers like one: instant queries, whose answers are believed only when they are what was
//! asked for.

mod answer;
mod client;
mod error;
mod queries;
mod server;

#[cfg(test)]
mod tests;

pub use answer::Sample;
pub use client::{Client, Question};
pub use error::{ErrorKind, QueryError};
pub use queries::{Selection, SelectionInvalid};
pub use server::{Authorization, ClientCertificate, Server, ServerInvalid, Tenant};
