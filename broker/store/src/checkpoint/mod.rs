//! Checkpoints: all state at one position of the log, sharing what did not change with older ones.
//!
//! ```text
//! checkpoint/<20-digit physical position>.root    which blobs of which packs each part is, and the caller's header
//! checkpoint/<20-digit physical position>.pack    the parts that changed since the checkpoint before, or patches of them
//! ```
//! Writing one: queue tails and index are flushed (by the caller), the pack is written, and the root under a name of its
//! own (`.root.tmp`); then **one** sync of the file system; then the root gets its name. So a root that has its name is
//! whole, and all it counts on is durable. The name itself becomes durable by the next checkpoint's sync, and only
//! then older roots and packs go: there is always a whole one, at worst the last but one. (The first one's name is
//! synced at once.)
//!
//! Kept are the base (where the log starts), the newest two, and those at segment starts, at most eight. A pack goes
//! when no root names it; one that is mostly dead is emptied, little by little, into the packs of later checkpoints.
//!
//! A part of which little has changed is a patch against the bytes that are stored, always against those and never against another
//! patch: so it takes two blobs to read one, however often it has changed.

mod again;
mod changed;
mod expected;
mod gone;
mod keep;
mod load;
mod moved;
mod pack;
mod parts;
mod patch;
mod root;
mod scrub;
mod survey;
#[cfg(test)]
mod tests;
mod write;

use crate::io::{LogIo, is_no_space};
use crate::log::LogPosition;
use root::PartRef;
use sluice_core::ids::PhysicalOffset;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

pub(crate) use again::{Readable, keep_aside, readable, readable_at, write_again};
pub(crate) use expected::Expected;
pub use load::{Loaded, Pick};
pub(crate) use scrub::CheckpointScrub;
pub use survey::CheckpointSurvey;
pub(crate) use survey::{chosen, load, load_some, root_path, stands, survey};
pub use write::WriteStats;

/// Bytes of one part.
pub const PART_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Parts of a checkpoint.
pub const PARTS_MAX: usize = 1 << 24;
/// Bytes of the caller's header.
pub const HEADER_BYTES_MAX: usize = 64 * 1024 * 1024;

const ROOT_SUFFIX: &str = ".root";
const TEMPORARY_SUFFIX: &str = ".root.tmp";
const DAMAGED_SUFFIX: &str = ".root.bad";
const PACK_SUFFIX: &str = ".pack";

/// A part's name: its kind and up to three ids. To this module they mean nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartKey {
    /// What kind of part it is.
    pub kind: u8,
    /// Which one.
    pub ids: [u32; 3],
}

/// Why a checkpoint could not be written or read.
#[derive(Debug, Error)]
pub enum CheckpointError {
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
    /// A sync failed, for whatever reason: what was written since the last one may be lost, and no later sync will say so.
    #[error("cannot sync {path}: {source}; what is on the disk is unknown, so the process must end")]
    Sync {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file of a checkpoint is damaged.
    #[error("{path} is damaged: wrong {what} at byte {offset}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, in bytes.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// No checkpoint can be used.
    #[error("{folder} has no whole checkpoint {wanted}: bring it back from a backup")]
    None {
        /// The folder.
        folder: PathBuf,
        /// Which were looked at.
        wanted: &'static str,
    },
    /// The disk fails to read one: it may be whole the next time, and older ones are needed too.
    #[error(
        "cannot read the checkpoint file {path}: {source}. Nothing was changed: try again; if the disk fails to read this file for good, move it away, and the start goes on from an older checkpoint if one does",
        path = path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// Checkpoints are damaged, and the log does not lead to where they stand.
    #[error(
        "the checkpoints in {folder} are damaged up to the one at {newest}, and the log does not lead there from {from}: {why}. Nothing was changed: bring the folder checkpoint back from a backup of this moment",
        folder = folder.display()
    )]
    Needed {
        /// The folder.
        folder: PathBuf,
        /// The newest that is damaged.
        newest: PhysicalOffset,
        /// The whole one before it, or the log's start.
        from: PhysicalOffset,
        /// What is in between.
        why: String,
    },
    /// What older checkpoints have written, and the new one would share, was taken away while the store runs.
    #[error(
        "{path} is gone or too short, and the next checkpoint would count on it: somebody has removed or cut it, and the next one is written from memory, whole",
        path = path.display()
    )]
    Gone {
        /// The pack.
        path: PathBuf,
    },
    /// A part is larger than a checkpoint takes.
    #[error("part {key:?} has {bytes} bytes, and {max} are the most")]
    TooLarge {
        /// The part.
        key: PartKey,
        /// Its bytes.
        bytes: usize,
        /// The most that is taken.
        max: usize,
    },
    /// Checkpoints follow the log.
    #[error("a checkpoint at {position} cannot follow the one at {newest}")]
    Backwards {
        /// The position asked for.
        position: PhysicalOffset,
        /// That of the newest checkpoint.
        newest: PhysicalOffset,
    },
    /// Queue tails could not be flushed.
    #[error(transparent)]
    Queue(#[from] crate::queue::QueueError),
    /// The index could not be flushed.
    #[error(transparent)]
    Index(#[from] crate::index::IndexError),
}

impl CheckpointError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn sync(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Sync { path, source }
    }

    /// Whether a file is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the disk is full, or too many files are open: then nothing is lost, and a later checkpoint makes up for this
    /// one. A failed sync is none, even if the system calls it so: what it was to make durable is lost already.
    pub fn is_full_disk(&self) -> bool {
        match self {
            Self::Io { source, .. } | Self::Unreadable { source, .. } => is_no_space(source),
            Self::Queue(error) => error.is_full_disk(),
            Self::Index(error) => error.is_full_disk(),
            Self::Sync { .. }
            | Self::Damaged { .. }
            | Self::None { .. }
            | Self::Needed { .. }
            | Self::Gone { .. }
            | Self::TooLarge { .. }
            | Self::Backwards { .. } => false,
        }
    }
}

