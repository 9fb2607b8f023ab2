//! Files of segments that the log has given up: what becomes of them once they have no name any more.
//!
//! With the last handle of such a file the system frees what that has on the disk. For 1 GiB at once this is a request under
//! which the disk answers nobody else for tenths of a second: syncs of messages wait for it. So a file that nobody reads is
//! cut shorter piece by piece, by the helper beside the log thread, unless the space is wanted at once. A kill needs no care:
//! what has no name and no process goes with the next mount at the latest.

use super::segment::{Maps, Segment};
use crate::io::FileHandle;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Given back at a time.
const PIECE: u64 = 4 << 20;
/// Between two pieces of one file: 80 MiB a second, twice what a log grows by that is synced on a common disk. With more files it is as
/// much for each, so that they never become many.
const PAUSE: Duration = Duration::from_millis(50);

/// A segment's file and its maps. With the last handle of a map the system takes apart the tables of all pages that were
/// looked at, which takes a good part of a second.
pub(super) struct GivenUp {
    /// The name that it has until it is removed.
    pub(super) path: PathBuf,
    maps: Arc<Maps>,
    file: FileHandle,
}

impl GivenUp {
    pub(super) fn of(segment: &Segment) -> Self {
        Self {
            path: segment.path.clone(),
            maps: Arc::clone(&segment.maps),
            file: Arc::clone(&segment.file),
        }
    }

    /// The file, if nobody but the caller can read of it any more: what is cut off under a map kills the process that looks
    /// at it.
    fn unread(mut self) -> Option<FileHandle> {
        // In this order: whoever still has the segment has the file, and may make a map only now.
        let is_alone = Arc::get_mut(&mut self.file).is_some() && !self.maps.are_in_use();
        is_alone.then_some(self.file)
    }
}

/// What the log has given up and the disk has not back yet.
#[derive(Default)]
pub(super) struct GivenUps {
    /// Until somebody who may wait lets go of it: the log thread must not stand still so long.
    removed: Mutex<Vec<GivenUp>>,
    leaving: Mutex<Leaving>,
}

#[derive(Default)]
struct Leaving {
    /// Each with its bytes.
    files: VecDeque<(FileHandle, u64)>,
    /// When the next piece goes.
    due: Option<Instant>,
}

impl GivenUps {
    /// Takes what has no name any more.
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
                self.leaving.lock().files.push_back((file, len));
            }
        }
    }

    /// Bytes that are still to come back.
    pub(super) fn bytes(&self) -> u64 {
        self.leaving.lock().files.iter().map(|(_, len)| len).sum()
    }

    /// Gives back the piece that is due, or, in haste, all there is; tells how long it is until the next one.
    pub(super) fn give_back(&self, now: Instant, in_haste: bool) -> Option<Duration> {
        let mut leaving = self.leaving.lock();
        let Leaving { files, due } = &mut *leaving;
        if in_haste {
            files.drain(..).for_each(|(file, _)| drop(cut(&file, 0)));
        }
        let pause = PAUSE / u32::try_from(files.len()).ok()?.max(1);
        let Some((file, len)) = files.front_mut() else {
            *due = None;
            return None;
        };
        if let Some(due) = due.filter(|due| *due > now) {
            return Some(due - now);
        }
        *len = len.saturating_sub(PIECE);
        if cut(file, *len).is_err() || *len == 0 {
            files.pop_front();
        }
        *due = Some(now + pause);
        Some(pause)
    }
}

/// Whoever else has opened the file keeps no more of the disk by that than `len`.
fn cut(file: &FileHandle, len: u64) -> std::io::Result<()> {
    let cut = file.set_len(len);
    if let Err(error) = &cut {
        tracing::warn!(%error, "a file of the log that was given up could not be cut shorter: its space comes back at once, and syncs may wait for it");
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{LogIo, RealIo};

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

        fn give_up(&self, file: FileHandle, maps: &Arc<Maps>) {
            self.given_ups.push(GivenUp {
                path: PathBuf::new(),
                maps: Arc::clone(maps),
                file,
            });
            self.given_ups.free();
        }

        fn len(&self, name: &str) -> u64 {
            std::fs::metadata(self.path(name)).unwrap().len()
        }
    }

    #[test]
    fn a_large_file_that_nobody_reads_comes_back_piece_by_piece() {
        let bench = Bench::new();
        bench.give_up(bench.file("a", 2 * PIECE + 5), &Arc::default());
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
        assert_eq!((bench.len("a"), bench.given_ups.bytes()), (0, 0));
        assert_eq!(bench.given_ups.give_back(now + 3 * PAUSE, false), None);
    }

    #[test]
    fn more_files_come_back_faster_and_in_haste_all_of_them_at_once_whoever_has_opened_them() {
        let bench = Bench::new();
        let len = 4 * PIECE;
        for name in ["a", "b"] {
            bench.give_up(bench.file(name, len), &Arc::default());
        }
        let also_open = std::fs::File::open(bench.path("b")).unwrap();
        let now = Instant::now();
        assert_eq!(bench.given_ups.give_back(now, false), Some(PAUSE / 2));
        assert_eq!((bench.len("a"), bench.len("b")), (3 * PIECE, len));
        assert_eq!(bench.given_ups.give_back(now, true), None);
        assert_eq!(bench.given_ups.bytes(), 0);
        assert_eq!((bench.len("a"), also_open.metadata().unwrap().len()), (0, 0));
    }

    #[test]
    fn nothing_is_cut_off_under_whoever_reads_it_or_may_still_begin_to() {
        let bench = Bench::new();
        let len = 3 * PIECE;
        let by_handle = bench.file("a", len);
        bench.give_up(Arc::clone(&by_handle), &Arc::default());

        // Made only when the segment was given up already.
        let (mapped, maps) = (bench.file("b", len), Arc::<Maps>::default());
        let given_up = GivenUp {
            path: PathBuf::new(),
            maps: Arc::clone(&maps),
            file: Arc::clone(&mapped),
        };
        let (map, _) = maps.get_or(|| mapped.map(len as usize)).unwrap();
        let slice = map.bytes(0..100).unwrap();
        drop((map, maps, mapped));
        bench.given_ups.push(given_up);
        bench.given_ups.free();

        assert_eq!(bench.given_ups.give_back(Instant::now(), false), None);
        assert_eq!([bench.len("a"), bench.len("b")], [len; 2]);
        assert!(slice.iter().all(|byte| *byte == 0));
        drop(by_handle);
    }
}
