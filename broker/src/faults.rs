//! What a broker built for the proofs can be told to do wrong. See the feature `planted-faults`.

use sluice_store::io::{FaultyIo, LogIo, RealIo};
use std::sync::Arc;

const VARIABLE: &str = "SLUICE_PLANTED_FAULT";

fn is_planted(fault: &str) -> bool {
    std::env::var(VARIABLE).is_ok_and(|planted| planted == fault)
}

/// Whether every command is applied twice.
pub(crate) fn applies_twice() -> bool {
    is_planted("double-apply")
}

/// The file system, or one that keeps unsynced writes in memory and skips the syncs.
pub(crate) fn io(real: RealIo) -> Arc<dyn LogIo> {
    if is_planted("skip-sync") {
        Arc::new(FaultyIo::over(real, true))
    } else {
        Arc::new(real)
    }
}
