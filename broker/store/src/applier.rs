//! The applier: committed frames, in order, into state, queues and index.
//!
//! A plain object: a thread is a loop around [`Applier::step`], and so is a simulator. What must hold:
//! - an entry is in its queue before state's tail moves past it, and state has changed before a caller is answered;
//! - a checkpoint's snapshot is taken between two frames, and always right before the first frame of a segment, in a
//!   replay too.

use crate::checkpointer::{CheckpointRequest, Requests, Trigger};
use crate::index::{IndexError, IndexStore};
use crate::log::{Committed, Frame, Waiting};
use crate::queue::{QueueError, QueueSpan, QueueStore};
use crate::stats::ApplyStats;
use sluice_core::command::Command;
use sluice_core::entry::QueueEntry;
use sluice_core::hash;
use sluice_core::ids::{GroupQueueId, PhysicalOffset, QueueId, QueueOffset, TimeMs, TopicId, TopicQueue};
use sluice_core::log::{Outcome, Results};
use sluice_core::record::{Record, property};
use sluice_core::state::{Changed, CommandAt, Done, Effects, LEVEL, Refused, State};
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Who wants to hear what apply did, on the applying thread: calls must be short and must not block.
pub trait Observer: Send {
    /// A queue has one more message.
    fn appended(&mut self, at: TopicQueue);
    /// From `when` on, messages of this queue may be ready for this group that were not before; `now` is state's time.
    fn ready(&mut self, id: GroupQueueId, when: TimeMs, now: TimeMs);
    /// A message of this message group is done in a FIFO group: what waits for the message group may go on.
    fn unlocked(&mut self, id: GroupQueueId, group_hash: u32);
    /// The group was moved in the queue: all that is fresh from its floor on is to be looked at again.
    fn moved(&mut self, id: GroupQueueId);
    /// A topic or group is not what it was.
    fn changed(&mut self, what: Changed);
    /// Everything committed so far is applied.
    fn round_applied(&mut self);
}

/// An observer that hears nothing.
#[derive(Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn appended(&mut self, _: TopicQueue) {}
    fn ready(&mut self, _: GroupQueueId, _: TimeMs, _: TimeMs) {}
    fn unlocked(&mut self, _: GroupQueueId, _: u32) {}
    fn moved(&mut self, _: GroupQueueId) {}
    fn changed(&mut self, _: Changed) {}
    fn round_applied(&mut self) {}
}

/// Why a log could not be replayed.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// Queue files could not be written.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Index files could not be written.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The log was written by a newer build.
    #[error("the log goes up to level {0}, and this build knows levels up to {LEVEL}: run a newer version")]
    Level(u32),
}

/// Entries, and index items, that a replay keeps in memory before it writes them out: a log replayed from its start has
/// any number.
const REPLAYED_ENTRIES_MAX: u64 = 1 << 19;

/// The level of the log from which on a run of the index ends where a segment does.
pub(crate) const SEGMENTS_INDEX_APART: u32 = 3;

/// Folds frames into state.
pub struct Applier {
    state: State,
    derived: Derived,
    trigger: Trigger,
    results: Results,
    stats: Arc<ApplyStats>,
    /// For how long the snapshot that waits has held apply up.
    held_up: Duration,
    #[cfg(feature = "planted-faults")]
    applies_twice: bool,
}

/// What apply's effects go to.
struct Derived {
    queues: QueueStore,
    index: IndexStore,
    observer: Box<dyn Observer>,
    ready: Vec<(GroupQueueId, TimeMs)>,
}

impl Effects for Derived {
    fn entry(&mut self, at: TopicQueue, offset: QueueOffset, entry: &QueueEntry) {
        self.queues.append(at, offset, *entry);
        self.observer.appended(at);
    }

    fn unlocked(&mut self, id: GroupQueueId, group_hash: u32) {
        self.observer.unlocked(id, group_hash);
    }

    fn ready(&mut self, id: GroupQueueId, when: TimeMs) {
        self.ready.push((id, when));
    }

    fn moved(&mut self, id: GroupQueueId) {
        self.observer.moved(id);
    }

    fn changed(&mut self, what: Changed) {
        if let Changed::TopicGone(topic) = what {
            self.queues.remove_topic(topic);
        }
        self.observer.changed(what);
    }

    fn carried(&mut self, at: TopicQueue, offset: QueueOffset, entry: &QueueEntry) {
        self.queues.carry(at, offset, *entry);
    }

