//! Opening a log: lock, meta, segments, replay, and the cut behind the last good frame.
//!
//! The first bad frame decides. At or behind the durable slot it is a write that a crash has torn or that was never
//! synced: the log ends there, and valid frames behind it prove nothing. Below the slot it is corruption, and nothing
//! is changed.

use super::LogId;
use super::LogPosition;
use super::ahead::Ahead;
use super::cut;
use super::error::{Fatal, LogError};
use super::files::{open_meta, open_segments, remove_segment, segment_files};
use super::frame::{Frame, FrameError, FrameHeader};
use super::given_up::GivenUps;
use super::inbox::{Inbox, Load};
use super::local::LocalLog;
use super::meta::{Meta, MetaStore};
use super::op::Sink;
use super::options::{LogOptions, SegmentLimits};
use super::prefill::Prefill;
use super::reader::LogReader;
use super::ring::Ring;
use super::segment::{DurableSlot, Segment};
use super::shared::{Bell, Positions, Shared};
use super::writer::LogWriter;
use crate::io::{DirLock, LOCK_FILE, LogIo};
use parking_lot::{Mutex, RwLock};
use sluice_core::ids::{LogIndex, PhysicalOffset, Term};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// What a replay's visitor may answer instead of going on.
pub type VisitError = Box<dyn std::error::Error + Send + Sync>;

/// What opening the log cut off: writes that nobody was told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where the log ends now.
    pub at: PhysicalOffset,
    /// Why the frame there is none.
    pub reason: String,
    /// Bytes behind the cut that were not zero.
    pub bytes: u64,
    /// Where the beginning of them was saved.
    pub saved: Option<PathBuf>,
}

/// What is no part of the log any more.
struct Leftovers {
    /// Files that were to become segments.
    prepared: Vec<PathBuf>,
    /// Segments before the log's start, and one that was never born.
    segments: Vec<PathBuf>,
}

/// A log whose directory is locked and whose segments are known, before its frames are read.
pub struct Opening {
    io: Arc<dyn LogIo>,
    options: LogOptions,
    limits: SegmentLimits,
    lock: Box<dyn DirLock>,
    meta: MetaStore,
    segments: Vec<Arc<Segment>>,
    durable: DurableSlot,
    leftovers: Leftovers,
}

impl Opening {
    /// Locks the directory, reads meta and every segment's first page; makes a new log where there is none. What is there is changed
    /// by a replay that has come to its end.
    pub fn begin(io: Arc<dyn LogIo>, options: LogOptions) -> Result<Self, LogError> {
        Self::begin_reaching(io, options, PhysicalOffset(0))
    }

    /// As [`Opening::begin`]; refuses a log that ends below `reaches`, where a checkpoint has its name and so was durable.
    pub fn begin_reaching(
        io: Arc<dyn LogIo>,
        options: LogOptions,
        reaches: PhysicalOffset,
    ) -> Result<Self, LogError> {
        let log_dir = options.dir.join("log");
        // For the lock alone: a start that is refused makes no folder in it.
        io.create_dir(&options.dir)
            .map_err(LogError::io("create the folder", &options.dir))?;
        let lock = lock(&*io, &options.dir)?;
        sync_names(&*io, &log_dir)?;
        let (files, prepared) = segment_files(io.as_ref(), &log_dir)?;
        let meta = open_meta(&io, &options, files.is_empty())?;
        let identity = &meta.meta().identity;
        let limits = SegmentLimits::of(identity.segment_bytes).ok_or_else(|| LogError::Mismatch {
            path: options.dir.clone(),
            reason: format!("segments of {} bytes are not supported", identity.segment_bytes),
        })?;
        let (segments, durable, gone) = open_segments(io.as_ref(), &log_dir, meta.meta(), files, reaches)?;
        Ok(Self {
            io,
            options,
            limits,
            lock,
            meta,
            segments,
            durable,
            leftovers: Leftovers {
                prepared,
                segments: gone,
            },
        })
    }

    /// What follows from the segments' size.
    pub fn limits(&self) -> SegmentLimits {
        self.limits
    }

    /// What the meta files say.
    pub fn meta(&self) -> &Meta {
        self.meta.meta()
    }

