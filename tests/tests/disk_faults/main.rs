//! A disk at fault, a process that stands still, and memory that ends, done to the real broker from outside.
#![cfg(test)]

mod errors;
mod kills;
mod memory;
mod pause;
mod points;
mod reads;
mod slow;
mod starts;

use sluice_tests::process::{Broker, LONG};

fn is_long() -> bool {
    std::env::var_os(LONG).is_some()
}

/// Runs a load: it has two threads of its own.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

/// Memory of the process that no file stands behind.
fn anonymous_mib(broker: &Broker) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.id().unwrap())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}