    fn trimmed(&mut self, at: TopicQueue, first: QueueOffset) {
        self.queues.begin_at(at, first);
    }

    fn dropped(&mut self, at: TopicQueue, offset: QueueOffset) {
        self.queues.drop_carried(at, offset);
    }
}

impl Applier {
    /// An applier that goes on where `state` stands.
    pub fn new(
        state: State,
        queues: QueueStore,
        index: IndexStore,
        observer: Box<dyn Observer>,
        trigger: Trigger,
    ) -> Self {
        let derived = Derived {
            queues,
            index,
            observer,
            ready: Vec::new(),
        };
        let stats = Arc::<ApplyStats>::default();
        stats.applied(0, trigger.applied_to());
        Self {
            state,
            derived,
            trigger,
            held_up: Duration::ZERO,
            results: Results::new(),
            stats,
            #[cfg(feature = "planted-faults")]
            applies_twice: false,
        }
    }

    /// Applies every command twice: a fault that the proofs must notice.
    #[cfg(feature = "planted-faults")]
    pub fn apply_twice(&mut self) {
        self.applies_twice = true;
    }

    /// The state as far as it is applied.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What the applier counts.
    pub fn stats(&self) -> Arc<ApplyStats> {
        Arc::clone(&self.stats)
    }

    /// Applies a round of committed frames and answers those who wait.
    pub fn step(&mut self, committed: Committed) {
        let begun = Instant::now();
        for (frame, waiting) in committed.frames {
            self.apply(&frame);
            self.answer(waiting);
        }
        self.derived.observer.round_applied();
        self.stats.round_micros.observe_micros(begun.elapsed());
        self.checkpoint_if_due();
    }

    /// Applies one frame that stood in the log already; nobody waits for its answers. In memory alone: see [`Applier::must_write`].
    pub fn replay(&mut self, frame: &Frame) -> Result<(), ReplayError> {
        self.apply(frame);
        for answer in self.results.drain(..) {
            if let Err(Refused::Level { asked, .. }) = answer
                && asked > LEVEL
            {
                return Err(ReplayError::Level(asked));
            }
        }
        Ok(())
    }

    /// Whether a replay has put so much into memory that it must be written out.
    pub fn must_write(&self) -> bool {
        self.derived.queues.unflushed_entries() >= REPLAYED_ENTRIES_MAX
            || self.derived.index.items_in_memory() >= REPLAYED_ENTRIES_MAX
    }

    /// Writes out what a replay has put into memory, where that is much.
    pub fn write_replayed(&mut self) -> Result<(), ReplayError> {
        if self.derived.queues.unflushed_entries() >= REPLAYED_ENTRIES_MAX {
            self.derived.queues.flush_tails(&tails(&self.state))?;
            self.derived.queues.flush_removed()?;
        }
        if self.derived.index.items_in_memory() >= REPLAYED_ENTRIES_MAX {
            self.derived.index.flush(&self.derived.index.position())?;
            while self.derived.index.background_step()? {}
        }
        Ok(())
    }

    fn apply(&mut self, frame: &Frame) {
        if self.trigger.starts_segment(frame) {
            self.start_segment(frame);
        }
        for (place, physical, bytes) in frame.commands() {
            let at = CommandAt {
                index: frame.index(),
                place,
                physical,
            };
            let answer = self.state.apply(at, &bytes, &mut self.derived);
            if let Ok(Done::Appended(_) | Done::Carried(_)) = &answer {
                let now = self.state.now();
                index_command(&bytes, |key| self.derived.index.append(key, physical, now));
            }
            self.results.push(answer);
            #[cfg(feature = "planted-faults")]
            if self.applies_twice {
                let _ = self.state.apply(at, &bytes, &mut self.derived);
            }
        }
        let header = frame.header();
        self.state
            .end_frames(header.term, header.index, header.last_index());
        self.trigger.applied(frame);
        self.stats.applied(header.count.into(), frame.end());
        let now = self.state.now();
        for (id, when) in self.derived.ready.drain(..) {
            self.derived.observer.ready(id, when, now);
        }
    }

    fn start_segment(&mut self, frame: &Frame) {
        if self.state.level() >= SEGMENTS_INDEX_APART {
            self.derived.index.start_segment();
        }
        if self.trigger.is_behind() {
            self.request_checkpoint(frame.start());
        }
    }