    /// Where the first kept frame stands: where a replay without a checkpoint begins.
    pub fn first(&self) -> LogPosition {
        let header = self.segments.first().map(|first| first.header);
        let (physical, index) = header.map_or((PhysicalOffset(0), LogIndex(0)), |header| {
            (header.base, header.base_index)
        });
        let before = |purged: &LogId| purged.index.0 + 1 == index.0;
        let term = self
            .meta()
            .purged
            .filter(before)
            .map_or(Term(0), |purged| purged.term);
        LogPosition {
            physical,
            index,
            term,
        }
    }

    /// Where the kept segments start, in order.
    pub fn segment_starts(&self) -> Vec<PhysicalOffset> {
        self.segments.iter().map(|segment| segment.base()).collect()
    }

    /// Everything below was durable when the log was last written.
    pub fn durable(&self) -> PhysicalOffset {
        self.durable.offset
    }

    /// Reads and checks every frame from `start` on (a checkpoint's position, or [`Self::first`]) and gives it to `visit`; then
    /// cuts off what is torn, so that the log can go on. `start` must lie between two frames.
    pub fn replay(
        mut self,
        start: LogPosition,
        mut visit: impl FnMut(&Frame) -> Result<(), VisitError>,
    ) -> Result<Opened, LogError> {
        let mut tail = start;
        let ahead = self.ahead();
        let first = ahead.first_to_scan(start)?;
        let mut end = None;
        for at in first..self.segments.len() {
            let next = self.segments.get(at + 1).map(Arc::as_ref);
            let segment = &self.segments[at];
            let mut sparse = segment.sparse.lock();
            sparse.complete = tail.physical == segment.base();
            let visit = &mut |frame: &Frame| {
                let FrameHeader { index, physical, .. } = *frame.header();
                segment.tell_mended(frame);
                visit(frame).map_err(|source| LogError::Replay { index, source })?;
                sparse.note(index, physical);
                Ok(())
            };
            match ahead.follow(segment, next, &mut tail, visit)? {
                None => segment.seal(tail.physical),
                Some(bad) => {
                    ahead.refuse_below_durable(segment, tail.physical, &bad)?;
                    end = Some((at, bad));
                    break;
                }
            }
        }
        if tail == start {
            ahead.check_start(&self.segments[first], start)?;
        }
        drop(ahead);
        // Nothing stops the start any more, as far as the log goes.
        self.remove_leftovers()?;
        let (at, bad) = end.unwrap_or((self.segments.len() - 1, FrameError::Empty));
        self.durable.offset = self.durable.offset.min(tail.physical);
        let cut = self.cut_behind(at, tail.physical, &bad)?;
        super::sparse_file::drop_torn(&*self.io, &self.segments);
        Ok(Opened {
            opening: self,
            tail,
            cut,
        })
    }

    /// What a replay will meet.
    pub(crate) fn ahead(&self) -> Ahead {
        Ahead {
            log_dir: self.options.dir.join("log"),
            segments: self.segments.clone(),
            durable: self.durable,
            frame_bytes: self.limits.frame_bytes(),
        }
    }

    /// Removes what earlier runs have left that is no part of the log any more.
    fn remove_leftovers(&mut self) -> Result<(), LogError> {
        let log_dir = self.options.dir.join("log");
        for prepared in std::mem::take(&mut self.leftovers.prepared) {
            let removed = self.io.remove(&prepared);
            removed.map_err(LogError::io("remove", &prepared))?;
        }
        let segments = std::mem::take(&mut self.leftovers.segments);
        segments
            .iter()
            .try_for_each(|path| remove_segment(self.io.as_ref(), &log_dir, path))
    }

    /// The log ends at `at`, in the segment `in_segment`: makes sure that nothing stands behind.
    fn cut_behind(
        &mut self,
        in_segment: usize,
        at: PhysicalOffset,
        bad: &FrameError,
    ) -> Result<Option<Cut>, LogError> {
        let log_dir = self.options.dir.join("log");
        if self.segments.len() > in_segment + 1 {
            super::sparse_file::reopen(self.io.as_ref(), &log_dir, self.segments[in_segment..].iter())?;
        }
        while self.segments.len() > in_segment + 1 {
            if let Some(unsynced) = self.segments.pop() {
                tracing::warn!(file = %unsynced.path.display(), "removing a segment behind the log's end");
                remove_segment(self.io.as_ref(), &log_dir, &unsynced.path)?;
            }
        }
        let active = self.segments[in_segment].clone();
        let cut = cut::clean(self.io.as_ref(), &active, at, bad)?;
        // What a killed process has written may still be in the cache alone.
        active.sync()?;
        let slot = DurableSlot {
            offset: at,
            generation: self.durable.generation + 1,
        };
        active
            .write_slot(slot)
            .map_err(LogError::io("write the durable slot of", &active.path))?;
        active.sync()?;
        self.durable = slot;
        Ok(cut)
    }
}

