//! Steps in the background: closed runs are sorted, and sorted files merged.

use super::block::Block;
use super::files::SortedFile;
use super::item::Item;
use super::run::ClosedRun;
use super::sorted::{Builder, Header};
use super::{IndexError, IndexStore};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

/// Files that become one of the next level.
const MERGED: usize = 16;
/// The highest level; its files are not merged any more.
const LEVEL_MAX: u32 = 3;
/// Blocks that one step writes at most (1 MiB), unless it sorts a run (3 MiB).
const STEP_BLOCKS: u32 = 256;

/// A merge under way.
pub(super) struct Merge {
    sources: Vec<Source>,
    builder: Builder,
}

/// One of the files that are merged.
struct Source {
    file: Arc<SortedFile>,
    next_block: u32,
    items: VecDeque<Item>,
    taken: u64,
}

impl Merge {
    pub(super) fn first_run(&self) -> u64 {
        self.sources
            .first()
            .map_or(0, |source| source.file.header.first_run)
    }
}

impl IndexStore {
    /// Ends a merge that is not to become a file.
    pub(super) fn discard(&self, merge: Merge) {
        self.discard_file(merge.builder.path());
    }

    /// Does a bounded piece of what is to be done: sorts a closed run that a flush has covered, or writes up to 1 MiB of
    /// a merge. Answers whether there was anything to do; the caller decides how fast it goes on. A crash at any
    /// moment costs at most the piece.
    pub fn background_step(&self) -> Result<bool, IndexError> {
        let mut merge = self.inner.merge.lock();
        let before = self.inner.flushed.lock().before;
        let closed = self
            .inner
            .live
            .lock()
            .closed
            .front()
            .filter(|run| run.at.run < before)
            .cloned();
        if let Some(run) = closed {
            self.sort(&run)?;
            return Ok(true);
        }
        let under_way = match merge.take() {
            Some(under_way) => Some(under_way),
            None => self.begin_merge()?,
        };
        let Some(under_way) = under_way else {
            return Ok(false);
        };
        let temporary = under_way.builder.path().to_path_buf();
        let next = self.go_on(under_way);
        if !matches!(next, Ok(Some(_))) {
            self.discard_file(&temporary);
        }
        *merge = next?;
        Ok(true)
    }

    /// Gives back at once the space of a file that did not become whole: on a full disk others need it. One that did has
    /// another name by now.
    fn discard_file(&self, temporary: &Path) {
        // What cannot be removed now is removed by the next try or start.
        let _ = self.inner.files.remove(temporary);
    }

    fn sort(&self, run: &Arc<ClosedRun>) -> Result<(), IndexError> {
        let files = &self.inner.files;
        let (slice, slice_start) = (run.at.slice, run.at.slice_start);
        let header = Header {
            slice,
            slice_start,
            first_run: run.at.run,
            runs: 1,
            ..Header::default()
        };
        let temporary = files.temporary_path(&header);
        let written = self.write_sorted(run, header, &temporary);
        if written.is_err() {
            self.discard_file(&temporary);
        }
        let file = written?;
        {
            let mut live = self.inner.live.lock();
            let at = live
                .sorted
                .partition_point(|other| other.header.first_run < run.at.run);
            let mut sorted = live.sorted.to_vec();
            sorted.insert(at, file);
            live.sorted = Arc::new(sorted);
            live.closed.pop_front();
        }
        self.inner.flushed.lock().items.remove(&run.at.run);
        files.remove(&files.run_path(run.at.run))
    }

    fn write_sorted(
        &self,
        run: &ClosedRun,
        header: Header,
        temporary: &Path,
    ) -> Result<Arc<SortedFile>, IndexError> {
        let files = &self.inner.files;
        let mut items: Vec<Item> = run.items.oldest_first().copied().collect();
        items.sort_unstable();
        let mut builder = Builder::new(&*files.io, temporary.to_path_buf(), header)?;
        items.into_iter().try_for_each(|item| builder.push(item))?;
        Ok(Arc::new(files.publish(builder.finish()?)?))
    }

