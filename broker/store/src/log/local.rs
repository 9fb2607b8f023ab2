//! The log as its users see it: proposals of a single node, and the operations that raft asks of its log.

use super::LogId;
use super::blame::Refusal;
use super::error::{LogError, ReadError};
use super::meta::Vote;
use super::op::{Control, Entry, Flushed, Op};
use super::prefill;
use super::reader::LogReader;
use super::shared::{Positions, Shared};
use crate::stats::LogStats;
use sluice_core::command;
use sluice_core::ids::{LogIndex, PhysicalOffset};
use sluice_core::limits::BATCH_COMMANDS_MAX;
use sluice_core::log::{Batch, Completion, ReplicatedLog};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A log on this node's disk; clones share it. Everything it is asked for is done in the order in which it was asked.
#[derive(Clone)]
pub struct LocalLog {
    shared: Arc<Shared>,
    reader: LogReader,
}

/// Keeps the log from taking space ahead.
pub(crate) struct Held(Arc<Shared>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.holds_prefill.store(false, Ordering::Release);
    }
}

impl ReplicatedLog for LocalLog {
    fn propose(&self, batch: Batch, done: Completion) {
        self.shared.inbox.propose(batch, done);
    }
}

impl LocalLog {
    pub(super) fn new(shared: Arc<Shared>, reader: LogReader) -> Self {
        Self { shared, reader }
    }

    /// Reads records and frames.
    pub fn reader(&self) -> LogReader {
        self.reader.clone()
    }

    /// How far the log has come.
    pub fn positions(&self) -> &Arc<Positions> {
        &self.shared.positions
    }

    /// What the log counts.
    pub fn stats(&self) -> &LogStats {
        self.shared.inbox.stats()
    }

    /// Commands and bytes of proposals that wait for the log, each with its bound.
    pub fn queued(&self) -> [(usize, usize); 2] {
        let (queued, bound) = self.shared.inbox.depth();
        [(queued.commands, bound.commands), (queued.bytes, bound.bytes)]
    }

    /// Whether the disk has no room but the reserve, which messages may not use.
    pub fn is_full(&self) -> bool {
        self.shared.inbox.space().is_full()
    }

    /// Bytes of records that retention may write again now: on a disk that gives nothing only what leaves half of the reserve.
    pub fn carry_max(&self) -> u64 {
        prefill::carry_max(&self.shared)
    }

    /// As long as the answer lives the log takes no space ahead of what it writes.
    pub(crate) fn hold_prefill(&self) -> Held {
        self.shared.holds_prefill.store(true, Ordering::Release);
        Held(Arc::clone(&self.shared))
    }

    /// The shard's folder.
    pub(crate) fn folder(&self) -> &Path {
        self.shared.log_dir.parent().unwrap_or(&self.shared.log_dir)
    }

    /// Bytes of frames that one segment holds.
    pub(crate) fn segment_capacity(&self) -> u64 {
        self.shared.limits.capacity
    }

    /// Why messages are refused; `None` while they are taken. It is not asked of the disk, but what the disk said last.
    pub fn refusal(&self) -> Option<Refusal> {
        self.shared.inbox.refusal()
    }

    /// Refuses messages from now on, or takes them again: for whoever watches how full the disk is. A disk that is full in
    /// earnest refuses them in any case.
    pub fn set_nearly_full(&self, nearly_full: bool) {
        self.shared.inbox.set_nearly_full(nearly_full);
    }

    /// How many segments there are.
    pub fn segments(&self) -> usize {
        self.shared.segments.read().len()
    }

    /// Takes no more proposals; what is queued is still written.
    pub fn close(&self) {
        self.shared.inbox.close();
    }

    /// Appends entries that raft has decided on. They can be [read](Self::read) when this returns; `done` is called once when all of
    /// them are durable, or with why they are not in the log. They are committed by raft, not handed to the sink.
    pub fn append_frames(&self, entries: Vec<Entry>, done: Flushed) {
        if let Err(error) = entries.iter().try_for_each(|entry| self.check(entry)) {
            return done(Err(error));
        }
        let count = entries.len();
        if count == 0 {
            return done(Ok(()));
        }
        let mut done = Some(done);
        for (at, entry) in entries.into_iter().enumerate() {
            let entry = Arc::new(entry);
            let done = if at + 1 == count { done.take() } else { None };
            // Readable before it is queued, so that it is never in neither place.
            self.shared.pending.lock().push_back(entry.clone());
            if let Err(Op::Append { entry, done }) = self.shared.inbox.push(Op::Append { entry, done }) {
                self.shared.forget_pending(&[entry.index]);
                if let Some(done) = done {
                    done(Err(LogError::Stopped));
                }
            }
        }
    }

