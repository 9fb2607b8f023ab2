//! The change itself, in an order in which a stop leaves the old refusal or the repaired log.
//!
//! Everything is written beside what is there, and synced. Then checkpoints and files of the
//! index go that count in what will not be, and meta gives up the
//! segments behind the log's new end; then segments take their names, the last one first: until the first one has its name, what is
//! damaged in it stops every start. What is left behind the log's new end goes last; a start would take it away too.

use super::RepairError;
use super::plan::Plan;
use super::state::NewState;
use crate::checkpoint::{self, CheckpointError};
use crate::io::{LogIo, SkippingIo};
use crate::log::{LogError, Prepared, file_of, save_meta, save_newest_segment};
use crate::queue::Mending;
use sluice_core::ids::PhysicalOffset;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What was done.
#[derive(Debug, Default)]
pub struct Done {
    /// Segments that were made anew.
    pub segments: u64,
    /// Where what was replaced is saved.
    pub saved: Vec<PathBuf>,
}

impl Plan {
    /// Does it. The caller holds the folder's lock.
    pub fn run(&self, io: &Arc<dyn LogIo>) -> Result<Done, RepairError> {
        let io = &SkippingIo::knowing(io, &self.bad);
        if let Some(state) = &self.new_state {
            return self.replace_state(io, state);
        }
        if !self.changes.is_empty() {
            // It may be gone as a whole, and no refused start makes it.
            let log_dir = self.dir.join("log");
            io.create_dir(&log_dir)
                .map_err(LogError::io("create the folder", &log_dir))?;
        }
        let mut prepared: Vec<Prepared> = Vec::new();
        for change in &self.changes {
            prepared.extend(change.prepare(io.as_ref(), &self.dir)?);
        }
        self.remove_derived(io.as_ref())?;
        // Missing or of no use is the same: what is damaged stops every start.
        let mut saved = put_aside(io.as_ref(), &self.dir, &self.unreadable)?;
        if let Some(meta) = &self.new_meta {
            saved.extend(save_meta(io, &self.dir, meta.clone())?);
        }
        if let Some(newest) = self.newest_segment {
            save_newest_segment(io, &self.dir, newest)?;
        }
        for segment in prepared.iter().rev() {
            segment.commit(io.as_ref())?;
        }
        saved.extend(prepared.iter().flat_map(|segment| segment.saved.clone()));
        saved.extend(put_aside(io.as_ref(), &self.dir, &self.segments_gone)?);
        Ok(Done {
            segments: prepared.len() as u64,
            saved,
        })
    }

    /// Entries first: until the checkpoint is there a start is refused as before, and the same repair finds them in their places.
    fn replace_state(&self, io: &Arc<dyn LogIo>, state: &NewState) -> Result<Done, RepairError> {
        let folder = self.dir.join("checkpoint");
        let saved = checkpoint::keep_aside(io, &folder, state.position.physical)?;
        if !state.entries.is_empty() {
            let mut mending = Mending::begin(io, &self.dir.join("queue"), &state.spans)?;
            for (at, offset, entry) in &state.entries {
                mending.entry(*at, *offset, entry)?;
            }
            mending.finish_some()?;
        }
        checkpoint::write_again(io, &folder, state.position, &state.header, &state.parts)?;
        Ok(Done { segments: 0, saved })
    }

    fn remove_derived(&self, io: &dyn LogIo) -> Result<(), RepairError> {
        for path in &self.index_gone {
            io.remove(path).map_err(LogError::io("remove", path))?;
        }
        if !self.index_gone.is_empty() {
            let folder = self.dir.join("index");
            io.sync_dir(&folder).map_err(LogError::io("sync", &folder))?;
        }
        let folder = self.dir.join("checkpoint");
        for at in self.checkpoints_gone.iter().rev() {
            let root = folder.join(format!("{:020}.root", at.0));
            io.remove(&root)
                .map_err(|source| CheckpointError::io("remove", &root, source))?;
        }
        if !self.checkpoints_gone.is_empty() {
            io.sync_dir(&folder).map_err(CheckpointError::sync(&folder))?;
        }
        Ok(())
    }
}

/// Takes segments out of the log, the last one first.
fn put_aside(io: &dyn LogIo, dir: &Path, segments: &[PhysicalOffset]) -> Result<Vec<PathBuf>, RepairError> {
    let log_dir = dir.join("log");
    let mut kept = Vec::new();
    // Theirs first: that of the last one left says that another one is missing.
    for base in segments {
        let sparse = file_of(dir, *base).with_extension("sparse");
        io.remove(&sparse).map_err(LogError::io("remove", &sparse))?;
    }
    if !segments.is_empty() {
        io.sync_dir(&log_dir).map_err(LogError::io("sync", &log_dir))?;
    }
    for base in segments.iter().rev() {
        let path = file_of(dir, *base);
        let aside = path.with_extension("seg.bak");
        io.rename(&path, &aside).map_err(LogError::io("rename", &path))?;
        io.sync_dir(&log_dir).map_err(LogError::io("sync", &log_dir))?;
        kept.push(aside);
    }
    Ok(kept)
}
