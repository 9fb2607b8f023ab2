//! The index by message id and key: where in the CommitLog messages with a hash stand.
//!
//! Items (hash, physical offset, time) come in the order of apply. They fill a **run**, first in memory, at a checkpoint
//! in a file that only grows (`run`). A run is closed when it has 131,072 items or the time of the log enters
//! another hour, the **slice**. Steps in the background sort a closed run into a file of level 0 (`sorted`), and 16
//! neighbouring files of a level and slice into one of the next, up to level 3. What replaces a file is durable before
//! that goes.
//!
//! Since level 3 of the log a run ends, too, where a segment does, and files of different segments are not merged: so the
//! index of what retention leaves can be made again from there, and what it takes away are whole files.
//!
//! Where runs end and which files are merged depends on the log alone. So the files are, once nothing is left to do,
//! a function of the log's prefix, byte for byte; and a file that covers a run which replay comes to again need not be
//! written again: such a run is *covered*, and its items are only counted.

mod background;
mod begin;
mod block;
mod error;
mod files;
mod find;
mod item;
mod restore;
mod run;
mod scrub;
mod sorted;
mod survey;

use crate::io::LogIo;
use background::Merge;
use files::{Files, SortedFile};
use item::Item;
use parking_lot::Mutex;
use run::{ClosedRun, OpenRun};
use sluice_core::codec::{Malformed, Reader};
use sluice_core::ids::{PhysicalOffset, TimeMs};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

pub(crate) use begin::{Begin, begin};
pub use error::IndexError;
pub(crate) use restore::sorted_files_from;
pub(crate) use scrub::IndexScrub;
pub use survey::IndexSurvey;
pub(crate) use survey::{RunSums, survey};

/// Items of a run, unless its hour ends before.
pub const RUN_ITEMS: u32 = 131_072;
/// Length of a slice in milliseconds.
pub const SLICE_MS: u64 = 3_600_000;
/// What one look-up answers at most.
pub const FIND_MAX: usize = 10_000;

/// How far the index is: what a checkpoint remembers of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexPosition {
    /// The open run.
    pub run: u64,
    /// Items in it.
    pub items: u32,
    /// Their CRC; 0 in a covered run.
    pub crc: u32,
    /// The hour of the run's items, counted from the epoch; 0 before the first item.
    pub slice: u64,
    /// The first run of that hour.
    pub slice_start: u64,
    /// Whether a sorted file holds the run already, from before a restart.
    pub covered: bool,
}

impl IndexPosition {
    /// The position at the start of a segment: the open run ends, and what follows is merged by itself.
    pub fn at_segment_start(self) -> Self {
        let run = self.run + u64::from(self.items > 0);
        Self {
            run,
            items: 0,
            crc: 0,
            slice_start: run,
            covered: self.covered && self.items == 0,
            ..self
        }
    }

    /// The position in 33 bytes, little-endian, fields in order.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.run.to_le_bytes().to_vec();
        out.extend_from_slice(&self.items.to_le_bytes());
        out.extend_from_slice(&self.crc.to_le_bytes());
        out.extend_from_slice(&self.slice.to_le_bytes());
        out.extend_from_slice(&self.slice_start.to_le_bytes());
        out.push(u8::from(self.covered));
        out
    }

    /// Reads what [`IndexPosition::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let position = Self {
            run: reader.u64()?,
            items: reader.u32()?,
            crc: reader.u32()?,
            slice: reader.u64()?,
            slice_start: reader.u64()?,
            covered: reader.u8()? != 0,
        };
        reader.finish()?;
        if position.items >= RUN_ITEMS {
            return Err(Malformed::Range("items of a run"));
        }
        Ok(position)
    }
}

/// What appends, look-ups and background steps share; held shortly.
struct Live {
    open: OpenRun,
    /// Closed, not sorted yet; by number.
    closed: VecDeque<Arc<ClosedRun>>,
    /// By runs, without overlap. Runs beyond the open one are of before a restart: replay will come to them.
    sorted: Arc<Vec<Arc<SortedFile>>>,
    /// Put aside since the start, and where each is damaged: what they held is not found before a restart makes it again, which
    /// whoever looks for it must be told.
    damaged: Vec<(Arc<SortedFile>, u64)>,
}

/// What is written of the runs.
#[derive(Default)]
struct Flushed {
    /// Items in the files of runs that are not sorted yet.
    items: BTreeMap<u64, u32>,
    /// Runs before this one are in files, and their log is durable: they may be sorted.
    before: u64,
}

struct Inner {
    files: Files,
    run_items: u32,
    live: Mutex<Live>,
    flushed: Mutex<Flushed>,
    merge: Mutex<Option<Merge>>,
    blocks_read: AtomicU64,
    /// Where it begins, unless it is where the log did at the start.
    begin: OnceLock<Begin>,
    /// What files hold that was not restored.
    beyond: Mutex<restore::Beyond>,
}

