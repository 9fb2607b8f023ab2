//! Domain values to the messages of the admin API, and back.

pub mod client;
pub mod group;
pub mod group_spec;
pub mod lag;
pub mod offsets;
pub mod topic;
