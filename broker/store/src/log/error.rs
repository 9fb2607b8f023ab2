//! What can go wrong, by what the caller can do about it.

use super::blame::Blame;
use crate::io::is_no_space;
use sluice_core::ids::{LogIndex, PhysicalOffset, Term};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a log could not be opened, or an operation on it was refused.
#[derive(Debug, Error)]
pub enum LogError {
    /// The system refused an operation on a file.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process uses the data directory.
    #[error("{} is in use by another process ({by}): stop it, or give this one another data directory (--data-dir)", dir.display())]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// Which process, in words.
        by: String,
    },
    /// Data that was durable is damaged or missing. Nothing was changed.
    #[error(
        "{} is damaged at file offset {offset}: {reason}; \
         nothing was cut off: restore the file from a backup, or accept the loss (`sluicectl log verify` says what is lost, and how to go on without it)",
        file.display()
    )]
    Corruption {
        /// The damaged file.
        file: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// The log was made for another broker, or with settings that this one does not take.
    #[error("{} does not fit: {reason}", path.display())]
    Mismatch {
        /// The file that says so.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// Whoever was given the frames on opening refused one.
    #[error("the frame at index {index} could not be replayed: {source}")]
    Replay {
        /// The frame.
        index: LogIndex,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Entries that do not continue the log.
    #[error("an entry of index {index} and term {term} does not continue the log: {reason}")]
    OutOfOrder {
        /// The entry's index.
        index: LogIndex,
        /// The entry's term.
        term: Term,
        /// What the log expected.
        reason: &'static str,
    },
    /// A truncation that would take back what was applied.
    #[error("cannot truncate from index {from}: everything below {applied} is applied")]
    Applied {
        /// Where the truncation should have begun.
        from: LogIndex,
        /// The first index that is not applied.
        applied: LogIndex,
    },
    /// The disk is full, or too many files are open; nothing of what was asked is in the log.
    #[error(
        "the log has no room: free space on its disk or lower the retention; or let the process open more files"
    )]
    NoSpace,
    /// The log is stopping or has stopped.
    #[error("the log has stopped")]
    Stopped,
    /// The log cannot go on.
    #[error(transparent)]
    Fatal(#[from] Fatal),
    /// What the operation had to read could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl LogError {
    /// For `map_err`: what was being done to which path.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    /// Notes what the system refused.
    pub(super) fn blame(&self, blame: &Blame) {
        if let Self::Io { source, .. } = self {
            blame.note(source, || self.to_string());
        }
    }

    /// Whether there was no room, on the disk or for an open file: nothing is lost, and a later try may succeed.
    pub(super) fn is_no_space(&self) -> bool {
        match self {
            Self::NoSpace => true,
            Self::Io { source, .. } => is_no_space(source),
            _ => false,
        }
    }
}

/// The log can no longer know what is on the disk: the process must end at once, acknowledging nothing more.
#[derive(Clone, Debug, Error)]
#[error("cannot {doing} {}: {reason}; what is on the disk is unknown, so the process must end", path.display())]
pub struct Fatal {
    /// What was being done.
    pub doing: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub reason: String,
}

impl Fatal {
    /// For `map_err`: what was being done to which path.
    pub(super) fn new(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self {
            doing,
            path,
            reason: source.to_string(),
        }
    }
}

impl From<LogError> for Fatal {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Fatal(fatal) => fatal,
            LogError::Io { doing, path, source } => Self {
                doing,
                path,
                reason: source.to_string(),
            },
            other => Self {
                doing: "continue",
                path: PathBuf::from("the log"),
                reason: other.to_string(),
            },
        }
    }
}

/// Why a record or a frame could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// Retention or a purge has removed it.
    #[error("offset {offset} is below the log's start {start}")]
    Gone {
        /// What was asked for.
        offset: PhysicalOffset,
        /// The first offset that is kept.
        start: PhysicalOffset,
    },
    /// It is not in the log, or not yet.
    #[error("nothing is stored at offset {offset}: the log ends at {end}")]
    Beyond {
        /// What was asked for.
        offset: PhysicalOffset,
        /// Where the log ends.
        end: PhysicalOffset,
    },
    /// The bytes there are not what was stored.
    #[error("{} is damaged at file offset {at}: {reason}; restore the file from a backup, or do without what stands there", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where in the file.
        at: u64,
        /// What is wrong.
        reason: String,
    },
    /// The system could not read.
    #[error("cannot read {} at file offset {at}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Where in the file.
        at: u64,
        /// What the system said.
        source: io::Error,
    },
}
