//! The ports for gRPC, the clients' and the operators': TLS and plaintext told apart by the first byte, then HTTP/2 for
//! both, then the service that a call's path names.

mod accept;
mod activity;
mod arriving;
mod framing;
mod health;
mod io;
mod leaving;
pub mod opening;
mod places;
mod reflection;
mod routes;
mod serve;
mod transfers;

pub use accept::Listener;
pub use arriving::Arriving;
pub use io::{Bounds, Connection, Peer};
pub use leaving::Unread;
pub use places::{Lost, OpenConnections};
pub use routes::{Answering, First, Routes, is_of, refuse};

use std::time::Duration;

/// Until a connection has said that it speaks HTTP/2, TLS's handshake included.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
