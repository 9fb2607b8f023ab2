//! When a checkpoint is due, and its snapshot's way to the thread that writes it.
//!
//! One is due after so much log or time, unless the writer is at work; and right before the first frame of each segment,
//! whatever the writer does: retention can only end where a checkpoint stands at a segment's start, and that moment
//! does not come again. Such a snapshot waits for the writer if it must. Where the next segment's start comes before the
//! writer is free, the older snapshot goes into the newer one, so that at most one waits.

use crate::index::IndexPosition;
use crate::log::{Frame, LocalLog};
use parking_lot::Mutex;
use sluice_core::command::encode_level;
use sluice_core::ids::{PhysicalOffset, Term, TimeMs};
use sluice_core::log::ReplicatedLog;
use sluice_core::state::{LogBounds, Snapshot};
use smallvec::smallvec;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

/// Queue entries that may wait in memory for a checkpoint before one is due: 40 MB of them.
const UNFLUSHED_ENTRIES_MAX: u64 = 1 << 20;

/// At most so often is a frame asked for: older checkpoints keep the damage, and each look at them finds it again.
const NUDGE_AGAIN: Duration = Duration::from_secs(3600);

/// A snapshot on its way to the disk: state, queues and index between the same two frames.
pub struct CheckpointRequest {
    /// Where the next frame starts.
    pub physical: PhysicalOffset,
    /// The term of the frame before.
    pub term: Term,
    /// State.
    pub state: Snapshot,
    /// How far the index is.
    pub index: IndexPosition,
    /// What the log holds, as state has it.
    pub bounds: LogBounds,
    /// Whether it has all of state, whatever has changed.
    pub is_whole: bool,
}

impl CheckpointRequest {
    /// Takes over what has changed in an older one, which will not be written.
    fn absorb(&mut self, older: Self) {
        debug_assert!(older.physical <= self.physical);
        self.is_whole |= older.is_whole;
        self.state.absorb(older.state);
    }
}

/// When a checkpoint is due.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointPolicy {
    /// After this many bytes of log.
    pub bytes: u64,
    /// After this long, if anything was applied.
    pub every: Duration,
}

/// Hands snapshots to the thread that writes them.
pub struct Requests {
    /// Which segments there are.
    pub log: LocalLog,
    /// The thread's queue.
    pub writer: SyncSender<CheckpointRequest>,
    /// Set here with each request, cleared by the thread when it is done.
    pub busy: Arc<AtomicBool>,
    /// Set when a part of a checkpoint was found damaged: checkpoints share what has not changed, so that the next one takes all of
    /// state, whatever has changed.
    pub anew: Arc<AtomicBool>,
}

impl Requests {
    fn are_idle(&self) -> bool {
        !self.busy.load(Ordering::Acquire)
    }

    fn send(&self, request: CheckpointRequest) {
        self.busy.store(true, Ordering::Release);
        if self.writer.send(request).is_err() {
            tracing::error!("the checkpoint thread has ended before the applier");
        }
    }
}

/// Says when a checkpoint is due.
pub struct Trigger {
    policy: Arc<Mutex<CheckpointPolicy>>,
    applied_to: PhysicalOffset,
    requested_at: PhysicalOffset,
    requested: Instant,
    /// Where segments start that a replay comes by, in rising order.
    replayed_starts: Vec<PhysicalOffset>,
    requests: Option<Requests>,
    waiting: Option<CheckpointRequest>,
    /// When a frame was asked for, that a checkpoint can stand behind.
    nudged: Option<Instant>,
}

impl Trigger {
    /// A trigger for a state that stands at `applied_to`, and for a replay of segments that start there. Until it is
    /// [connected](Self::connect) nothing is written.
    pub fn new(
        policy: CheckpointPolicy,
        applied_to: PhysicalOffset,
        replayed_starts: Vec<PhysicalOffset>,
    ) -> Self {
        Self {
            policy: Arc::new(Mutex::new(policy)),
            applied_to,
            requested_at: applied_to,
            requested: Instant::now(),
            replayed_starts,
            requests: None,
            waiting: None,
            nudged: None,
        }
    }

