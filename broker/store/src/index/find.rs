//! Look-ups.

use super::files::SortedFile;
use super::item::Wanted;
use super::run::{ClosedRun, RunItems};
use super::{FIND_MAX, IndexError, IndexStore};
use sluice_core::ids::{PhysicalOffset, TimeMs};
use std::cmp::Reverse;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How often a look-up starts again because merging took a file away from under it.
const ATTEMPTS: usize = 5;

/// The index at one moment.
struct View {
    open: (u64, RunItems),
    closed: Vec<Arc<ClosedRun>>,
    sorted: Arc<Vec<Arc<SortedFile>>>,
    damaged: Vec<(Arc<SortedFile>, Option<u64>)>,
}

/// A part of the index that is searched by itself.
enum Source<'a> {
    Run(&'a RunItems),
    File(&'a Arc<SortedFile>),
    /// Out of use, for it is damaged there, or gone.
    Damaged(&'a Arc<SortedFile>, Option<u64>),
}

impl View {
    /// Everything, the newest runs first. While a file is made anew it lies between newer ones.
    fn newest_first(&self) -> impl Iterator<Item = Source<'_>> {
        let open = std::iter::once((self.open.0, Source::Run(&self.open.1)));
        let closed = self
            .closed
            .iter()
            .map(|run| (run.at.run, Source::Run(&run.items)));
        let files = self
            .sorted
            .iter()
            .map(|file| (file.header.first_run, Source::File(file)));
        let damaged = self
            .damaged
            .iter()
            .map(|(file, offset)| (file.header.first_run, Source::Damaged(file, *offset)));
        let mut all: Vec<_> = open.chain(closed).chain(files).chain(damaged).collect();
        all.sort_by_key(|(run, _)| Reverse(*run));
        all.into_iter().map(|(_, source)| source)
    }
}

/// Adds what is wanted of a run in memory to `out`, newest first.
fn take_from(items: &RunItems, wanted: &Wanted, limit: usize, out: &mut Vec<(PhysicalOffset, TimeMs)>) {
    for item in items.newest_first().filter(|item| wanted.takes(item)) {
        if out.len() >= limit {
            return;
        }
        let found = (item.physical, item.time);
        // A key given twice in one message is one find.
        if out.last() != Some(&found) {
            out.push(found);
        }
    }
}

impl IndexStore {
    /// Where messages with this hash stand: those of these times (the end excluded) and before this place, newest
    /// first, at most `limit` (and never more than [`FIND_MAX`]). For the next page give the last place as `before`.
    /// Other keys may have the same hash: compare the record's. Blocks on IO.
    pub fn find(
        &self,
        hash: u64,
        times: Range<TimeMs>,
        limit: usize,
        before: Option<PhysicalOffset>,
    ) -> Result<Vec<(PhysicalOffset, TimeMs)>, IndexError> {
        let before = before.unwrap_or(PhysicalOffset(u64::MAX));
        let wanted = Wanted {
            hash,
            from: times.start,
            until: times.end,
            before,
        };
        let limit = limit.min(FIND_MAX);
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.find_in(&self.view(), &wanted, limit) {
                Err(IndexError::Io { source, .. })
                    if source.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS => {}
                Err(error) => return Err(self.gone(error)),
                found => return found,
            }
        }
    }

    /// A file that is in use and cannot be opened, however often: somebody has removed it.
    fn gone(&self, error: IndexError) -> IndexError {
        let IndexError::Io { path, .. } = &error else {
            return error;
        };
        let sorted = Arc::clone(&self.inner.live.lock().sorted);
        let file = sorted.iter().find(|file| file.path == *path);
        match file {
            Some(file) => self.put_aside_if_damaged(file, error),
            None => error,
        }
    }

    fn view(&self) -> View {
        let live = self.inner.live.lock();
        View {
            open: (live.open.at.run, live.open.items()),
            closed: live.closed.iter().cloned().collect(),
            sorted: Arc::clone(&live.sorted),
            damaged: live.damaged.clone(),
        }
    }

    fn find_in(
        &self,
        view: &View,
        wanted: &Wanted,
        limit: usize,
    ) -> Result<Vec<(PhysicalOffset, TimeMs)>, IndexError> {
        let mut out = Vec::new();
        for source in view.newest_first() {
            if out.len() >= limit {
                break;
            }
            match source {
                Source::Run(items) if items.may_hold(wanted) => take_from(items, wanted, limit, &mut out),
                Source::File(file) if file.header.may_hold(wanted) => {
                    let mut blocks = self.inner.files.blocks(file)?;
                    let found = blocks.find(wanted, limit, &mut out);
                    self.inner.blocks_read.fetch_add(blocks.read, Ordering::Relaxed);
                    if let Err(error) = found {
                        return Err(self.put_aside_if_damaged(file, error));
                    }
                }
                Source::Damaged(file, offset) if file.header.may_hold(wanted) => {
                    let path = file.path.clone();
                    return Err(match offset {
                        Some(offset) => IndexError::Damaged { path, offset },
                        None => IndexError::Gone { path },
                    });
                }
                Source::Run(_) | Source::File(_) | Source::Damaged(..) => {}
            }
        }
        Ok(out)
    }

    /// Takes a file out of use that is damaged, or that somebody has removed: look-ups that do not need it go on, and the next start makes it again.
    pub(super) fn put_aside_if_damaged(&self, file: &Arc<SortedFile>, error: IndexError) -> IndexError {
        let offset = match &error {
            IndexError::Damaged { offset, .. } => Some(*offset),
            IndexError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => None,
            _ => return error,
        };
        {
            let mut live = self.inner.live.lock();
            let (these, others): (Vec<_>, Vec<_>) = live
                .sorted
                .iter()
                .cloned()
                .partition(|other| Arc::ptr_eq(other, file));
            if these.is_empty() {
                // Somebody else has come to it too; or merging, or retention, has taken it away since.
                return error;
            }
            live.damaged.extend(these.into_iter().map(|file| (file, offset)));
            live.sorted = Arc::new(others);
        }
        if offset.is_none() {
            let path = file.path.clone();
            return IndexError::Gone { path };
        }
        if let Err(error) = self.inner.files.put_aside(&file.path, &error) {
            tracing::warn!(%error, "a damaged index file stays where it is");
        }
        error
    }
}
