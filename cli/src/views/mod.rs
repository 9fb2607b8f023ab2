//! What the admin API answers, as it is shown: one value for tables and for JSON. These are functions of values.

pub mod autoscaling;
pub mod broker;
pub mod client;
pub mod config;
pub mod group;
pub mod groups;
pub mod lag;
pub mod log;
pub mod member;
pub mod message;
pub mod messages;
pub mod offsets;
pub mod repair;
pub mod topic;
pub mod topic_description;
pub mod verdict;
