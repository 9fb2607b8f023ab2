//! The clients: who they are, what they announced, what they do, and whether they are still there. Kept by client id,
//! since one client comes by several connections, and comes back by others.

mod asks;
mod directory;
mod expiry;
mod figures;
mod insight;
mod registry;
mod renew;
mod rooms;
mod task;

pub use asks::{Answer, AskError};
pub use figures::{Figures, Shown};
pub use insight::{ClientView, Filter, HeldView, Insight};
pub use registry::{
    Announced, Call, Clients, Full, Heartbeat, Kind, Known, PUSH, Role, StreamGuard, TelemetrySender,
};
pub use task::{RELEASED_AFTER_MS, run};

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// A call of this client.
    pub fn call(id: &str) -> Call<'_> {
        Call {
            id,
            language: "JAVA",
            version: "5.2.1",
            remote: ([10, 0, 0, 1], 4000).into(),
            connection: None,
        }
    }

    /// A push consumer of this group.
    pub fn consumer(group: &str) -> Announced {
        Announced {
            role: Role::Consumer,
            group: Some(group.to_owned()),
            namespace: String::new(),
            version: String::new(),
            counted_version: Arc::from("v5_2_0"),
            mode: PUSH,
            topics: Vec::new(),
            subscriptions: vec![("t".to_owned(), "a || b".to_owned())],
            settings: Arc::default(),
            node: None,
            wants_repeat: false,
            presumed: false,
        }
    }
}
