//! Opening a log: lock, meta, segments, replay, and the cut behind the last good frame.
//!
//! The first bad frame decides. At or behind the durable slot it is a write that a crash has torn or that was never
//! synced: the log ends there, and valid frames behind it prove nothing. Below the slot it is corruption, and nothing
//! is changed.

use super::LogId;
use super::LogPosition;
use super::cut;
use super::error::{Fatal, LogError};
use super::files::{open_meta, open_segments, remove_segment, segment_files};
use super::frame::{Frame, FrameError};
use super::inbox::{Inbox, Load};
use super::local::LocalLog;
use super::meta::{Meta, MetaStore};
use super::op::Sink;
use super::options::{LogOptions, SegmentLimits};
use super::prefill::Prefill;
use super::present;
use super::reader::LogReader;
use super::ring::Ring;
use super::scan::{Found, Scanner};
use super::segment::{DurableSlot, Segment};
use super::shared::{Bell, Positions, Shared};
use super::writer::LogWriter;
use crate::io::{DirLock, LogIo};
use parking_lot::{Mutex, RwLock};
use sluice_core::ids::{LogIndex, PhysicalOffset, Term};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Read at a time during replay.
const PIECE: usize = 4 << 20;

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

/// A log whose directory is locked and whose segments are known, before its frames are read.
pub struct Opening {
    io: Arc<dyn LogIo>,
    options: LogOptions,
    limits: SegmentLimits,
    lock: Box<dyn DirLock>,
    meta: MetaStore,
    segments: Vec<Arc<Segment>>,
    durable: DurableSlot,
}

