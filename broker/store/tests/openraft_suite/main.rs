//! openraft's conformance suite for log storage, run on `LocalLog`: the log is ready to be raft's.
//!
//! The adapter is what replication will have; the state machine is a stand-in in memory.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod adapter;
mod machine;

use adapter::{Adapter, Config, Guard};
use machine::Machine;
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use std::sync::Arc;

/// Builds an empty log in a new folder.
struct Builder;

impl StoreBuilder<Config, Adapter, Arc<Machine>, Guard> for Builder {
    async fn build(&self) -> Result<(Guard, Adapter, Arc<Machine>), StorageError<Config>> {
        let (guard, adapter) = adapter::open_new();
        Ok((guard, adapter, Arc::new(Machine::default())))
    }
}

#[test]
fn the_log_passes_openrafts_conformance_suite() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(Suite::test_all(Builder)).unwrap();
}
