//! What official clients do or read otherwise than the protocol says, a file for each language. Each lists the quirks of its
//! client by the names that docs/clients.md and the tests have for them, and what is done for each: here, or where all
//! clients are served alike. A number is that of an issue of apache/rocketmq-clients, or of apache/rocketmq where that is said.
//!
//! What holds of the clients for several languages:
//!
//! - `all-1000`, `all-8133` (of apache/rocketmq), `all-9128` (of apache/rocketmq): they call without having announced
//!   themselves to this process, which has started again, say. No call needs settings: the group's stand in for them.
//! - `all-10510` (of apache/rocketmq): they ping idle connections. Pings are answered at any rate, and end no connection.
//! - `all-queues`: each chooses the queue of a message by a hash of its own. The broker chooses
//!   ([`crate::engine`]), so that a message group has one queue whoever sends to it.
//! - `all-routes`: they compare routes, and begin anew where one has changed. Names and numbers in a route outlive a restart.
//! - `all-groups`: one client id comes with the calls of several groups. What a client announced of one group holds for that
//!   one, and the others' own settings for them.
//! - `all-repeated-settings`: they send their settings again and again. Each is answered, and the last one holds.
//! - `all-deadline`: some wait for an answer no longer than they have the broker wait: [`MARGIN`].
//! - `all-10601` (of apache/rocketmq): the project's dashboard shows no lag of these clients, and asks by the classic protocol,
//!   which is not there yet. The admin API shows them.

pub mod go;
pub mod java;
pub mod node;
pub mod python;
pub mod rust;

use std::time::Duration;

/// The answer to a receive or a pull is under way so long before the client gives up.
pub const MARGIN: Duration = Duration::from_millis(500);