    fn begin_merge(&self) -> Result<Option<Merge>, IndexError> {
        let sorted = Arc::clone(&self.inner.live.lock().sorted);
        let Some(group) = sorted.windows(MERGED).find(|group| is_mergeable(group)) else {
            return Ok(None);
        };
        let Some(first) = group.first().map(|file| &file.header) else {
            return Ok(None);
        };
        let runs = group.iter().map(|file| file.header.runs).sum();
        let header = Header {
            level: first.level + 1,
            runs,
            root: 0,
            items: 0,
            ..first.clone()
        };
        let files = &self.inner.files;
        let builder = Builder::new(&*files.io, files.temporary_path(&header), header)?;
        let source = |file: &Arc<SortedFile>| {
            let file = Arc::clone(file);
            Source {
                file,
                next_block: 1,
                items: VecDeque::new(),
                taken: 0,
            }
        };
        Ok(Some(Merge {
            sources: group.iter().map(source).collect(),
            builder,
        }))
    }

    /// One step of a merge; `None` when it has ended.
    fn go_on(&self, mut merge: Merge) -> Result<Option<Merge>, IndexError> {
        let until = merge.builder.blocks() + STEP_BLOCKS;
        while merge.builder.blocks() < until {
            for source in 0..merge.sources.len() {
                let source = &mut merge.sources[source];
                if let Err(error) = self.fill(source) {
                    // The sources stay as they are, but for a damaged one.
                    let file = Arc::clone(&source.file);
                    return self.put_merge_off(&file, error);
                }
            }
            // Of equal items the older run's comes first, though nobody could tell.
            let next = merge.sources.iter_mut().filter(|source| !source.items.is_empty());
            match next.min_by_key(|source| source.items.front().copied()) {
                Some(source) => merge.builder.push(source.take())?,
                None => {
                    self.end_merge(merge)?;
                    return Ok(None);
                }
            }
        }
        Ok(Some(merge))
    }

    fn put_merge_off(&self, file: &Arc<SortedFile>, error: IndexError) -> Result<Option<Merge>, IndexError> {
        match self.put_aside_if_damaged(file, error) {
            IndexError::Damaged { .. } | IndexError::Gone { .. } => Ok(None),
            error => Err(error),
        }
    }

    /// Reads on in a source whose items are used up.
    fn fill(&self, source: &mut Source) -> Result<(), IndexError> {
        while source.items.is_empty() && source.next_block < source.file.header.blocks {
            let block = self.inner.files.blocks(&source.file)?.block(source.next_block)?;
            source.next_block += 1;
            if let Block::Items(items) = block {
                source.items = items.into();
            }
        }
        if source.items.is_empty() && source.taken != source.file.header.items {
            return Err(IndexError::Damaged {
                path: source.file.path.clone(),
                offset: 0,
            });
        }
        Ok(())
    }

    fn end_merge(&self, merge: Merge) -> Result<(), IndexError> {
        let file = Arc::new(self.inner.files.publish(merge.builder.finish()?)?);
        {
            let mut live = self.inner.live.lock();
            let runs = file.header.runs();
            let mut sorted: Vec<_> = live.sorted.to_vec();
            sorted.retain(|other| !runs.contains(&other.header.first_run));
            let at = sorted.partition_point(|other| other.header.first_run < runs.start);
            sorted.insert(at, file);
            live.sorted = Arc::new(sorted);
        }
        merge
            .sources
            .iter()
            .try_for_each(|source| self.inner.files.remove(&source.file.path))
    }
}

impl Source {
    fn take(&mut self) -> Item {
        self.taken += 1;
        self.items.pop_front().unwrap_or_default()
    }
}

/// Whether these become one file: neighbours of one level, slice and segment, beginning where a file of the next level does.
fn is_mergeable(group: &[Arc<SortedFile>]) -> bool {
    let Some(first) = group.first().map(|file| &file.header) else {
        return false;
    };
    let place = |header: &Header| (header.level, header.slice, header.slice_start);
    let alike = |file: &Arc<SortedFile>| place(&file.header) == place(first);
    let neighbours = |pair: &[Arc<SortedFile>]| pair[0].header.runs().end == pair[1].header.first_run;
    let runs_of_next = (MERGED as u64).pow(first.level + 1);
    first.level < LEVEL_MAX
        && (first.first_run - first.slice_start).is_multiple_of(runs_of_next)
        && group.iter().all(alike)
        && group.windows(2).all(neighbours)
}
