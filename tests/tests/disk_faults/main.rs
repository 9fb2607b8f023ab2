//! A disk at fault, a process that stands still, and memory that ends, done to the real broker from outside.
#![cfg(test)]

mod errors;
mod kills;
mod points;

/// Set by `cargo xtask test --long`.
const LONG: &str = "SLUICE_LONG";

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
