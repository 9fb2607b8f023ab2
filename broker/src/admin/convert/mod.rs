//! Domain values to the messages of the admin API, and back.

pub mod group;
pub mod lag;
pub mod topic;
