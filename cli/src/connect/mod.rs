//! Connections: to the admin API, and to the port for clients. `channel` makes them, `status` says why a call was refused.

mod admin;
mod any_certificate;
mod channel;
mod client;
mod status;
mod unreachable;

pub use admin::{Admin, Authorized};
pub use client::{Client, Receive, Received, Sent, entropy, message_id};
pub use status::Asked;