/// The index of a broker. A cheap handle: one applier appends, any number of threads look up, one thread flushes and
/// does the background steps.
#[derive(Clone)]
pub struct IndexStore {
    inner: Arc<Inner>,
}

impl IndexStore {
    /// It begins there.
    pub(crate) fn begins_at(&self, begin: Begin) {
        // Once a start.
        let _ = self.inner.begin.set(begin);
    }

    /// Where it begins, as of the start.
    pub(crate) fn begin(&self) -> Option<Begin> {
        self.inner.begin.get().copied()
    }

    /// The index of a fresh data directory; `dir` is the `index` folder. Files that are there are removed.
    pub fn create(io: Arc<dyn LogIo>, dir: &Path) -> Result<Self, IndexError> {
        let index = Self::look_at_nothing(io, dir, &IndexPosition::default())?;
        index.settle()?;
        Ok(index)
    }

    /// As [`IndexStore::create`] where the log begins at the start of a segment, where the index is at `position`; but changes nothing
    /// before [`IndexStore::settle`].
    pub(crate) fn look_at_nothing(
        io: Arc<dyn LogIo>,
        dir: &Path,
        position: &IndexPosition,
    ) -> Result<Self, IndexError> {
        restore::look_at_nothing(io, dir, position, RUN_ITEMS)
    }

    /// As [`IndexStore::restore_from`], but changes nothing before [`IndexStore::settle`].
    pub(crate) fn look_from(
        io: Arc<dyn LogIo>,
        dir: &Path,
        position: &IndexPosition,
        first_run: Option<u64>,
    ) -> Result<Self, IndexError> {
        restore::look(io, dir, position, first_run, RUN_ITEMS)
    }

    /// The log does not begin any more before the index does: with [`IndexStore::settle`] it is forgotten where that is.
    pub(crate) fn forget_begin(&self) {
        self.inner.beyond.lock().begin = true;
    }

    /// The index as of a checkpoint; `dir` is the `index` folder. [`IndexError::Missing`] if runs that the position counts
    /// on are not there: then restore at the base, and replay makes what is missing anew. Damaged files are put aside
    /// and count as missing. Whole files beyond the position stay: replay will find their runs covered.
    pub fn restore(io: Arc<dyn LogIo>, dir: &Path, position: &IndexPosition) -> Result<Self, IndexError> {
        Self::restore_sized(io, dir, position, RUN_ITEMS)
    }

    /// Like [`IndexStore::restore`] where the log begins at the start of run `first_run`: what is before goes. Where that is
    /// not known, the first run that is there is taken for it. Runs have `run_items`, as in [`IndexStore::restore_sized`].
    pub fn restore_from(
        io: Arc<dyn LogIo>,
        dir: &Path,
        position: &IndexPosition,
        first_run: Option<u64>,
        run_items: u32,
    ) -> Result<Self, IndexError> {
        let index = restore::look(io, dir, position, first_run, run_items.clamp(1, RUN_ITEMS))?;
        index.settle()?;
        Ok(index)
    }

    /// Like [`IndexStore::restore`] with runs of `run_items`, at most [`RUN_ITEMS`], so that proofs see many of them. A
    /// folder is always opened with the same number.
    pub fn restore_sized(
        io: Arc<dyn LogIo>,
        dir: &Path,
        position: &IndexPosition,
        run_items: u32,
    ) -> Result<Self, IndexError> {
        Self::restore_from(io, dir, position, Some(0), run_items)
    }

    /// Adds an item, in memory. Neither place nor time may be less than those of the item before.
    pub fn append(&self, hash: u64, physical: PhysicalOffset, time: TimeMs) {
        let mut live = self.inner.live.lock();
        let slice = slice_of(time);
        if live.open.at.items > 0 && live.open.at.slice != slice {
            live.close();
        }
        if live.open.at.items == 0 && live.open.at.slice != slice {
            (live.open.at.slice, live.open.at.slice_start) = (slice, live.open.at.run);
        }
        live.open.push(Item { hash, physical, time });
        if live.open.at.items == self.inner.run_items {
            live.close();
        }
    }

    /// A segment of the log starts here: the open run ends. A second call changes nothing.
    pub fn start_segment(&self) {
        let mut live = self.inner.live.lock();
        if live.open.at.items > 0 {
            live.close();
        }
        live.open.at.slice_start = live.open.at.run;
    }