    /// Hands `results` out to those who proposed the commands, in order.
    fn answer(&mut self, waiting: Vec<Waiting>) {
        let mut results = std::mem::take(&mut self.results).into_iter();
        for waiter in waiting {
            let of_waiter: Results = results.by_ref().take(waiter.commands).collect();
            debug_assert_eq!(of_waiter.len(), waiter.commands);
            (waiter.done)(Outcome::Applied(of_waiter));
        }
    }

    /// Hands on the snapshot that waits for the writer of checkpoints, if the writer is free. For when there is nothing to apply:
    /// the thread that it wakes may take the processor for milliseconds.
    pub fn hand_on(&mut self) {
        let begun = Instant::now();
        if self.trigger.hand_on() {
            let held_up = std::mem::take(&mut self.held_up) + begun.elapsed();
            self.stats.freeze_micros.observe_micros(held_up);
        }
    }

    /// Takes a snapshot if one is due.
    pub fn checkpoint_if_due(&mut self) {
        self.trigger.nudge(self.state.now());
        if self.trigger.is_due(self.derived.queues.unflushed_entries()) {
            self.request_checkpoint(self.trigger.applied_to());
        }
    }

    fn request_checkpoint(&mut self, physical: PhysicalOffset) {
        let begun = Instant::now();
        let request = self.snapshot(physical);
        self.trigger.request(request);
        self.held_up += begun.elapsed();
    }

    /// A checkpoint of everything applied so far, `physical` being where the next frame starts.
    pub fn snapshot(&mut self, physical: PhysicalOffset) -> CheckpointRequest {
        let is_whole = self.trigger.takes_all();
        self.snapshot_of(physical, is_whole)
    }

    fn snapshot_of(&mut self, physical: PhysicalOffset, is_whole: bool) -> CheckpointRequest {
        let mut state = self.state.snapshot();
        if is_whole {
            state.make_whole(self.state.all_views());
        }
        CheckpointRequest {
            physical,
            term: self.state.term(),
            state,
            index: self.derived.index.position(),
            bounds: self.state.tables().bounds(),
            is_whole,
        }
    }

    /// From now on snapshots for checkpoints go there.
    pub fn connect(&mut self, requests: Requests) {
        self.trigger.connect(requests);
        // Of a replay, which nobody waits for.
        self.held_up = Duration::ZERO;
    }

    /// Ends the way to the checkpoint thread; answers the snapshot that waits for the writer.
    pub fn disconnect(&mut self) -> Option<CheckpointRequest> {
        self.trigger.disconnect()
    }

    /// The last snapshot, if anything was applied since the one before, or if all of state is to be written.
    pub fn finish(mut self, is_whole: bool) -> Option<CheckpointRequest> {
        let at = self.trigger.applied_to();
        (is_whole || self.trigger.is_behind()).then(|| self.snapshot_of(at, is_whole))
    }
}

/// Where all queues begin and end.
pub(crate) fn spans(state: &State) -> Vec<QueueSpan> {
    let mut spans = Vec::new();
    for topic in state.tables().all_topics() {
        for queue in (0..topic.spec.queues).map(QueueId) {
            let at = TopicQueue {
                topic: topic.id,
                queue,
            };
            let bounds = topic.first(queue).zip(topic.tail(queue));
            spans.extend(bounds.map(|(first, end)| QueueSpan { at, first, end }));
        }
    }
    spans
}

/// The ends of all queues.
pub fn tails(state: &State) -> Vec<(TopicQueue, QueueOffset)> {
    let spans = spans(state).into_iter();
    spans.map(|span| (span.at, span.end)).collect()
}

/// Gives `add` the index keys of the message in a command that apply has accepted: its message id and its keys. A record
/// that is none has none.
pub(crate) fn index_command(command: &[u8], add: impl FnMut(u64)) {
    let (topic, record) = match Command::decode(command) {
        Ok((_, Command::Append(append))) => (append.at.topic, append.record),
        Ok((_, Command::Carry(carry))) => (carry.topic, carry.record),
        _ => return,
    };
    if let Ok(record) = Record::parse(record) {
        index_record(&record, topic, add);
    }
}

fn index_record(record: &Record<'_>, topic: TopicId, mut add: impl FnMut(u64)) {
    for (name, value) in record.properties() {
        match name {
            property::MESSAGE_ID => add(hash::message_id_key(value.as_bytes())),
            property::KEYS => {
                let keys = value.split(' ').filter(|key| !key.is_empty());
                keys.for_each(|key| add(hash::message_key(topic, key.as_bytes())));
            }
            _ => {}
        }
    }
}
