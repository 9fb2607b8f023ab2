//! ConsumeQueues: for each queue, where its messages stand in the CommitLog.
//!
//! ```text
//! queue/<topic id>/<queue n>/<20-digit first queue offset>.cq      65,536 entries a file (2.5 MiB), the last one shorter
//! entry: 40 bytes with a checksum, see `stored`; file offset = (queue offset − first) × 40; no header
//! ```
//! The applier appends in memory; a checkpoint writes what its counts cover and makes it durable with its one sync.
//! What the files hold up to a checkpoint's counts is a function of the log's prefix, byte for byte. Beyond them
//! they may hold anything after a crash: [`QueueStore::restore`] cuts it off, and replay appends it again.
//!
//! What retention takes away goes afterwards: files whole, and in a file that is kept in part zeros take its place, so
//! that it holds what a replay from the log's start makes of it. Carried entries are in memory, and parts of state.
//!
//! A complete file never changes again, but for those zeros, and is read by a map; the last one by positioned reads; the newest entries of
//! active queues from memory, bounded in total.

mod files;
mod flush;
mod left;
mod mend;
mod restore;
mod scrub;
mod stored;
mod survey;
mod tail;
mod trim;

use crate::io::{LogIo, is_no_space, is_of_the_medium};
use files::Files;
use parking_lot::{Mutex, RwLock};
use sluice_core::entry::{ENTRY_BYTES, QueueEntry};
use sluice_core::ids::{QueueOffset, TimeMs, TopicId, TopicQueue};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tail::{Found, Tail};
use thiserror::Error;

pub use flush::FlushStats;
pub(crate) use left::Left;
pub(crate) use mend::Mending;
pub use survey::QueueSurvey;
pub(crate) use survey::{QueueSums, add_those_of_the_log, each_entry, named, survey, whole_entries};

/// Entries of a complete file.
pub const FILE_ENTRIES: u64 = 65_536;
/// Bytes of a complete file.
pub const FILE_BYTES: u64 = FILE_ENTRIES * ENTRY_BYTES as u64;
/// Flushed entries that stay in memory for each queue.
const HOT_PER_QUEUE: u64 = 4096;
/// Flushed entries that stay in memory in total (20 MiB); the queues used least recently give way.
const HOT_TOTAL: u64 = 512 * 1024;

const _: () = assert!(FILE_ENTRIES.is_multiple_of(tail::CHUNK));

/// Why a queue's entries could not be written, read or restored.
#[derive(Debug, Error)]
pub enum QueueError {
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
    /// The disk does not give a file back, also at the second try. That is no damage: it may give it back later.
    #[error(
        "cannot read {path}: {source}; start again, and if that stays so, move the file away: the next start makes it again, as far as log and checkpoints tell it"
    )]
    Unread {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A checkpoint's entries are not there: go back to an older checkpoint, down to the base, and replay.
    #[error("{path} holds {found} bytes of the checkpoint's {needed}")]
    Missing {
        /// The file.
        path: PathBuf,
        /// Bytes that the checkpoint's counts need.
        needed: u64,
        /// Bytes there.
        found: u64,
    },
    /// A note says that damage was found in use: what helps is the same as where entries are not there.
    #[error("damage to a queue file was found while the broker ran, of which {note} is the note", note = note.display())]
    Noted {
        /// The note.
        note: PathBuf,
    },
    /// Bytes that are not the entry that belongs there. A note is left in the folder, and the next start replays the log
    /// from the base, or where it cannot finds again what it can.
    #[error("{path} is damaged at byte {offset}: {way_on}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, in bytes.
        offset: u64,
        /// What is to be done.
        way_on: String,
    },
    /// A file is not there any more that was not removed by the broker.
    #[error("{path} is gone: somebody has removed it; {way_on}")]
    Gone {
        /// The file.
        path: PathBuf,
        /// What is to be done.
        way_on: String,
    },
    /// Entries are appended in order, without holes.
    #[error("queue {} of topic {} goes on at offset {expected}, not {got}", at.queue, at.topic)]
    Order {
        /// The queue.
        at: TopicQueue,
        /// Its next offset.
        expected: u64,
        /// The offset that was given.
        got: u64,
    },
}

impl QueueError {
    fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }

    /// For what a start reads.
    fn unread(path: &Path, source: io::Error) -> Self {
        match is_of_the_medium(&source) {
            true => Self::Unread {
                path: path.to_path_buf(),
                source,
            },
            false => Self::io("read", path, source),
        }
    }

    /// Whether the disk is full: then nothing is lost, and a later flush makes up for this one.
    pub fn is_full_disk(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_no_space(source))
    }
}

