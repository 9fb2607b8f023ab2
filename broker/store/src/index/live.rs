//! The runs and files that the index has now: where runs end as items come.

use super::files::SortedFile;
use super::item::Item;
use super::run::{ClosedRun, OpenRun};
use super::{IndexPosition, SLICE_MS};
use sluice_core::ids::TimeMs;
use std::collections::VecDeque;
use std::sync::Arc;

/// What appends, look-ups and background steps share; held shortly.
pub(super) struct Live {
    pub(super) open: OpenRun,
    /// Closed, not sorted yet; by number.
    pub(super) closed: VecDeque<Arc<ClosedRun>>,
    /// By runs, without overlap. Runs beyond the open one are of before a restart: replay will come to them.
    pub(super) sorted: Arc<Vec<Arc<SortedFile>>>,
    /// Put aside since the start, and where each is damaged, or nowhere if it is gone: what they held is not found before a restart makes it again, which
    /// whoever looks for it must be told.
    pub(super) damaged: Vec<(Arc<SortedFile>, Option<u64>)>,
}

impl Live {
    /// Adds an item to the open run, which ends before it with its slice, or behind it with `run_items`.
    pub(super) fn append(&mut self, item: Item, run_items: u32) {
        let slice = slice_of(item.time);
        if self.open.at.items > 0 && self.open.at.slice != slice {
            self.close();
        }
        if self.open.at.items == 0 && self.open.at.slice != slice {
            (self.open.at.slice, self.open.at.slice_start) = (slice, self.open.at.run);
        }
        self.open.push(item);
        if self.open.at.items == run_items {
            self.close();
        }
    }

    /// Ends the open run where a segment starts, and what follows is merged by itself.
    pub(super) fn start_segment(&mut self) {
        if self.open.at.items > 0 {
            self.close();
        }
        self.open.at.slice_start = self.open.at.run;
    }

    /// Takes out sorted files and closed runs before `first_run`, and answers which they are.
    pub(super) fn trim(&mut self, first_run: u64) -> (Vec<Arc<SortedFile>>, Vec<u64>) {
        let is_gone = |file: &Arc<SortedFile>| file.header.runs().end <= first_run;
        let (gone, stay) = self.sorted.iter().cloned().partition::<Vec<_>, _>(is_gone);
        self.sorted = Arc::new(stay);
        self.damaged
            .retain(|(file, _)| file.header.runs().end > first_run);
        let mut runs = Vec::new();
        while let Some(run) = self
            .closed
            .front()
            .map(|run| run.at.run)
            .filter(|run| *run < first_run)
        {
            self.closed.pop_front();
            runs.push(run);
        }
        (gone, runs)
    }

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
pub(super) fn covers(sorted: &[Arc<SortedFile>], run: u64) -> bool {
    let after = sorted.partition_point(|file| file.header.first_run <= run);
    after
        .checked_sub(1)
        .and_then(|n| sorted.get(n))
        .is_some_and(|file| file.header.runs().contains(&run))
}

pub(super) fn slice_of(time: TimeMs) -> u64 {
    time / SLICE_MS
}
