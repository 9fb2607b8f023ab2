//! A start that finds the log damaged says how far that reaches, and what to do.

use super::StoreError;
use crate::io::LogIo;
use crate::log::LogError;
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
    match repair::diagnose(io.as_ref(), dir) {
        Ok(Some(extent)) => StoreError::Damaged { refusal, extent },
        Ok(None) => error,
        Err(reading) => {
            tracing::warn!(error = %reading, "how far the damage reaches cannot be told");
            error
        }
    }
}