impl From<QueueError> for io::Error {
    fn from(error: QueueError) -> Self {
        let kind = match &error {
            QueueError::Io { source, .. } | QueueError::Unread { source, .. } => source.kind(),
            QueueError::Gone { .. } => io::ErrorKind::NotFound,
            QueueError::Missing { .. } => io::ErrorKind::UnexpectedEof,
            QueueError::Noted { .. } | QueueError::Damaged { .. } | QueueError::Order { .. } => {
                io::ErrorKind::InvalidData
            }
        };
        Self::new(kind, error)
    }
}

/// The offsets of a queue that have entries, `first..end`: what a checkpoint counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueSpan {
    /// The queue.
    pub at: TopicQueue,
    /// Its minimum offset; files wholly below it are not needed. Of a running store: the first offset that has an entry, carried
    /// or not.
    pub first: QueueOffset,
    /// Its next offset.
    pub end: QueueOffset,
}

struct Queue {
    at: TopicQueue,
    tail: Mutex<Tail>,
}

/// A removed topic.
struct Doomed {
    topic: TopicId,
    /// Its queues: the checkpoint that is being written may still want their tails.
    queues: Vec<Arc<Queue>>,
    /// Checkpoints written since.
    checkpoints: u32,
}

struct Inner {
    files: Files,
    queues: RwLock<HashMap<TopicQueue, Arc<Queue>>>,
    /// Topics removed, whose files some checkpoint may still count on.
    doomed: Mutex<Vec<Doomed>>,
    /// The first append that was out of order. Nothing is flushed after it.
    disorder: Mutex<Option<(TopicQueue, u64, u64)>>,
    /// Entries in memory that are in no file yet.
    unflushed: AtomicU64,
    /// Counts uses, for the choice of what leaves memory.
    ticks: AtomicU64,
    /// Held by whoever writes files.
    flushing: Mutex<()>,
    /// What files hold that was not restored.
    beyond: Mutex<restore::Beyond>,
}

/// All queues of a broker. A cheap handle: one applier appends, any number of threads read, one thread flushes.
#[derive(Clone)]
pub struct QueueStore {
    inner: Arc<Inner>,
}

impl QueueStore {
    /// The queues of a fresh data directory; `dir` is the `queue` folder. Files that are there are removed.
    pub fn create(io: Arc<dyn LogIo>, dir: &Path) -> Result<Self, QueueError> {
        Self::restore(io, dir, &[])
    }

    /// Adds the entry at `offset`, which must be the queue's next: one that is not is dropped, and from then on every
    /// flush fails, so that nothing wrong ever becomes durable. Readers see the entry at once; files get it by a flush.
    pub fn append(&self, at: TopicQueue, offset: QueueOffset, entry: QueueEntry) {
        let known = self.queue(at);
        let queue = match known {
            Some(queue) => queue,
            None => self.add(at),
        };
        let mut tail = queue.tail.lock();
        if tail.end() == offset.0 {
            tail.used = self.tick();
            tail.append(entry);
            self.inner.unflushed.fetch_add(1, Ordering::Relaxed);
        } else {
            debug_assert_eq!(tail.end(), offset.0, "queue entries come in order");
            let expected = tail.end();
            self.inner.disorder.lock().get_or_insert((at, expected, offset.0));
        }
    }

    /// Appends up to `max` entries from `from` on to `out`, and answers how many. May read files, and so block;
    /// [`QueueStore::read_hot`] never does. Nothing below the queue's minimum offset or beyond its end.
    pub fn read(
        &self,
        at: TopicQueue,
        from: QueueOffset,
        max: usize,
        out: &mut Vec<QueueEntry>,
    ) -> io::Result<usize> {
        let Some(queue) = self.queue(at) else { return Ok(0) };
        let mut done = 0;
        while done < max {
            let from = from.0 + done as u64;
            done += match self.look(&queue, from, max - done, out) {
                Found::Nothing => break,
                Found::Copied(count) => count,
                Found::InFiles { .. } => {
                    // Looks again: only what is found from now on stays in files until it is read. Who reads from memory
                    // waits for nobody.
                    let reading = self.inner.files.reading();
                    match self.look(&queue, from, max - done, out) {
                        Found::Nothing => break,
                        Found::Copied(count) => count,
                        Found::InFiles { to, flushed } => reading.read(at, from, to, flushed, out)?,
                    }
                }
            };
        }
        Ok(done)
    }

    /// Like [`QueueStore::read`], but from memory alone: `None` if entries from `from` on are only in files.
    pub fn read_hot(
        &self,
        at: TopicQueue,
        from: QueueOffset,
        max: usize,
        out: &mut Vec<QueueEntry>,
    ) -> Option<usize> {
        let Some(queue) = self.queue(at) else {
            return Some(0);
        };
        let mut done = 0;
        while done < max {
            done += match self.look(&queue, from.0 + done as u64, max - done, out) {
                Found::Nothing => break,
                Found::Copied(count) => count,
                Found::InFiles { .. } if done == 0 => return None,
                Found::InFiles { .. } => break,
            };
        }
        Some(done)
    }

