//! What a broker built for the proofs can be told to do wrong. See the feature `planted-faults`.

use sluice_store::io::{Fault, FaultyIo, LogIo, RealIo};
use std::sync::Arc;
use std::time::Duration;

const VARIABLE: &str = "SLUICE_PLANTED_FAULT";
/// Which sync fails: one that comes when clients have been at work for a while.
const FAILING_SYNC: u64 = 200;

/// Followed by the milliseconds that each sync takes longer.
const SLOW_SYNCS: &str = "slow-syncs=";

fn is_planted(fault: &str) -> bool {
    std::env::var(VARIABLE).is_ok_and(|planted| planted == fault)
}

fn slow_syncs() -> Option<Duration> {
    let planted = std::env::var(VARIABLE).ok()?;
    let millis = planted.strip_prefix(SLOW_SYNCS)?.parse().ok()?;
    Some(Duration::from_millis(millis))
}

/// Whether every command is applied twice.
pub(crate) fn applies_twice() -> bool {
    is_planted("double-apply")
}

/// The file system, or one that keeps unsynced writes in memory and skips the syncs, lets one fail, or makes all
/// of them slow.
pub(crate) fn io(real: RealIo) -> Arc<dyn LogIo> {
    if is_planted("skip-sync") {
        Arc::new(FaultyIo::over(real, true))
    } else if is_planted("fail-sync") {
        let faulty = FaultyIo::over(real, false);
        faulty.plant(Fault::SyncError { nth: FAILING_SYNC });
        Arc::new(faulty)
    } else if let Some(by) = slow_syncs() {
        let faulty = FaultyIo::over(real, false);
        faulty.plant(Fault::SlowSyncs { by });
        Arc::new(faulty)
    } else {
        Arc::new(real)
    }
}
