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
mod flush;
mod item;
mod live;
mod position;
mod restore;
mod run;
mod scrub;
mod sorted;
mod survey;

use crate::io::LogIo;
use background::Merge;
use files::Files;
use flush::Flushed;
use item::Item;
use live::Live;
use parking_lot::Mutex;
use sluice_core::ids::{PhysicalOffset, TimeMs};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

pub(crate) use begin::{Begin, begin};
pub use error::IndexError;
pub use position::IndexPosition;
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
        let item = Item { hash, physical, time };
        self.inner.live.lock().append(item, self.inner.run_items);
    }

    /// A segment of the log starts here: the open run ends. A second call changes nothing.
    pub fn start_segment(&self) {
        self.inner.live.lock().start_segment();
    }

    /// Takes away what belongs to runs before `first_run`: the log begins behind them.
    pub fn trim(&self, first_run: u64) -> Result<(), IndexError> {
        // No merge is of files on both sides of a segment's start.
        let mut merge = self.inner.merge.lock();
        if let Some(gone) = merge.take_if(|merge| merge.first_run() < first_run) {
            self.discard(gone);
        }
        let (files, runs) = self.inner.live.lock().trim(first_run);
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
}
