//! The CommitLog: frames in segments, one thread that writes them, and everything that reads them back.
//!
//! What holds, in this order, at every moment; the code asserts it where a position moves:
//! - `durable ≤ written`: a frame is written before it is synced, and positions only publish what happened;
//! - with [`Flush::Sync`] a frame reaches the [`Sink`] only when it is durable, with [`Flush::Async`] only when it is
//!   written; `applied ≤ committed`, where committed is what the sink was given;
//! - a frame that is not durable is in the ring, and is read from nowhere else: after a failed sync the page cache may
//!   hold what the disk does not;
//! - votes, appends, truncations and purges are done in the order in which they were asked for;
//! - below the durable slot of the log nothing is ever cut: a bad frame there is corruption.
//!
//! | file | what it holds |
//! |---|---|
//! | `frame` | the bytes of a frame, and nothing else |
//! | `segment` | a segment's first page: its header and the durable slots |
//! | `inbox`, `op` | the bounded queue before the log, and what stands in it |
//! | `writer`, `group`, `control` | the log thread's object: groups of frames; votes, truncations, purges |
//! | `prefill` | zero-filling ahead of the writer |
//! | `recycle`, `given_up` | what becomes of segments that retention gives up |
//! | `thread` | the loops around `writer` and `prefill` |
//! | `ring`, `reader`, `sparse`, `sparse_file`, `scan` | recent frames in memory; reads by offset and by index |
//! | `meta` | names, votes, the purge marker, the newest segment |
//! | `files`, `present`, `recover`, `cut` | what is done when a log is opened; what must be there; what stood behind its end |
//! | `local` | the log as its users see it |
//! | `survey` | the files of a log that does not run, read and checked |
//! | `rewrite` | a segment of a log that does not run, made anew with something in the place of what is damaged |

mod ahead;
mod blame;
mod control;
mod cut;
mod error;
mod files;
mod frame;
mod given_up;
mod group;
mod inbox;
mod late;
mod local;
mod meta;
mod op;
mod options;
mod prefill;
mod present;
mod put;
mod reader;
mod recover;
mod recycle;
mod rewrite;
mod ring;
mod scan;
mod segment;
mod shared;
mod space;
mod sparse;
mod sparse_file;
mod survey;
mod thread;
mod writer;

pub(crate) use ahead::Ahead;
pub use blame::Refusal;
pub use error::{Fatal, LogError, ReadError};
pub use frame::{
    Commands, FRAME_HEADER_BYTES, Frame, FrameBuilder, FrameError, FrameHeader, FrameKind, FrameSeed,
    ShardUuid, Tombstone,
};
pub use inbox::Inbox;
pub use local::LocalLog;
pub use meta::{Identity, Meta, MetaStore, Vote, random_uuid};
pub use op::{ChannelSink, Committed, Entry, Flushed, Sink, Waiting};
pub use options::{Flush, LogOptions, SegmentLimits};
pub use prefill::{Prefill, Prefilled};
pub use reader::{BadHeader, BadStretch, LogReader, Scrubbed};
pub use recover::{Cut, Opened, Opening, Parts, VisitError};
pub(crate) use rewrite::{
    Change, Prepared, Replaced, file_of, save_meta, save_newest_segment, surviving_commands, was_message,
};
pub use segment::{PAGE_BYTES, SegmentHeader};
pub use shared::Positions;
pub(crate) use survey::{Ask, Seen, has_any, purged_before, segment_names, survey};
pub use survey::{LogDamage, LogRefusal, LogSurvey, Lost, Repaired, SegmentState, SegmentSurvey};
pub use thread::{LogThreads, spawn};
pub use writer::{LogWriter, Progress};

use sluice_core::ids::{LogIndex, PhysicalOffset, Term};
use std::fmt;

/// A place between two frames: where the next one starts and which number it has, and the term of the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogPosition {
    /// Where the next frame starts, unless it does not fit its segment.
    pub physical: PhysicalOffset,
    /// The next frame's index.
    pub index: LogIndex,
    /// The term of the frame before; 0 at the log's start.
    pub term: Term,
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "offset {}, index {}, term {}",
            self.physical, self.index, self.term
        )
    }
}

/// A frame's identity: two frames of equal term and index are the same frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// The leader's term.
    pub term: Term,
    /// The frame's number.
    pub index: LogIndex,
}
