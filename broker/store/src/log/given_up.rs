//! Files of segments that the log has given up, from the moment at which they have no name any more.
//!
//! With the last handle of such a file the system frees what that has on the disk. For 1 GiB at once this is a request under
//! which the disk answers nobody else for tenths of a second: syncs of messages wait for it. So a file that nobody reads is
//! cut shorter piece by piece, by the helper beside the log thread, unless the space is wanted at once. A kill needs no care:
//! what has no name and no process goes with the next mount at the latest.

use super::segment::Segment;
use crate::io::{FileHandle, MapHandle};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Given back at a time.
const PIECE: u64 = 4 << 20;
/// Between two pieces: 80 MiB a second, twice what a log grows by that is synced on a common disk.
const PAUSE: Duration = Duration::from_millis(50);

/// A segment's file and its maps. With the last handle of a map the system takes apart the tables of all pages that were
/// looked at, which takes a good part of a second.
pub(super) struct GivenUp {
    maps: Vec<MapHandle>,
    file: FileHandle,
}

impl GivenUp {
    pub(super) fn of(segment: &Segment) -> Self {
        Self {
            maps: segment.maps.all(),
            file: segment.file.clone(),
        }
    }

    /// The file, if nobody but the caller can read of it any more: what is cut off under a map kills the process that looks
    /// at it.
    fn unread(self) -> Option<FileHandle> {
        let is_read = |map: &MapHandle| Arc::strong_count(map) > 1 || map.is_looked_at();
        // In this order: whoever has the file, but no map yet, can still make one.
        let is_alone = Arc::strong_count(&self.file) == 1 && !self.maps.iter().any(is_read);
        is_alone.then_some(self.file)
    }
}

/// What the log has given up and the disk has not back yet.
#[derive(Default)]
pub(super) struct GivenUps {
    /// Until somebody who may wait lets go of it: the log thread must not stand still so long.
    removed: Mutex<Vec<GivenUp>>,
    files: Mutex<VecDeque<Shrinking>>,
    /// Of these files.
    bytes: AtomicU64,
}

struct Shrinking {
    file: FileHandle,
    len: u64,
    /// When the next piece goes.
    due: Instant,
}

impl GivenUps {
    pub(super) fn push(&self, given_up: GivenUp) {
        self.removed.lock().push(given_up);
    }

    /// Takes maps apart, and hands large files to [`GivenUps::give_back`]. Blocks while the system does what is to be done at
    /// once.
    pub(super) fn free(&self) {
        let removed = std::mem::take(&mut *self.removed.lock());
        for file in removed.into_iter().filter_map(GivenUp::unread) {
            let len = file.len().unwrap_or_default();
            if len > PIECE {
                self.bytes.fetch_add(len, Ordering::Relaxed);
                let due = Instant::now();
                self.files.lock().push_back(Shrinking { file, len, due });
            }
        }
    }

    /// Bytes that are still to come back.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Gives back the piece that is due, or, in haste, all there is; tells how long it is until the next one. Only one thread
    /// calls it.
    pub(super) fn give_back(&self, now: Instant, in_haste: bool) -> Option<Duration> {
        if in_haste {
            self.files.lock().clear();
            self.bytes.store(0, Ordering::Relaxed);
            return None;
        }
        let (mut next, others_wait) = {
            let mut files = self.files.lock();
            let is_due = files.front()?.due <= now;
            if !is_due {
                return files.front().map(|next| next.due - now);
            }
            (files.pop_front()?, !files.is_empty())
        };
        // The log grows faster than that: whatever the disk says to it, a second file must not become a third.
        let len = if others_wait {
            0
        } else {
            next.len.saturating_sub(PIECE)
        };
        let cut = if len == 0 { Ok(()) } else { next.file.set_len(len) };
        if let Err(error) = &cut {
            tracing::debug!(%error, "a file that was given up goes at once");
        }
        let freed = if cut.is_ok() { next.len - len } else { next.len };
        self.bytes.fetch_sub(freed, Ordering::Relaxed);
        if freed < next.len {
            (next.len, next.due) = (len, now + PAUSE);
            self.files.lock().push_front(next);
        }
        Some(PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{LogIo, RealIo};
    use std::path::PathBuf;

    struct Bench {
        folder: tempfile::TempDir,
        given_ups: GivenUps,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let given_ups = GivenUps::default();
            Self { folder, given_ups }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        /// One that keeps its name, so that the test can look at it.
        fn file(&self, name: &str, len: u64) -> FileHandle {
            let file = RealIo::new().create(&self.path(name)).unwrap();
            file.set_len(len).unwrap();
            file
        }

        fn give_up(&self, file: FileHandle) {
            let maps = Vec::new();
            self.given_ups.push(GivenUp { maps, file });
            self.given_ups.free();
        }

        fn len(&self, name: &str) -> u64 {
            std::fs::metadata(self.path(name)).unwrap().len()
        }
    }

    #[test]
    fn a_large_file_that_nobody_reads_comes_back_piece_by_piece() {
        let bench = Bench::new();
        bench.give_up(bench.file("a", 2 * PIECE + 5));
        assert_eq!(bench.given_ups.bytes(), 2 * PIECE + 5);
        let now = Instant::now();
        assert_eq!(bench.given_ups.give_back(now, false), Some(PAUSE));
        assert_eq!((bench.len("a"), bench.given_ups.bytes()), (PIECE + 5, PIECE + 5));

        let early = now + PAUSE / 2;
        assert_eq!(bench.given_ups.give_back(early, false), Some(PAUSE / 2));
        assert_eq!(bench.len("a"), PIECE + 5, "not before it is due");
        bench.given_ups.give_back(now + PAUSE, false);
        assert_eq!((bench.len("a"), bench.given_ups.bytes()), (5, 5));
        bench.given_ups.give_back(now + 2 * PAUSE, false);
        assert_eq!(bench.given_ups.bytes(), 0);
        assert_eq!(bench.given_ups.give_back(now + 3 * PAUSE, false), None);
    }

    #[test]
    fn in_haste_or_with_another_behind_it_a_file_goes_at_once() {
        let bench = Bench::new();
        let len = 4 * PIECE;
        bench.give_up(bench.file("a", len));
        bench.give_up(bench.file("b", len));
        let now = Instant::now();
        bench.given_ups.give_back(now, false);
        assert_eq!(bench.given_ups.bytes(), len, "the first is gone");
        bench.given_ups.give_back(now, false);
        assert_eq!((bench.len("b"), bench.given_ups.bytes()), (3 * PIECE, 3 * PIECE));
        assert_eq!(bench.given_ups.give_back(now, true), None);
        assert_eq!(bench.given_ups.bytes(), 0);
    }

    #[test]
    fn nothing_is_cut_off_under_whoever_reads_it() {
        let bench = Bench::new();
        let len = 3 * PIECE;
        let by_handle = bench.file("a", len);
        bench.give_up(Arc::clone(&by_handle));

        let mapped = bench.file("b", len);
        let map = mapped.map(len as usize).unwrap();
        let slice = map.bytes(0..100).unwrap();
        let maps = vec![map];
        bench.given_ups.push(GivenUp { maps, file: mapped });
        bench.given_ups.free();

        assert_eq!(bench.given_ups.give_back(Instant::now(), false), None);
        assert_eq!([bench.len("a"), bench.len("b")], [len; 2]);
        assert!(slice.iter().all(|byte| *byte == 0));
        drop(by_handle);
    }
}
