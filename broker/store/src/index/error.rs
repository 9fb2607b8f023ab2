//! Why the index does not do what it was asked for.

use crate::io::{is_no_space, is_of_the_medium};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why the index could not be written, read or restored. Messages are not affected by any of it.
#[derive(Debug, Error)]
pub enum IndexError {
    /// The system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The system does not give a file back. That is no damage: it may give it back later.
    #[error(
        "cannot read {path}: {source}; start again, and if that stays so, move the file away: the next start makes it again, as far as the log has it"
    )]
    Unread {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A sync failed, for whatever reason: what was written since the last one may be lost, and no later sync will say so.
    #[error("cannot sync {path}: {source}; what is on the disk is unknown, so the process must end")]
    Sync {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A checkpoint counts on a run that is not there whole: replay from the base rebuilds it.
    #[error("{folder} lacks run {run}, on which the checkpoint counts")]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// The run.
        run: u64,
    },
    /// A sorted file is damaged. It is put aside; the next start rebuilds it from the log.
    #[error("{path} is damaged at byte {offset}: it is put aside, and a restart rebuilds it from the log")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, in bytes.
        offset: u64,
    },
    /// A file is not there any more that was not removed by the index.
    #[error("{path} is gone: somebody has removed it, and a restart makes it again from the log", path = path.display())]
    Gone {
        /// The file.
        path: PathBuf,
    },
}

impl IndexError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }

    /// For what reads a file as a whole, at a start.
    pub(super) fn unread(path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Unread {
            path: path.clone(),
            source,
        }
    }

    pub(super) fn sync(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Sync { path, source }
    }

    /// Whether replay from the base is needed, and enough.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }

    /// Whether the disk does not give a file back. A replay from the base does without it too.
    pub(crate) fn is_not_given(&self) -> bool {
        matches!(self, Self::Unread { source, .. } if is_of_the_medium(source))
    }

    /// Whether a sync failed: then the process must end.
    pub fn is_failed_sync(&self) -> bool {
        matches!(self, Self::Sync { .. })
    }

    /// Whether the disk is full, or too many files are open: then nothing is lost, and a later attempt makes up for this
    /// one. A failed sync is none.
    pub fn is_full_disk(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_no_space(source))
    }
}
