//! What the log keeps for a full disk.

use super::{Driver, Opened, wait};
use sluice_store::io::{FaultyIo, LogIo};
use std::path::{Path, PathBuf};

impl Driver {
    /// Waits until the log's helper has filled all it wants: the rest of the segment, and the next one from the half on.
    pub fn wait_for_reserve(&self, io: &FaultyIo, dir: &Path, segment_bytes: u64) {
        wait("the log is filled ahead", || {
            is_filled(&self.opened, io, dir, segment_bytes)
        });
    }
}

/// Waits until the log's helper has filled all it wants, or has been told that the disk gives nothing.
pub fn wait_for_helper(opened: &Opened, io: &FaultyIo, dir: &Path, segment_bytes: u64) {
    let is_told = || opened.store.log().carry_max() != u64::MAX;
    wait("the helper has looked", || {
        is_told() || is_filled(opened, io, dir, segment_bytes)
    });
}

fn is_filled(opened: &Opened, io: &FaultyIo, dir: &Path, segment_bytes: u64) -> bool {
    let log = dir.join("log");
    let is_filled = |name: &str| {
        let file = io.open_read(&log.join(name));
        file.is_ok_and(|file| file.len().unwrap() == segment_bytes)
    };
    let names = io.list(&log).unwrap();
    let base = |name: &PathBuf| name.to_str()?.strip_suffix(".seg")?.parse::<u64>().ok();
    let base = names.iter().filter_map(base).max().unwrap();
    let used = opened.store.reader().positions().written().0 - base;
    is_filled(&format!("{base:020}.seg")) && (used <= segment_bytes / 2 || is_filled("spare.seg"))
}
