//! What is damaged of a log, in the terms of a repair: from where to where, and what is lost with it.

use crate::io::LogFile;
use crate::log::LogPosition;
use sluice_core::ids::{LogIndex, PhysicalOffset};
use std::ops::Range;
use std::path::PathBuf;

/// One damaged place of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDamage {
    /// The file, or where a file is missing its name.
    pub file: PathBuf,
    /// Where in the file, in bytes.
    pub file_offset: u64,
    /// Where in the log it begins.
    pub from: PhysicalOffset,
    /// Where in the log what follows it begins; `None` if nothing does that can be read.
    pub to: Option<PhysicalOffset>,
    /// What is wrong.
    pub what: String,
    /// What is lost with it.
    pub lost: Lost,
}

/// `what` is wrong with these bytes of a file, and whether that is because the disk does not give some of them.
pub(super) fn with_the_disk(what: String, file: &dyn LogFile, bytes: Range<u64>) -> String {
    let not_given = file.not_given();
    let meets = |place: &&Range<u64>| place.start < bytes.end && bytes.start < place.end;
    match not_given.iter().find(meets) {
        Some(place) => format!(
            "{what} (the disk gives an error at file offset {}: {} bytes from there on cannot be read)",
            place.start,
            place.end - place.start
        ),
        None => what,
    }
}

/// What a damaged place held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Nothing that does not stand elsewhere: a segment's first page. What its header must be is known.
    Page {
        /// The index of the segment's first frame.
        base_index: LogIndex,
        /// Of the last segment, whose first page alone said how far the log was durable: where the last frame that can be read ends.
        /// Whether anything followed is not known.
        unknown_behind: Option<PhysicalOffset>,
    },
    /// One command of a frame that is whole otherwise.
    Command {
        /// The frame.
        frame: PhysicalOffset,
        /// The frame's index.
        index: LogIndex,
    },
    /// Whole frames.
    Frames {
        /// The place where they stood.
        at: LogPosition,
        /// How many; 0 if nobody knows.
        count: u64,
    },
}

impl LogDamage {
    /// Whether a start that begins to replay at `from` meets it.
    pub(crate) fn stops_a_replay(&self, from: PhysicalOffset) -> bool {
        match self.lost {
            Lost::Page { .. } => true,
            Lost::Command { frame, .. } => frame >= from,
            Lost::Frames { .. } => self.to.is_none_or(|to| to > from),
        }
    }
}

/// What an earlier repair has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Where it begins in the log.
    pub from: PhysicalOffset,
    /// Where it ends.
    pub to: PhysicalOffset,
    /// Frames that were lost there; 0 if it was one command.
    pub frames: u64,
    /// Whether the log alone gives the state behind it.
    pub state_is_known: bool,
}