    /// Takes away what belongs to runs before `first_run`: the log begins behind them.
    pub fn trim(&self, first_run: u64) -> Result<(), IndexError> {
        // No merge is of files on both sides of a segment's start.
        let mut merge = self.inner.merge.lock();
        if let Some(gone) = merge.take_if(|merge| merge.first_run() < first_run) {
            self.discard(gone);
        }
        let (files, runs) = {
            let mut live = self.inner.live.lock();
            let is_gone = |file: &Arc<SortedFile>| file.header.runs().end <= first_run;
            let (gone, stay) = live.sorted.iter().cloned().partition::<Vec<_>, _>(is_gone);
            live.sorted = Arc::new(stay);
            live.damaged
                .retain(|(file, _)| file.header.runs().end > first_run);
            let mut runs = Vec::new();
            while let Some(run) = live
                .closed
                .front()
                .map(|run| run.at.run)
                .filter(|run| *run < first_run)
            {
                live.closed.pop_front();
                runs.push(run);
            }
            (gone, runs)
        };
        let mut flushed = self.inner.flushed.lock();
        for run in runs {
            flushed.items.remove(&run);
            self.inner.files.remove(&self.inner.files.run_path(run))?;
        }
        files
            .iter()
            .try_for_each(|file| self.inner.files.remove(&file.path))
    }

    /// How far the index is, for a checkpoint: called by the applier, between two commands.
    pub fn position(&self) -> IndexPosition {
        self.inner.live.lock().open.at
    }

    /// Items in memory that are not sorted yet, 24 bytes each. They leave it by a flush and background steps.
    pub fn items_in_memory(&self) -> u64 {
        let live = self.inner.live.lock();
        let closed: u64 = live.closed.iter().map(|run| u64::from(run.at.items)).sum();
        closed
            + if live.open.at.covered {
                0
            } else {
                u64::from(live.open.at.items)
            }
    }

    /// Blocks of 4 KiB that look-ups have read so far.
    pub fn blocks_read(&self) -> u64 {
        self.inner.blocks_read.load(Ordering::Relaxed)
    }

    /// Writes everything up to `position`, which [`IndexStore::position`] gave, to the files of the runs; the checkpoint's
    /// one sync makes it durable. The log must be durable up to there before: runs before it may be sorted from now on.
    pub fn flush(&self, position: &IndexPosition) -> Result<(), IndexError> {
        let mut flushed = self.inner.flushed.lock();
        let (closed, open) = {
            let live = self.inner.live.lock();
            let open = live.open.at;
            let open = (open.run <= position.run && !open.covered).then(|| (open, live.open.items()));
            let closed: Vec<_> = live
                .closed
                .iter()
                .filter(|run| run.at.run <= position.run)
                .cloned()
                .collect();
            (closed, open)
        };
        for run in closed {
            // A run that was closed after the position was taken is written up to the position, and the rest later.
            let whole = run.at.run < position.run;
            let to = if whole { run.at.items } else { position.items };
            self.flush_run(&mut flushed, &run.at, &run.items, to, whole)?;
        }
        if let Some((at, items)) = open {
            self.flush_run(&mut flushed, &at, &items, position.items, false)?;
        }
        flushed.before = flushed.before.max(position.run);
        Ok(())
    }

    fn flush_run(
        &self,
        flushed: &mut Flushed,
        at: &IndexPosition,
        items: &run::RunItems,
        to: u32,
        whole: bool,
    ) -> Result<(), IndexError> {
        let from = flushed.items.get(&at.run).copied().unwrap_or(0);
        let closed_before = from > at.items;
        if closed_before || (from >= to && !whole) {
            return Ok(());
        }
        let path = self.inner.files.run_path(at.run);
        run::write(&*self.inner.files.io, &path, items, from, to, whole.then_some(at))?;
        // One more than there are stands for the trailer.
        flushed.items.insert(at.run, to + u32::from(whole));
        Ok(())
    }
}

impl Live {
    /// Ends the open run and begins the next one in its slice.
    fn close(&mut self) {
        let at = self.open.at;
        let closed = self.open.close();
        if !at.covered {
            self.closed.push_back(Arc::new(closed));
        }
        let run = at.run + 1;
        let next = IndexPosition {
            run,
            items: 0,
            crc: 0,
            covered: covers(&self.sorted, run),
            ..at
        };
        self.open = OpenRun::new(next, Vec::new());
    }
}

/// Whether one of the files holds the run.
fn covers(sorted: &[Arc<SortedFile>], run: u64) -> bool {
    let after = sorted.partition_point(|file| file.header.first_run <= run);
    after
        .checked_sub(1)
        .and_then(|n| sorted.get(n))
        .is_some_and(|file| file.header.runs().contains(&run))
}

fn slice_of(time: TimeMs) -> u64 {
    time / SLICE_MS
}

#[cfg(test)]
mod layout {
    use super::*;
    use crate::tests::{u32_at, u64_at};

    #[test]
    fn a_position_is_33_bytes_as_the_format_says() {
        let position = IndexPosition {
            run: 1,
            items: 2,
            crc: 3,
            slice: 4,
            slice_start: 5,
            covered: true,
        };
        let bytes = position.encode();
        assert_eq!([0, 16, 24].map(|at| u64_at(&bytes, at)), [1, 4, 5]);
        assert_eq!([8, 12].map(|at| u32_at(&bytes, at)), [2, 3]);
        assert_eq!((bytes[32], bytes.len()), (1, 33));
        assert_eq!(IndexPosition::decode(&bytes), Ok(position));
    }
}
