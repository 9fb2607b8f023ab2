//! Alerts of an Alertmanager: each one that names a ConsumerGroup has its replicas looked at now, and not at their next turn.
//!
//! A request is let in or turned away, read, compared with what came before, and the groups that it names are found. The replica
//! that leads evaluates them. Another one asks it to, by an annotation that the leader sees: alerts reach any replica.

mod args;
mod listing;
mod matching;
mod notification;
mod port;
mod receiver;
mod request;
mod seen;
#[cfg(test)]
mod tests;

pub use args::{Guarding, WebhookArgs};
pub use listing::Listing;
pub use port::Port;
pub use receiver::Receiver;
pub use seen::Seen;