    /// From now on requests go there, beginning with what the replay has left.
    pub fn connect(&mut self, requests: Requests) {
        self.requests = Some(requests);
        self.hand_on();
    }

    /// The policy, to be changed from another thread: it holds from the next look on.
    pub(crate) fn policy(&self) -> Arc<Mutex<CheckpointPolicy>> {
        Arc::clone(&self.policy)
    }

    /// Where the next frame to apply starts.
    pub fn applied_to(&self) -> PhysicalOffset {
        self.applied_to
    }

    /// Whether anything was applied since the last request.
    pub fn is_behind(&self) -> bool {
        self.applied_to > self.requested_at
    }

    pub(crate) fn applied(&mut self, frame: &Frame) {
        self.applied_to = frame.end();
    }

    /// Asks the log for a command that changes nothing where a checkpoint is to be written anew and nothing else comes that it could
    /// stand behind: at its own place no checkpoint is written twice. `now` is state's time.
    pub(crate) fn nudge(&mut self, now: TimeMs) {
        let Some(requests) = &self.requests else { return };
        let is_due = requests.anew.load(Ordering::Acquire)
            && requests.are_idle()
            && self.waiting.is_none()
            && self.applied_to == self.requested_at
            && self.nudged.is_none_or(|nudged| nudged.elapsed() >= NUDGE_AGAIN);
        if is_due {
            self.nudged = Some(Instant::now());
            // No level follows itself.
            let command = encode_level(now, 0);
            requests.log.propose(smallvec![command], Box::new(drop));
        }
    }

    /// Whether a segment starts with this frame.
    pub(crate) fn starts_segment(&self, frame: &Frame) -> bool {
        match &self.requests {
            Some(requests) => requests.log.reader().starts_segment(frame.start()),
            None => self.replayed_starts.binary_search(&frame.start()).is_ok(),
        }
    }

    /// Whether a snapshot is due for any other reason. Never while the writer is at work: a snapshot that waits holds
    /// what it shares with state.
    pub(crate) fn is_due(&self, unflushed_entries: u64) -> bool {
        let may_be = self.is_behind()
            && self.waiting.is_none()
            && self.requests.as_ref().is_some_and(Requests::are_idle);
        may_be && {
            let policy = *self.policy.lock();
            let bytes = self.applied_to.0 - self.requested_at.0;
            bytes >= policy.bytes
                || unflushed_entries >= UNFLUSHED_ENTRIES_MAX
                || self.requested.elapsed() >= policy.every
        }
    }

    /// Whether the next snapshot is to have all of state. Says so once.
    pub(crate) fn takes_all(&self) -> bool {
        let of = |requests: &Requests| requests.anew.swap(false, Ordering::AcqRel);
        self.requests.as_ref().is_some_and(of)
    }

    /// Takes a snapshot, which waits until it is [handed on](Self::hand_on).
    pub(crate) fn request(&mut self, mut request: CheckpointRequest) {
        self.requested_at = request.physical;
        self.requested = Instant::now();
        // What waits goes by itself if it can: each start of a segment is to have a checkpoint.
        self.hand_on();
        if let Some(older) = self.waiting.take() {
            request.absorb(older);
        }
        self.waiting = Some(request);
    }

    /// Sends the snapshot that waits, if there is one and the writer is free; answers whether one was sent. It wakes the writer, which may
    /// take the caller's processor.
    pub(crate) fn hand_on(&mut self) -> bool {
        if let Some(requests) = self.requests.as_ref().filter(|requests| requests.are_idle())
            && let Some(request) = self.waiting.take()
        {
            requests.send(request);
            return true;
        }
        false
    }

    /// Ends the way to the writer; answers what still waits for it.
    pub(crate) fn disconnect(&mut self) -> Option<CheckpointRequest> {
        self.requests = None;
        self.waiting.take()
    }
}
