//! The operator on a real API server, with a real broker: topics and consumer groups as their resources say, through drift,
//! conflicts, deletions, kills and changes of the leader.
#![cfg(test)]

mod deleting;
mod groups;
mod leading;
mod making;
mod namespaces;
mod stage;
mod tls;
