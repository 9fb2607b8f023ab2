//! A start that finds the log damaged says how far that reaches, and what to do.

use super::StoreError;
use crate::checkpoint::Checkpoints;
use crate::io::LogIo;
use crate::log::{self, LogError};
use crate::repair;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a start has met damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The damaged file.
    pub file: PathBuf,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is damaged at file offset {}: {}",
            self.file.display(),
            self.offset,
            self.reason
        )
    }
}

/// Refuses a folder of which all is gone that a log is known by, while a checkpoint says that there was one: a new log there would be none
/// that the checkpoint is of. Changes nothing.
pub(super) fn refuse_a_log_that_is_gone(io: &Arc<dyn LogIo>, dir: &Path) -> Result<(), StoreError> {
    let newest = Checkpoints::newest_named(io.as_ref(), &dir.join("checkpoint"))?;
    if newest.is_none_or(|newest| newest.0 == 0) || log::has_any(io.as_ref(), dir)? {
        return Ok(());
    }
    let reason = "there are checkpoints, but neither a segment nor a valid meta file".to_owned();
    let file = dir.join("log");
    Err(StoreError::Log(LogError::Corruption {
        file,
        offset: 0,
        reason,
    }))
}

/// The error of a start over damage, with its extent where that can be told. The whole log is read for it.
pub(super) fn with_extent(io: &Arc<dyn LogIo>, dir: &Path, error: StoreError) -> StoreError {
    let refusal = match &error {
        StoreError::Log(LogError::Corruption { file, offset, reason }) => Refusal {
            file: file.clone(),
            offset: *offset,
            reason: reason.clone(),
        },
        StoreError::Log(LogError::Mismatch { path, reason }) => Refusal {
            file: path.clone(),
            offset: 0,
            reason: reason.clone(),
        },
        _ => return error,
    };
    match repair::diagnose(io, dir) {
        Ok(Some(extent)) => StoreError::Damaged { refusal, extent },
        Ok(None) => error,
        Err(reading) => {
            tracing::warn!(error = %reading, "how far the damage reaches cannot be told");
            error
        }
    }
}