impl Opening {
    /// Locks the directory, reads meta and every segment's first page; makes a new log where there is none.
    pub fn begin(io: Arc<dyn LogIo>, options: LogOptions) -> Result<Self, LogError> {
        let log_dir = options.dir.join("log");
        io.create_dir(&log_dir)
            .map_err(LogError::io("create the folder", &log_dir))?;
        let lock = match io.lock(&options.dir) {
            Ok(lock) => lock,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(LogError::Locked {
                    dir: options.dir.clone(),
                    by: error.get_ref().map_or_else(
                        || "which the system does not name".to_owned(),
                        ToString::to_string,
                    ),
                });
            }
            Err(source) => {
                return Err(LogError::Io {
                    doing: "lock",
                    path: options.dir.clone(),
                    source,
                });
            }
        };
        // Makes the names durable that are about to be relied on; and from here on the folder is open for syncs.
        io.sync_dir(&log_dir)
            .map_err(Fatal::new("sync the folder", &log_dir))?;
        let files = segment_files(io.as_ref(), &log_dir)?;
        let meta = open_meta(&io, &options, files.is_empty())?;
        let identity = &meta.meta().identity;
        let limits = SegmentLimits::of(identity.segment_bytes).ok_or_else(|| LogError::Mismatch {
            path: options.dir.clone(),
            reason: format!("segments of {} bytes are not supported", identity.segment_bytes),
        })?;
        let (segments, durable) = open_segments(io.as_ref(), &log_dir, meta.meta(), files)?;
        Ok(Self {
            io,
            options,
            limits,
            lock,
            meta,
            segments,
            durable,
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

    /// Refuses a log that ends below `at`, where a checkpoint has its name and so was durable. Changes nothing, and is to be
    /// asked before anything changes.
    pub fn check_checkpoint(&self, at: PhysicalOffset) -> Result<(), LogError> {
        present::check_checkpoint(&self.segments, at)
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
        let first = self.first_to_scan(start)?;
        let mut end = None;
        for at in first..self.segments.len() {
            let next = self.segments.get(at + 1).cloned();
            let segment = self.segments[at].clone();
            let bad = self.scan(&segment, next.as_deref(), &mut tail, &mut visit)?;
            if let Some(bad) = bad {
                self.refuse_below_durable(&segment, tail.physical, &bad)?;
                end = Some((at, bad));
                break;
            }
        }
        if tail == start {
            self.check_start(&self.segments[first], start)?;
        }
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

    /// The segment that `start` lies in.
    fn first_to_scan(&self, start: LogPosition) -> Result<usize, LogError> {
        let after = self
            .segments
            .partition_point(|segment| segment.base() <= start.physical);
        let beyond = self
            .segments
            .last()
            .is_none_or(|last| start.physical > last.limit());
        match after.checked_sub(1) {
            Some(at) if !beyond => Ok(at),
            _ => Err(LogError::Mismatch {
                path: self.options.dir.join("log"),
                reason: format!("the log does not hold {start}, where the newest checkpoint stands"),
            }),
        }
    }

    /// With no frame at `start`, makes sure that one ends there: going on behind the log's end would leave a hole, and the next
    /// start would cut off what follows it. The durable slot is a place between frames.
    fn check_start(&self, segment: &Segment, start: LogPosition) -> Result<(), LogError> {
        let from = self.durable.offset.max(segment.base());
        let seed = segment.header.uuid.into();
        let mut scanner = Scanner::new(segment, seed, self.limits.frame_bytes(), from, PIECE);
        while scanner.at() < start.physical {
            let found = scanner.next().map_err(LogError::io("read", &segment.path))?;
            if let Found::Bad(_) = found {
                break;
            }
        }
        if scanner.at() < start.physical {
            let reason = format!(
                "the log ends at offset {}, below the newest checkpoint at {start}",
                scanner.at()
            );
            return Err(LogError::Mismatch {
                path: segment.path.clone(),
                reason,
            });
        }
        Ok(())
    }

    /// Replays one segment. `Some` is the bad frame at `tail`, `None` the end of a sealed segment.
    fn scan(
        &self,
        segment: &Arc<Segment>,
        next: Option<&Segment>,
        tail: &mut LogPosition,
        visit: &mut impl FnMut(&Frame) -> Result<(), VisitError>,
    ) -> Result<Option<FrameError>, LogError> {
        // What an earlier failed sync has left in the cache is not what is on the disk.
        segment
            .file
            .drop_cache(0, 0)
            .map_err(LogError::io("drop the cache of", &segment.path))?;
        let at_start = tail.physical == segment.base();
        if at_start && tail.index != segment.header.base_index {
            let reason = format!(
                "it begins with index {}, not {}",
                segment.header.base_index, tail.index
            );
            return Err(LogError::Corruption {
                file: segment.path.clone(),
                offset: 0,
                reason,
            });
        }
        let seed = segment.header.uuid.into();
        let mut scanner = Scanner::new(segment, seed, self.limits.frame_bytes(), tail.physical, PIECE);
        let mut sparse = segment.sparse.lock();
        sparse.complete = at_start;
        loop {
            if let Some(next) = next
                && tail.physical == next.base()
            {
                segment.seal(tail.physical);
                return Ok(None);
            }
            let found = scanner.next().map_err(LogError::io("read", &segment.path))?;
            let frame = match found {
                Found::Frame(frame) => frame,
                Found::Bad(error) => return Ok(Some(error)),
            };
            if let Err(error) = frame.check_commands().and_then(|()| frame.check_state()) {
                return Ok(Some(error));
            }
            let header = frame.header();
            if header.index != tail.index || header.term < tail.term {
                return Ok(Some(FrameError::Shape(
                    "it does not continue the frame before it",
                )));
            }
            visit(&frame).map_err(|source| LogError::Replay {
                index: header.index,
                source,
            })?;
            sparse.note(header.index, header.physical);
            *tail = LogPosition {
                physical: frame.end(),
                index: header.next_index(),
                term: header.term,
            };
        }
    }

    fn refuse_below_durable(
        &self,
        segment: &Segment,
        at: PhysicalOffset,
        bad: &FrameError,
    ) -> Result<(), LogError> {
        if at >= self.durable.offset {
            return Ok(());
        }
        let reason = format!(
            "the frame that begins there: {bad}, but the log was durable up to offset {}",
            self.durable.offset
        );
        Err(LogError::Corruption {
            file: segment.path.clone(),
            offset: segment.file_offset(at),
            reason,
        })
    }

    /// The log ends at `at`, in the segment `in_segment`: makes sure that nothing stands behind.
    fn cut_behind(
        &mut self,
        in_segment: usize,
        at: PhysicalOffset,
        bad: &FrameError,
    ) -> Result<Option<Cut>, LogError> {
        let log_dir = self.options.dir.join("log");
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
            segments: RwLock::new(segments),
            mapped: Mutex::new(VecDeque::new()),
            mapped_max: options.mapped_segments.max(1),
            meta: RwLock::new(meta.meta().clone()),
            last: Mutex::new(last),
            pending: Mutex::new(VecDeque::new()),
            spare: Mutex::new(None),
            spare_name: Mutex::new(()),
            recycled: Mutex::new(None),
            removed: Mutex::new(Vec::new()),
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