/// Keeps other processes out of the folder.
fn lock(io: &dyn LogIo, dir: &Path) -> Result<Box<dyn DirLock>, LogError> {
    io.lock(dir).map_err(|source| {
        if source.kind() != ErrorKind::WouldBlock {
            return LogError::io("lock", &dir.join(LOCK_FILE))(source);
        }
        let by = source.get_ref().map(ToString::to_string);
        LogError::Locked {
            dir: dir.to_owned(),
            by: by.unwrap_or_else(|| "which the system does not name".to_owned()),
        }
    })
}

/// Makes the names durable that are about to be relied on, if the folder is there; from here on it is open for syncs.
fn sync_names(io: &dyn LogIo, log_dir: &Path) -> Result<(), LogError> {
    match io.sync_dir(log_dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // It was not opened, and so nothing is known to be lost.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(LogError::io("open the folder", log_dir)(error))
        }
        synced => Ok(synced.map_err(Fatal::new("sync the folder", log_dir))?),
    }
}

/// A log that has been replayed and can go on.
pub struct Opened {
    opening: Opening,
    tail: LogPosition,
    cut: Option<Cut>,
}

/// The log's parts, not running yet: see [`super::spawn`].
pub struct Parts {
    /// The log as its users see it.
    pub log: LocalLog,
    /// The log thread's object.
    pub writer: LogWriter,
    /// Its helper.
    pub prefill: Prefill,
    /// Keeps other processes out of the data directory until it is dropped.
    pub lock: Box<dyn DirLock>,
}

impl Opened {
    /// Where the log goes on.
    pub fn tail(&self) -> LogPosition {
        self.tail
    }

    /// What was cut off, if anything was.
    pub fn cut(&self) -> Option<&Cut> {
        self.cut.as_ref()
    }

    /// What the meta files say.
    pub fn meta(&self) -> &Meta {
        self.opening.meta()
    }

    /// Puts the log together. `applied` is the first index that is not applied: on a single node [`Self::tail`]'s, for every
    /// frame of its log is committed; with raft what the state machine says.
    pub fn start(self, applied: LogIndex, sink: impl Sink + 'static) -> Parts {
        let Opening {
            io,
            options,
            limits,
            lock,
            meta,
            segments,
            durable,
            ..
        } = self.opening;
        let inbox = Inbox::new(
            limits,
            Load {
                bytes: options.inbox_bytes,
                commands: options.inbox_commands,
            },
        );
        let first = segments
            .first()
            .map_or(LogIndex(0), |first| first.header.base_index);
        let mut tail = self.tail;
        let last = (tail.index > first)
            .then(|| LogId {
                term: tail.term,
                index: LogIndex(tail.index.0 - 1),
            })
            .max(meta.meta().purged);
        tail.term = tail.term.max(last.map_or(Term(0), |last| last.term));
        let active = segments[segments.len() - 1].clone();
        let shared = Arc::new(Shared {
            io,
            log_dir: options.dir.join("log"),
            seed: meta.meta().identity.uuid.into(),
            limits,
            inbox,
            inbox_wait: options.inbox_wait,
            positions: Arc::new(Positions::new(&tail, applied)),
            ring: Ring::new(options.ring_bytes),
            told_mended: AtomicU64::new(u64::MAX),
            segments: RwLock::new(segments),
            mapped: Mutex::new(VecDeque::new()),
            mapped_max: options.mapped_segments.max(1),
            meta: RwLock::new(meta.meta().clone()),
            last: Mutex::new(last),
            pending: Mutex::new(VecDeque::new()),
            spare: Mutex::new(None),
            spare_name: Mutex::new(()),
            recycled: Mutex::new(None),
            given_up: GivenUps::default(),
            prefill: Bell::default(),
            holds_prefill: AtomicBool::new(false),
            poison: Mutex::new(None),
        });
        let reader = LogReader::new(shared.clone());
        let log = LocalLog::new(shared.clone(), reader);
        let writer = LogWriter::new(
            shared.clone(),
            meta,
            active,
            tail,
            durable.generation,
            options.flush,
            Box::new(sink),
        );
        Parts {
            log,
            writer,
            prefill: Prefill::new(shared),
            lock,
        }
    }
}
