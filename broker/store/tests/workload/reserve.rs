//! What the log keeps for a full disk.

use super::Driver;
use sluice_store::io::{FaultyIo, LogIo};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

impl Driver {
    /// Waits until the log's helper has filled all it wants: the rest of the segment, and the next one from the half on.
    pub fn wait_for_reserve(&self, io: &FaultyIo, dir: &Path, segment_bytes: u64) {
        let log = dir.join("log");
        let is_filled = |name: &str| {
            let file = io.open_read(&log.join(name));
            file.is_ok_and(|file| file.len().unwrap() == segment_bytes)
        };
        let begun = Instant::now();
        loop {
            let names = io.list(&log).unwrap();
            let base = |name: &PathBuf| name.to_str()?.strip_suffix(".seg")?.parse::<u64>().ok();
            let base = names.iter().filter_map(base).max().unwrap();
            let used = self.opened.store.reader().positions().written().0 - base;
            if is_filled(&format!("{base:020}.seg")) && (used <= segment_bytes / 2 || is_filled("spare.seg"))
            {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "the log is not filled ahead"
            );
            std::thread::yield_now();
        }
    }
}
