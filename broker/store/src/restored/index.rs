//! The index as a checkpoint left it, or begun anew.

use super::Lacking;
use crate::index::{self, Begin, IndexPosition, IndexStore, RUN_ITEMS};
use crate::io::LogIo;
use crate::log::{Ahead, LogPosition};
use crate::store::StoreError;
use sluice_core::ids::TimeMs;
use std::path::Path;
use std::sync::Arc;

/// Where a checkpoint has the index.
pub(super) struct Place<'a> {
    pub(super) io: &'a Arc<dyn LogIo>,
    pub(super) folder: &'a Path,
    /// Where the checkpoint stands.
    pub(super) at: LogPosition,
    /// What the time had come to there.
    pub(super) time: TimeMs,
    pub(super) position: IndexPosition,
    /// Where the log begins.
    pub(super) first: LogPosition,
    pub(super) ahead: &'a Ahead,
}

impl Place<'_> {
    /// The index there, which knows where it begins.
    pub(super) fn index(&self, first_run: Option<u64>, lacking: Lacking) -> Result<IndexStore, StoreError> {
        let index = self.opened(first_run, lacking)?;
        if let Some(begin) = self.begin()? {
            index.begins_at(begin);
        }
        Ok(index)
    }

    /// Where it was begun anew, if the log begins before that.
    fn begin(&self) -> Result<Option<Begin>, StoreError> {
        let begin = index::begin(self.io, self.folder)?;
        Ok(begin.filter(|begin| begin.physical > self.first.physical))
    }

    /// Its first run is that of the log's start, where that is known, or that with which it was begun anew.
    fn opened(&self, first_run: Option<u64>, lacking: Lacking) -> Result<IndexStore, StoreError> {
        let (at, first, begin) = (self.at.physical, self.first, self.begin()?);
        if at == first.physical {
            // All of it is made again, with the runs that the log has.
            let position = match first == LogPosition::default() {
                true => self.position,
                false => self.position.at_segment_start(),
            };
            if begin.is_none() {
                return self.restore_without_begin(&position, first_run);
            }
            let io = Arc::clone(self.io);
            return Ok(IndexStore::look_at_nothing(io, self.folder, &position)?);
        }
        let restored = match begin {
            None => self.restore_without_begin(&self.position, first_run),
            Some(begin) if at == begin.physical => {
                self.restore(&self.position.at_segment_start(), Some(begin.run))
            }
            Some(begin) if at > begin.physical => self.restore(&self.position, Some(begin.run)),
            // It counts on runs that are gone.
            Some(_) => return self.begin_anew(),
        };
        match restored {
            Err(StoreError::Index(error)) if error.is_missing() && lacking == Lacking::StopsNothing => {
                self.begin_anew()
            }
            restored => restored,
        }
    }

    fn restore(&self, position: &IndexPosition, first_run: Option<u64>) -> Result<IndexStore, StoreError> {
        let io = Arc::clone(self.io);
        Ok(IndexStore::look_from(io, self.folder, position, first_run)?)
    }

    fn restore_without_begin(
        &self,
        position: &IndexPosition,
        first_run: Option<u64>,
    ) -> Result<IndexStore, StoreError> {
        let index = self.restore(position, first_run)?;
        index.forget_begin();
        Ok(index)
    }

    fn begin_anew(&self) -> Result<IndexStore, StoreError> {
        self.ahead.look(self.at)?;
        tracing::error!(
            folder = %self.folder.display(),
            begins_at = self.at.physical.0,
            "the index is damaged, and cannot be made again: it begins anew here. Messages that stand before this place of the log are not found by key or message id any more; everything else works as before, and there is nothing to do"
        );
        let io = Arc::clone(self.io);
        Ok(IndexStore::begin_anew(
            io,
            self.folder,
            &self.position,
            (self.at.physical, self.time),
            RUN_ITEMS,
        )?)
    }
}
