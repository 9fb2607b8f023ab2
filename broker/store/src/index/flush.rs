//! Runs are written to their files.

use super::{IndexError, IndexPosition, IndexStore, run};
use std::collections::BTreeMap;

/// What is written of the runs.
#[derive(Default)]
pub(super) struct Flushed {
    /// Items in the files of runs that are not sorted yet.
    pub(super) items: BTreeMap<u64, u32>,
    /// Runs before this one are in files, and their log is durable: they may be sorted.
    pub(super) before: u64,
}

impl IndexStore {
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