#[derive(Debug)]
struct KnownRoot {
    position: LogPosition,
    /// The root's own length.
    bytes: u64,
    /// The packs, and up to where each is counted on.
    packs: BTreeMap<u64, u64>,
    header: Vec<u8>,
}

/// The checkpoints of a data directory. One thread writes them.
pub struct Checkpoints {
    io: Arc<dyn LogIo>,
    dir: PathBuf,
    /// The parts of the newest checkpoint.
    live: BTreeMap<PartKey, PartRef>,
    /// By rising position; the last one's name may not be durable yet.
    roots: Vec<KnownRoot>,
    /// One that stays, wherever it stands between the base and the newest.
    pinned: Option<u64>,
    /// Some were damaged when they were opened.
    found_damage: bool,
    /// The next one counts on nothing that is stored.
    shares_none: bool,
    /// Those that are not gone on from.
    beyond: load::Beyond,
    /// The log begins here, and the checkpoint there is lost: what is left of it stays.
    lost_base: Option<u64>,
    expected: Expected,
}

impl Checkpoints {
    /// No checkpoints yet: the caller writes the base first. `dir` is the `checkpoint` folder. Those that are there are
    /// removed, durably, for the files that they count on are going to be made again.
    pub fn create(io: Arc<dyn LogIo>, dir: &Path) -> Result<Self, CheckpointError> {
        let mut checkpoints = Self::look_at_nothing(io, dir)?;
        checkpoints.settle()?;
        Ok(checkpoints)
    }

    fn none(io: Arc<dyn LogIo>, dir: &Path) -> Self {
        Self {
            io,
            dir: dir.to_path_buf(),
            live: BTreeMap::new(),
            roots: Vec::new(),
            pinned: None,
            found_damage: false,
            shares_none: false,
            beyond: load::Beyond::default(),
            lost_base: None,
            expected: Expected::default(),
        }
    }

    /// The checkpoints that are kept, by rising position: the first is the base, the last the newest.
    pub fn kept(&self) -> impl Iterator<Item = LogPosition> + '_ {
        self.roots.iter().map(|root| root.position)
    }

    /// The kept ones with the callers' headers, by rising position.
    pub fn headers(&self) -> impl Iterator<Item = (LogPosition, &[u8])> {
        self.roots
            .iter()
            .map(|root| (root.position, root.header.as_slice()))
    }

    /// What reads their files, and where they are.
    pub(crate) fn files(&self) -> (Arc<dyn LogIo>, PathBuf) {
        (Arc::clone(&self.io), self.dir.clone())
    }

    /// The one at `position` stays from now on, until another is named: the log is going to begin there.
    pub fn pin(&mut self, position: PhysicalOffset) {
        self.pinned = Some(position.0);
    }

    /// Makes the newest one's name durable.
    pub fn sync_names(&self) -> Result<(), CheckpointError> {
        self.io
            .sync_dir(&self.dir)
            .map_err(CheckpointError::sync(&self.dir))
    }

    /// Makes every change of the caller's files durable.
    pub fn sync_files(&self) -> Result<(), CheckpointError> {
        self.io
            .sync_all_files(&self.dir)
            .map_err(CheckpointError::sync(&self.dir))
    }

    /// Removes those below `start`, where the log begins now: nothing can be replayed onto them.
    pub fn remove_below(&mut self, start: PhysicalOffset) -> Result<(), CheckpointError> {
        let is_gone = |root: &KnownRoot| root.position.physical < start;
        self.expect(|root| !is_gone(root));
        let gone = self.roots.iter().filter(|root| is_gone(root));
        for position in gone.map(|root| root.position.physical.0) {
            self.remove(&self.path(position, ROOT_SUFFIX))?;
        }
        self.roots.retain(|root| !is_gone(root));
        // What a lost base says is of no use to a log that begins later.
        self.lost_base = self.lost_base.filter(|base| *base >= start.0);
        self.sweep()
    }

    fn path(&self, position: u64, suffix: &str) -> PathBuf {
        self.dir.join(format!("{position:020}{suffix}"))
    }

    fn list(&self) -> Result<Vec<PathBuf>, CheckpointError> {
        self.io
            .list(&self.dir)
            .map_err(|source| CheckpointError::io("list", &self.dir, source))
    }

    /// Where roots stand, in rising order.
    fn positions(&self) -> Result<Vec<u64>, CheckpointError> {
        let names = self.list()?;
        let mut found: Vec<u64> = names
            .iter()
            .filter_map(|name| position_in(name, ROOT_SUFFIX))
            .collect();
        found.sort_unstable();
        Ok(found)
    }

    fn remove(&self, path: &Path) -> Result<(), CheckpointError> {
        self.io
            .remove(path)
            .map_err(|source| CheckpointError::io("remove", path, source))
    }
}

/// The position in a name with this suffix.
fn position_in(name: &Path, suffix: &str) -> Option<u64> {
    name.to_str()?.strip_suffix(suffix)?.parse().ok()
}
