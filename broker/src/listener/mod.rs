//! The port that clients connect to: TLS and plaintext told apart by the first byte, then HTTP/2 for both.

mod accept;
mod io;
mod serve;

pub use accept::Listener;
pub use io::{Connection, Peer};

use std::time::Duration;

/// From the first byte to the end of TLS's handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
