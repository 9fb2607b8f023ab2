//! Connections: to the admin API, and to the port for clients. `channel` makes them, `status` says why a call was refused.

mod admin;
mod any_certificate;
mod channel;
mod client;
mod refused;
mod sending;
mod status;
mod unreachable;

pub use admin::{Admin, Authorized};
pub use client::{Client, Receive, Received, entropy, message_id};
pub use sending::{Sending, Sent};
pub use status::Asked;