    fn check(&self, entry: &Entry) -> Result<(), LogError> {
        let refuse = |reason: String| {
            let (file, offset) = (PathBuf::from("an entry from another node"), 0);
            LogError::Corruption { file, offset, reason }
        };
        let max = self.shared.limits.entry_bytes();
        if entry.bytes() > max || entry.commands.len() > BATCH_COMMANDS_MAX {
            return Err(refuse(format!(
                "entry {} is larger than a frame may be",
                entry.index
            )));
        }
        let broken = entry
            .commands
            .iter()
            .find_map(|bytes| command::check(bytes).err());
        broken.map_or(Ok(()), |error| {
            Err(refuse(format!("entry {}: {error}", entry.index)))
        })
    }

    /// The entries from `from` up to but without `to` that the log holds, also those that are not durable yet; no more than
    /// `max_bytes` of them, but at least one. What was purged and what is not appended yet is left out.
    pub fn read(&self, from: LogIndex, to: LogIndex, max_bytes: usize) -> Result<Vec<Entry>, ReadError> {
        let from = from.max(self.reader.first_index());
        // First here, then there: see `Shared::pending`.
        let pending: Vec<Arc<Entry>> = {
            let pending = self.shared.pending.lock();
            pending
                .iter()
                .filter(|entry| (from..to).contains(&entry.index))
                .cloned()
                .collect()
        };
        let stored_to = pending.first().map_or(to, |first| first.index);
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut next = from;
        while next < stored_to && (entries.is_empty() || bytes < max_bytes) {
            let frames = self
                .reader
                .read_frames(next, stored_to, max_bytes - bytes.min(max_bytes))?;
            let Some(last) = frames.last() else { break };
            next = last.header().next_index();
            bytes += frames.iter().map(|frame| frame.bytes().len()).sum::<usize>();
            entries.extend(frames.iter().map(Entry::from));
        }
        if next < stored_to && !entries.is_empty() {
            return Ok(entries);
        }
        for entry in pending {
            if !entries.is_empty() && bytes + entry.bytes() > max_bytes {
                break;
            }
            bytes += entry.bytes();
            entries.push(Entry::clone(&entry));
        }
        Ok(entries)
    }

    /// Takes back every entry from `from` on; refused if one of them is applied.
    pub fn truncate_from(&self, from: LogIndex, done: Flushed) {
        self.control(Control::Truncate(from), done);
    }

    /// Forgets every entry up to `upto`. The caller has a checkpoint at or behind it, and calls [`LocalLog::free_removed`] when that
    /// is done.
    pub fn purge_to(&self, upto: LogId, done: Flushed) {
        self.control(Control::Purge(upto), done);
    }

    /// Has the space of files that purges have removed go back to the disk, and gives back what their maps take in memory. Blocks
    /// while the system does the latter.
    pub fn free_removed(&self) {
        self.shared.given_up.free();
        self.shared.prefill.ring();
    }

    /// Bytes of files without a name that the disk does not have back yet.
    pub fn leaving_bytes(&self) -> u64 {
        self.shared.given_up.bytes()
    }

    /// Saves a vote, after every append before it.
    pub fn save_vote(&self, vote: Vote, done: Flushed) {
        self.control(Control::Vote(vote), done);
    }

    fn control(&self, control: Control, done: Flushed) {
        if let Err(Op::Control { done, .. }) = self.shared.inbox.push(Op::Control { control, done }) {
            done(Err(LogError::Stopped));
        }
    }

    /// The vote saved last.
    pub fn read_vote(&self) -> Option<Vote> {
        self.shared.meta.read().vote
    }

    /// The last entry, durable or not; the last purged one if there is none behind it; `None` for a log that never had one.
    pub fn last(&self) -> Option<LogId> {
        let pending = self.shared.pending.lock().back().map(|entry| entry.id());
        pending.or_else(|| self.reader.last())
    }

    /// The last entry purged.
    pub fn purged(&self) -> Option<LogId> {
        self.reader.purged()
    }

    /// Raft has committed everything below `next`: the applier may apply it.
    pub fn set_committed(&self, next: LogIndex) {
        self.shared.positions.set_committed(next);
    }

    /// The largest command, and the largest batch of one proposer, in bytes.
    pub fn command_bytes_max(&self) -> usize {
        self.shared.limits.command_bytes
    }

    /// Where the first kept segment starts.
    pub fn start(&self) -> PhysicalOffset {
        self.shared.first().1
    }
}