    fn look(&self, queue: &Queue, from: u64, max: usize, out: &mut Vec<QueueEntry>) -> Found {
        let mut tail = queue.tail.lock();
        let found = tail.find(from, max, out);
        if let Found::Copied(_) = found {
            tail.used = self.tick();
        }
        found
    }

    /// The first offset that is read without IO for now; the end if none is.
    pub fn hot_from(&self, at: TopicQueue) -> QueueOffset {
        QueueOffset(self.queue(at).map_or(0, |queue| queue.tail.lock().first()))
    }

    /// The queue's offsets that have entries; empty if it is not known.
    pub fn span(&self, at: TopicQueue) -> QueueSpan {
        let none = QueueSpan {
            at,
            ..QueueSpan::default()
        };
        self.queue(at).map_or(none, |queue| queue.span())
    }

    /// The first offset whose entry was put at `time` or later; the end if none was. May block on IO.
    pub fn find_by_time(&self, at: TopicQueue, time: TimeMs) -> io::Result<QueueOffset> {
        let (carried, mut low, mut high) = {
            let Some(queue) = self.queue(at) else {
                return Ok(QueueOffset(0));
            };
            let tail = queue.tail.lock();
            let mut below = tail.carried.range(..tail.start);
            let carried = below.find(|(_, entry)| entry.put_ms >= time);
            (carried.map(|(offset, _)| *offset), tail.start, tail.end())
        };
        if let Some(offset) = carried {
            return Ok(QueueOffset(offset));
        }
        let mut entry = Vec::with_capacity(1);
        while low < high {
            let middle = low + (high - low) / 2;
            entry.clear();
            self.read(at, QueueOffset(middle), 1, &mut entry)?;
            // Nothing read: retention went past it meanwhile, so it is older than all that is left.
            match entry.first() {
                Some(entry) if entry.put_ms >= time => high = middle,
                _ => low = middle + 1,
            }
        }
        Ok(QueueOffset(low))
    }

    /// The first offset from `from` on that has an entry; the queue's end if there is none.
    pub fn next(&self, at: TopicQueue, from: QueueOffset) -> QueueOffset {
        let queue = self.queue(at);
        QueueOffset(queue.map_or(0, |queue| queue.tail.lock().next(from.0)))
    }

    /// The message at this offset has this entry from now on, whatever the queue's own entry says.
    pub fn carry(&self, at: TopicQueue, offset: QueueOffset, entry: QueueEntry) {
        let queue = self.queue(at).unwrap_or_else(|| self.add(at));
        queue.tail.lock().carried.insert(offset.0, entry);
    }

    /// A carried message is gone.
    pub fn drop_carried(&self, at: TopicQueue, offset: QueueOffset) {
        if let Some(queue) = self.queue(at) {
            queue.tail.lock().carried.remove(&offset.0);
        }
    }

    /// From now on the queue has nothing below `first` but what was carried. Files go by [`QueueStore::trim_files`].
    pub fn begin_at(&self, at: TopicQueue, first: QueueOffset) {
        let queue = self.queue(at).unwrap_or_else(|| self.add(at));
        let mut tail = queue.tail.lock();
        tail.start = tail.start.max(first.0);
    }

    /// Entries in memory that are in no file yet.
    pub fn unflushed_entries(&self) -> u64 {
        self.inner.unflushed.load(Ordering::Relaxed)
    }

    /// Forgets all queues of a topic. Its files go some checkpoints later, for until then a restart may come back to one
    /// that counts on them: see [`QueueStore::checkpoint_done`].
    pub fn remove_topic(&self, topic: TopicId) {
        let mut queues = self.inner.queues.write();
        let gone = queues
            .extract_if(|at, _| at.topic == topic)
            .map(|(_, queue)| queue)
            .collect();
        self.inner.doomed.lock().push(Doomed {
            topic,
            queues: gone,
            checkpoints: 0,
        });
    }

    fn queue(&self, at: TopicQueue) -> Option<Arc<Queue>> {
        self.inner.queues.read().get(&at).cloned()
    }

    fn add(&self, at: TopicQueue) -> Arc<Queue> {
        let mut queues = self.inner.queues.write();
        let new = || {
            Arc::new(Queue {
                at,
                tail: Mutex::new(Tail::new(0, 0)),
            })
        };
        Arc::clone(queues.entry(at).or_insert_with(new))
    }

    fn tick(&self) -> u64 {
        self.inner.ticks.fetch_add(1, Ordering::Relaxed)
    }
}

impl Queue {
    fn span(&self) -> QueueSpan {
        let tail = self.tail.lock();
        QueueSpan {
            at: self.at,
            first: QueueOffset(tail.least()),
            end: QueueOffset(tail.end()),
        }
    }
}
