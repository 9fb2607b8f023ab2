//! A disk at fault, a process that stands still, and memory that ends, done to the real broker from outside: what it
//! acknowledged is there (D2).
#![cfg(test)]

mod errors;
mod given_back;
mod kills;
mod memory;
mod pause;
mod points;
mod reads;
mod slow;
mod starts;

use std::time::{Duration, Instant};

use sluice_tests::process::{Broker, LONG};

/// What is waited for of a load that a machine with too much to do makes slowly.
const ENOUGH_WITHIN: Duration = Duration::from_secs(60);

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

/// The most memory that it has while this passes, and until enough has come.
async fn peak(broker: &Broker, time: Duration, has_enough_come: impl Fn() -> bool) -> u64 {
    let begun = Instant::now();
    let mut most = 0;
    while begun.elapsed() < time || !(has_enough_come() || begun.elapsed() > ENOUGH_WITHIN) {
        most = most.max(anonymous_mib(broker));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    most
}

/// Memory of the process that no file stands behind.
fn anonymous_mib(broker: &Broker) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.id().unwrap())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}
