//! What the system suites in `tests/tests/` share: real broker processes, clients that talk to them, load, and the
//! checker that knows what was acknowledged.

#![forbid(unsafe_code)]

pub mod account;
pub mod admin;
pub mod alertmanager;
pub mod binaries;
pub mod client;
pub mod container;
pub mod dashboards;
pub mod driver;
pub mod fixture;
pub mod flood;
pub mod http;
pub mod image;
pub mod kills;
pub mod kube;
pub mod memory_limit;
pub mod metrics;
pub mod operator;
pub mod oracle;
pub mod pages;
pub mod ports;
pub mod process;
pub mod prometheus;
pub mod python;
pub mod script;
pub mod seed;
pub mod sluicectl;
pub mod small_disk;
pub mod stage;
pub mod strace;
pub mod wait;
pub mod workload;
