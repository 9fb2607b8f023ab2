//! Putting single entries back into queue files, where these cannot be made again as a whole.

use super::files::{FileKey, Files};
use super::left::Left;
use super::restore::needed;
use super::{FILE_ENTRIES, QueueError, QueueSpan, stored};
use crate::io::{LogIo, read_exact_at, read_exact_twice};
use sluice_core::entry::{ENTRY_BYTES, QueueEntry};
use sluice_core::ids::{QueueOffset, TimeMs, TopicQueue};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// Entries read at a time.
const PIECE_ENTRIES: u64 = 6554;

/// Queue files, and the entries that they lack.
pub(crate) struct Mending {
    files: Files,
    /// By queue, the first offset of each span that is wanted, and its end.
    wanted: HashMap<TopicQueue, BTreeMap<u64, u64>>,
    /// Entries that are lacking yet.
    pub(crate) left: u64,
    /// A start was to make the files again in any case.
    was_noted: bool,
}

impl Mending {
    /// Reads all that the spans need of the files in `dir`. From now on, until [`Mending::finish`], a start makes them again.
    pub(crate) fn begin(io: &Arc<dyn LogIo>, dir: &Path, spans: &[QueueSpan]) -> Result<Self, QueueError> {
        io.create_dir(dir)
            .map_err(|source| QueueError::io("create", dir, source))?;
        let mut mending = Self {
            files: Files::new(Arc::clone(io), dir),
            wanted: HashMap::new(),
            left: 0,
            was_noted: false,
        };
        let firsts: HashMap<TopicQueue, u64> = spans.iter().map(|span| (span.at, span.first.0)).collect();
        for (key, bytes) in needed(spans) {
            let first = firsts.get(&key.at).copied().unwrap_or(0).max(key.first);
            mending.look(key, first, key.first + bytes / ENTRY_BYTES as u64)?;
        }
        let note = mending.files.rebuild_note();
        match io.create(&note) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => mending.was_noted = true,
            created => drop(created.map_err(|source| QueueError::io("create", &note, source))?),
        }
        io.sync_dir(dir)
            .map_err(|source| QueueError::io("sync", dir, source))?;
        Ok(mending)
    }

    /// Notes which entries of a file, from `from` to `to`, are not there whole.
    fn look(&mut self, key: FileKey, from: u64, to: u64) -> Result<(), QueueError> {
        let path = self.files.path(key);
        let failed = |source| QueueError::unread(&path, source);
        let file = match self.files.io.open_read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.want(key.at, from, to);
                return Ok(());
            }
            file => file.map_err(failed)?,
        };
        let there = key.first + file.len().map_err(failed)? / ENTRY_BYTES as u64;
        let mut at = from;
        while at < to.min(there) {
            let some = PIECE_ENTRIES.min(to.min(there) - at);
            let mut piece = vec![0; some as usize * ENTRY_BYTES];
            read_exact_twice(&*file, &mut piece, (at - key.first) * ENTRY_BYTES as u64).map_err(failed)?;
            for (offset, entry) in (at..).zip(piece.chunks(ENTRY_BYTES)) {
                if stored::decode(key.at, offset, entry).is_none() {
                    self.want(key.at, offset, offset + 1);
                }
            }
            at += some;
        }
        self.want(key.at, at, to);
        Ok(())
    }

    /// Files come by rising offset.
    fn want(&mut self, at: TopicQueue, from: u64, to: u64) {
        if from >= to {
            return;
        }
        self.left += to - from;
        let spans = self.wanted.entry(at).or_default();
        match spans.last_entry() {
            Some(mut last) if *last.get() == from => *last.get_mut() = to,
            _ => drop(spans.insert(from, to)),
        }
    }

    /// What is wanted of a queue from `from` to `to`.
    fn wanted(&self, at: TopicQueue, from: u64, to: u64) -> Vec<(u64, u64)> {
        let Some(spans) = self.wanted.get(&at) else {
            return Vec::new();
        };
        let before = spans.range(..from).next_back();
        let spans = before.into_iter().chain(spans.range(from..to));
        let within = spans.map(|(begins, ends)| (from.max(*begins), to.min(*ends)));
        within.filter(|(begins, ends)| begins < ends).collect()
    }

    /// Whether anything of this queue is lacking, or was.
    pub(crate) fn lacks(&self, at: TopicQueue) -> bool {
        self.wanted.contains_key(&at)
    }

    /// Whether the last entries of a queue before `end` may be these: the last one that is not lacking is the one that it would be.
    pub(crate) fn fits(
        &self,
        at: TopicQueue,
        end: u64,
        last: &VecDeque<QueueEntry>,
    ) -> Result<bool, QueueError> {
        let first = end.saturating_sub(last.len() as u64);
        let wanted = self.wanted(at, first, end);
        let is_lacking = |offset: u64| wanted.iter().any(|(from, to)| (*from..*to).contains(&offset));
        let Some(last_there) = (0..last.len()).rfind(|n| !is_lacking(first + *n as u64)) else {
            return Ok(true);
        };
        let there = self.read(at, first + last_there as u64)?;
        Ok(there.is_none_or(|there| there.physical == last[last_there].physical))
    }

    /// Writes the entry if it is lacking.
    pub(crate) fn entry(
        &mut self,
        at: TopicQueue,
        offset: QueueOffset,
        entry: &QueueEntry,
    ) -> Result<(), QueueError> {
        if self.wanted(at, offset.0, offset.0 + 1).is_empty() {
            return Ok(());
        }
        self.write(at, offset.0, entry)?;
        self.put(at, offset.0, offset.0 + 1);
        Ok(())
    }

    fn write(&self, at: TopicQueue, offset: u64, entry: &QueueEntry) -> Result<(), QueueError> {
        let key = FileKey::holding(at, offset);
        self.files.write(key, offset, &stored::encode(at, offset, entry))
    }

    /// From `from` to `to`, which are within one span, nothing is lacking any more.
    fn put(&mut self, at: TopicQueue, from: u64, to: u64) {
        let Some(spans) = self.wanted.get_mut(&at) else {
            return;
        };
        let Some((&begins, &ends)) = spans.range(..=from).next_back() else {
            return;
        };
        spans.remove(&begins);
        if begins < from {
            spans.insert(begins, from);
        }
        if to < ends {
            spans.insert(to, ends);
        }
        self.left -= to - from;
    }

    /// Writes `lost`, which points at what the log has lost, for all that is wanted of a queue from `from` to `to`; with the time of
    /// the entry before. Answers how many.
    pub(crate) fn lose(
        &mut self,
        at: TopicQueue,
        from: u64,
        to: u64,
        lost: QueueEntry,
    ) -> Result<u64, QueueError> {
        let mut count = 0;
        for (begins, ends) in self.wanted(at, from, to) {
            let put_ms = self.time_before(at, begins)?.unwrap_or(lost.put_ms);
            let lost = QueueEntry {
                put_ms,
                waiting_since_ms: put_ms,
                ..lost
            };
            for offset in begins..ends {
                self.write(at, offset, &lost)?;
            }
            self.put(at, begins, ends);
            count += ends - begins;
        }
        Ok(count)
    }

    /// The time of the entry before this offset, if it can be read.
    fn time_before(&self, at: TopicQueue, offset: u64) -> Result<Option<TimeMs>, QueueError> {
        let before = offset.checked_sub(1).map(|before| self.read(at, before));
        Ok(before.transpose()?.flatten().map(|entry| entry.put_ms))
    }

    /// One entry, if it is there whole.
    fn read(&self, at: TopicQueue, offset: u64) -> Result<Option<QueueEntry>, QueueError> {
        let path = self.files.path(FileKey::holding(at, offset));
        let mut bytes = [0; ENTRY_BYTES];
        let read = self.files.io.open_read(&path).and_then(|file| {
            let place = offset % FILE_ENTRIES * ENTRY_BYTES as u64;
            read_exact_at(&*file, &mut bytes, place)
        });
        match read {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof) => Ok(None),
            Err(source) => Err(QueueError::io("read", &path, source)),
            Ok(()) => Ok(stored::decode(at, offset, &bytes)),
        }
    }

    /// The entries that are lacking yet.
    pub(crate) fn into_left(self) -> Left {
        Left::new(self.wanted)
    }

    /// As [`Mending::finish`], where other queues may lack entries: what was to be made again is so yet.
    pub(crate) fn finish_some(&self) -> Result<(), QueueError> {
        if !self.was_noted {
            return self.finish();
        }
        let (io, dir) = (&self.files.io, &self.files.dir);
        io.sync_all_files(dir)
            .map_err(|source| QueueError::io("sync", dir, source))
    }

    /// Makes it durable, and ends it.
    pub(crate) fn finish(&self) -> Result<(), QueueError> {
        let (io, dir) = (&self.files.io, &self.files.dir);
        io.sync_all_files(dir)
            .map_err(|source| QueueError::io("sync", dir, source))?;
        let note = self.files.rebuild_note();
        io.remove(&note)
            .map_err(|source| QueueError::io("remove", &note, source))
    }
}
