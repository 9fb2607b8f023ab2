//! The change itself, in an order in which a stop leaves the old refusal or the repaired log.
//!
//! Everything is written beside what is there, and synced. Then checkpoints and files of the
//! index go that count in what will not be, and meta gives up the
//! segments behind the log's new end; then segments take their names, the last one first: until the first one has its name, what is
//! damaged in it stops every start. What is left behind the log's new end goes last; a start would take it away too.

use super::RepairError;
use super::plan::Plan;
use crate::checkpoint::CheckpointError;
use crate::io::LogIo;
use crate::log::{LogError, Prepared, file_of, save_newest_segment};
use std::path::PathBuf;
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
        let mut prepared: Vec<Prepared> = Vec::new();
        for change in &self.changes {
            prepared.extend(change.prepare(io.as_ref(), &self.dir)?);
        }
        self.remove_derived(io.as_ref())?;
        if let Some(newest) = self.newest_segment {
            save_newest_segment(io, &self.dir, newest)?;
        }
        for segment in prepared.iter().rev() {
            segment.commit(io.as_ref())?;
        }
        let mut saved: Vec<PathBuf> = prepared
            .iter()
            .flat_map(|segment| segment.saved.clone())
            .collect();
        saved.extend(self.put_aside(io.as_ref())?);
        Ok(Done {
            segments: prepared.len() as u64,
            saved,
        })
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

    /// Takes the segments behind the log's new end out of it, the last one first.
    fn put_aside(&self, io: &dyn LogIo) -> Result<Vec<PathBuf>, RepairError> {
        let log_dir = self.dir.join("log");
        let mut kept = Vec::new();
        for base in self.segments_gone.iter().rev() {
            let path = file_of(&self.dir, *base);
            let sparse = path.with_extension("sparse");
            io.remove(&sparse).map_err(LogError::io("remove", &sparse))?;
            let aside = path.with_extension("seg.bak");
            io.rename(&path, &aside).map_err(LogError::io("rename", &path))?;
            io.sync_dir(&log_dir).map_err(LogError::io("sync", &log_dir))?;
            kept.push(aside);
        }
        Ok(kept)
    }
}
