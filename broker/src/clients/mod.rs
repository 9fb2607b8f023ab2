//! The clients: who they are, what they announced, and whether they are still there. Kept by client id, since one
//! client comes by several connections, and comes back by others.

mod expiry;
mod registry;
mod task;

pub use registry::{Announced, Clients, Full, Heartbeat, Kind, Role, StreamGuard, TelemetrySender};
pub use task::{RELEASED_AFTER_MS, run};
