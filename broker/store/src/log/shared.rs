//! What the log thread, its helpers and all readers share.

use super::error::Fatal;
use super::frame::FrameSeed;
use super::given_up::GivenUps;
use super::inbox::Inbox;
use super::meta::Meta;
use super::op::Entry;
use super::options::SegmentLimits;
use super::recycle::Recycled;
use super::ring::Ring;
use super::segment::{Segment, Spare};
use super::{LogId, LogPosition};
use crate::io::LogIo;
use parking_lot::{Condvar, Mutex, RwLock};
use sluice_core::ids::{LogIndex, PhysicalOffset};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How far the log has come. Positions only rise, but for a truncation of what was not applied.
#[derive(Debug, Default)]
pub struct Positions {
    written: AtomicU64,
    durable: AtomicU64,
    committed: AtomicU64,
    applied: AtomicU64,
    failed: AtomicBool,
}

impl Positions {
    /// An opened log's, which goes on at `tail`.
    pub(super) fn new(tail: &LogPosition, applied: LogIndex) -> Self {
        Self {
            written: AtomicU64::new(tail.physical.0),
            durable: AtomicU64::new(tail.physical.0),
            committed: AtomicU64::new(applied.0),
            applied: AtomicU64::new(applied.0),
            failed: AtomicBool::new(false),
        }
    }

    /// Whether the log has failed: nothing more will become durable, and the process is about to end.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub(super) fn set_failed(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Every frame below is written.
    pub fn written(&self) -> PhysicalOffset {
        PhysicalOffset(self.written.load(Ordering::Acquire))
    }

    /// Every frame below is durable.
    pub fn durable(&self) -> PhysicalOffset {
        PhysicalOffset(self.durable.load(Ordering::Acquire))
    }

    /// The first index that may not be applied yet.
    pub fn committed(&self) -> LogIndex {
        LogIndex(self.committed.load(Ordering::Acquire))
    }

    /// The first index that is not applied yet.
    pub fn applied(&self) -> LogIndex {
        LogIndex(self.applied.load(Ordering::Acquire))
    }

    /// The applier has applied everything below `next`. What is applied is never truncated.
    pub fn set_applied(&self, next: LogIndex) {
        debug_assert!(next <= self.committed(), "applied {next} beyond committed");
        let before = self.applied.swap(next.0, Ordering::AcqRel);
        debug_assert!(before <= next.0, "applied falls from {before} to {next}");
    }

    pub(super) fn set_committed(&self, next: LogIndex) {
        self.committed.fetch_max(next.0, Ordering::AcqRel);
    }

    pub(super) fn set_written(&self, at: PhysicalOffset) {
        debug_assert!(self.durable() <= at);
        self.written.store(at.0, Ordering::Release);
    }

    pub(super) fn set_durable(&self, at: PhysicalOffset) {
        debug_assert!(at <= self.written(), "durable {at} beyond written");
        debug_assert!(self.durable() <= at, "durable falls to {at}");
        self.durable.store(at.0, Ordering::Release);
    }

    /// Both fall to `at`: what was behind it is taken back.
    pub(super) fn truncate(&self, at: PhysicalOffset) {
        debug_assert!(at <= self.durable());
        self.durable.store(at.0, Ordering::Release);
        self.written.store(at.0, Ordering::Release);
    }
}

/// A thread that waits for something to do, at most a given time.
#[derive(Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    wake: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        let mut rung = self.rung.lock();
        if !std::mem::replace(&mut *rung, true) {
            self.wake.notify_one();
        }
    }

    pub(super) fn wait(&self, at_most: std::time::Duration) {
        let mut rung = self.rung.lock();
        if !*rung {
            self.wake.wait_for(&mut rung, at_most);
        }
        *rung = false;
    }
}

pub(super) struct Shared {
    pub(super) io: Arc<dyn LogIo>,
    /// The folder of the segments.
    pub(super) log_dir: PathBuf,
    pub(super) seed: FrameSeed,
    pub(super) limits: SegmentLimits,
    pub(super) inbox: Inbox,
    /// How long messages may wait before the log.
    pub(super) inbox_wait: Option<Duration>,
    pub(super) positions: Arc<Positions>,
    pub(super) ring: Ring,
    /// The last place of which it was told that a damaged header was read as it was.
    pub(super) told_mended: AtomicU64,
    /// All segments by their base; the last one is active. Never empty.
    pub(super) segments: RwLock<Vec<Arc<Segment>>>,
    /// Bases of mapped segments, the least recently used first.
    pub(super) mapped: Mutex<VecDeque<PhysicalOffset>>,
    pub(super) mapped_max: usize,
    /// What was saved last.
    pub(super) meta: RwLock<Meta>,
    /// The last frame written, or the purge marker if that is later.
    pub(super) last: Mutex<Option<LogId>>,
    /// Raft entries that are accepted but not in the ring yet. An entry leaves only after its frame is in the ring, so
    /// whoever looks here first and there second misses none.
    pub(super) pending: Mutex<VecDeque<Arc<Entry>>>,
    /// The next segment's file, once it is prepared.
    pub(super) spare: Mutex<Option<Spare>>,
    /// Held by the helper while it gives a file the spare's name, and by the log thread from taking the spare until its file has
    /// the segment's name. Otherwise another file could get the name in between: the log would go on in one that no name leads
    /// to, and lose all that it acknowledges from then on with the next start.
    pub(super) spare_name: Mutex<()>,
    /// A file that is to become the next segment, once it is clean.
    pub(super) recycled: Mutex<Option<Arc<Recycled>>>,
    /// Files that have no name any more.
    pub(super) given_up: GivenUps,
    /// Calls for zero-filling.
    pub(super) prefill: Bell,
    /// Somebody else needs what space there is first.
    pub(super) holds_prefill: AtomicBool,
    /// Set by a helper whose sync failed: the log thread must acknowledge nothing more.
    pub(super) poison: Mutex<Option<Fatal>>,
}

impl Shared {
    /// Changes the list of segments.
    pub(super) fn change_segments<T>(&self, change: impl FnOnce(&mut Vec<Arc<Segment>>) -> T) -> T {
        change(&mut self.segments.write())
    }

    /// The segment that is written.
    pub(super) fn active(&self) -> Option<Arc<Segment>> {
        self.segments.read().last().cloned()
    }

    /// The segment that holds `offset`, if the log still does.
    pub(super) fn segment_of(&self, offset: PhysicalOffset) -> Option<Arc<Segment>> {
        let segments = self.segments.read();
        let after = segments.partition_point(|segment| segment.base() <= offset);
        segments.get(after.checked_sub(1)?).cloned()
    }

    /// The segment that holds the frame at `index`, if the log still does.
    pub(super) fn segment_of_index(&self, index: LogIndex) -> Option<Arc<Segment>> {
        let segments = self.segments.read();
        let after = segments.partition_point(|segment| segment.header.base_index <= index);
        segments.get(after.checked_sub(1)?).cloned()
    }

    /// Drops entries that were refused.
    pub(super) fn forget_pending(&self, refused: &[LogIndex]) {
        self.pending
            .lock()
            .retain(|entry| !refused.contains(&entry.index));
    }

    /// The first frame that is kept, and where the first kept segment starts.
    pub(super) fn first(&self) -> (LogIndex, PhysicalOffset) {
        let segments = self.segments.read();
        let (index, base) = segments
            .first()
            .map_or((LogIndex(0), PhysicalOffset(0)), |first| {
                (first.header.base_index, first.base())
            });
        let purged = self.meta.read().purged.map_or(0, |purged| purged.index.0 + 1);
        (index.max(LogIndex(purged)), base)
    }
}
