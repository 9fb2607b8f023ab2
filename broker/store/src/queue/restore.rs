//! Queue files as a checkpoint left them: everything it counts must be there, everything beyond is cut off.

use super::files::{FileKey, Files};
use super::left::Left;
use super::tail::Tail;
use super::{FILE_BYTES, FILE_ENTRIES, Inner, Queue, QueueError, QueueSpan, QueueStore, stored};
use crate::io::LogIo;
use parking_lot::{Mutex, RwLock};
use sluice_core::entry::ENTRY_BYTES;
use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// What an entry is that a file ends without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lacking {
    IsAnError,
    IsDamaged,
}

impl QueueStore {
    /// As [`QueueStore::look_at`], after all was found again that could be: what is lacking yet (`left`) is damaged from
    /// now on, and stops the groups that come to it, not the start.
    pub(crate) fn look_at_mended(
        io: Arc<dyn LogIo>,
        dir: &Path,
        spans: &[QueueSpan],
        left: Left,
    ) -> Result<Self, QueueError> {
        let mut files = Files::new(io, dir);
        for (key, bytes) in needed(spans) {
            let path = files.path(key);
            let len = match files.io.open_read(&path).and_then(|file| file.len()) {
                Err(error) if error.kind() == ErrorKind::NotFound => 0,
                len => len.map_err(|source| QueueError::io("read", &path, source))?,
            };
            if len < bytes {
                let last = key.first + bytes / ENTRY_BYTES as u64 - 1;
                files.write(key, last, &[0; ENTRY_BYTES])?;
            }
        }
        files.left = left;
        Self::look_as(files, spans, Lacking::IsDamaged)
    }

    /// The queues as a checkpoint's spans say; `dir` is the `queue` folder. First checks that the files hold all of
    /// it ([`QueueError::Missing`] or [`QueueError::Noted`] otherwise, and nothing is changed), then cuts off and removes what is beyond.
    ///
    /// No other store may be open on the folder: files that an earlier store mapped may be cut here.
    pub fn restore(io: Arc<dyn LogIo>, dir: &Path, spans: &[QueueSpan]) -> Result<Self, QueueError> {
        let store = Self::look_at(io, dir, spans)?;
        store.settle()?;
        Ok(store)
    }

    /// As [`QueueStore::restore`], but changes nothing before [`QueueStore::settle`], without which nothing may be flushed.
    pub(crate) fn look_at(io: Arc<dyn LogIo>, dir: &Path, spans: &[QueueSpan]) -> Result<Self, QueueError> {
        Self::look_as(Files::new(io, dir), spans, Lacking::IsAnError)
    }

    fn look_as(files: Files, spans: &[QueueSpan], lacking: Lacking) -> Result<Self, QueueError> {
        let needed = needed(spans);
        let mut beyond = Beyond {
            has_note: has_note(&files, &needed)?,
            ..Beyond::default()
        };
        let found = files.all()?;
        let mut present = 0;
        for key in &found {
            if let Some(bytes) = needed.get(key) {
                present += 1;
                let len = check(&files, *key, *bytes, lacking)?;
                if len > *bytes {
                    beyond.cut.push((*key, *bytes));
                }
            }
        }
        if present < needed.len() {
            let missing = needed.iter().find(|(key, _)| !found.contains(key));
            if let Some((key, needed)) = missing {
                return Err(QueueError::Missing {
                    path: files.path(*key),
                    needed: *needed,
                    found: 0,
                });
            }
        }
        beyond.gone = found
            .into_iter()
            .filter(|key| !needed.contains_key(key))
            .collect();
        let inner = Inner {
            files,
            queues: RwLock::new(queues(spans)),
            doomed: Mutex::default(),
            disorder: Mutex::default(),
            unflushed: AtomicU64::new(0),
            ticks: AtomicU64::new(1),
            flushing: Mutex::default(),
            beyond: Mutex::new(beyond),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Takes away what files hold beyond what they were restored to, and makes the folder where there is none. A second call does
    /// nothing.
    pub(crate) fn settle(&self) -> Result<(), QueueError> {
        let Beyond { has_note, cut, gone } = std::mem::take(&mut *self.inner.beyond.lock());
        let files = &self.inner.files;
        let made = files.io.create_dir(&files.dir);
        made.map_err(|source| QueueError::io("create", &files.dir, source))?;
        if has_note {
            let note = files.rebuild_note();
            let removed = files.io.remove(&note);
            removed.map_err(|source| QueueError::io("remove", &note, source))?;
        }
        for (key, bytes) in cut {
            let path = files.path(key);
            let file = files
                .io
                .open(&path)
                .map_err(|source| QueueError::io("open", &path, source))?;
            file.set_len(bytes)
                .map_err(|source| QueueError::io("cut", &path, source))?;
        }
        gone.into_iter().try_for_each(|key| files.remove(key))
    }
}

/// What is not counted on, and goes once nothing stops the start any more.
#[derive(Default)]
pub(super) struct Beyond {
    /// The note that all is to be made again.
    has_note: bool,
    /// Files that are longer than these bytes.
    cut: Vec<(FileKey, u64)>,
    /// Files of which nothing is needed.
    gone: Vec<FileKey>,
}

/// Where damage was found while the files were in use, no checkpoint is good enough that counts on any. Answers whether that is noted.
fn has_note(files: &Files, needed: &BTreeMap<FileKey, u64>) -> Result<bool, QueueError> {
    let note = files.rebuild_note();
    if !files.list(&files.dir)?.iter().any(|name| note.ends_with(name)) {
        return Ok(false);
    }
    if needed.is_empty() {
        return Ok(true);
    }
    Err(QueueError::Noted { note })
}

fn queues(spans: &[QueueSpan]) -> HashMap<sluice_core::ids::TopicQueue, Arc<Queue>> {
    let queue = |span: &QueueSpan| {
        let tail = Mutex::new(Tail::new(span.first.0, span.end.0));
        (span.at, Arc::new(Queue { at: span.at, tail }))
    };
    spans.iter().map(queue).collect()
}

/// Every file that the spans need, and how many bytes of it.
pub(super) fn needed(spans: &[QueueSpan]) -> BTreeMap<FileKey, u64> {
    let mut needed = BTreeMap::new();
    for span in spans.iter().filter(|span| span.first < span.end) {
        let mut key = FileKey::holding(span.at, span.first.0);
        while key.first < span.end.0 {
            let entries = span.end.0.min(key.end()) - key.first;
            needed.insert(key, entries * ENTRY_BYTES as u64);
            key.first += FILE_ENTRIES;
        }
    }
    needed
}

/// The file's length, which must be at least `needed` and end in an entry there.
fn check(files: &Files, key: FileKey, needed: u64, lacking: Lacking) -> Result<u64, QueueError> {
    let path = files.path(key);
    let failed = |source| QueueError::unread(&path, source);
    let file = files.io.open_read(&path).map_err(failed)?;
    let len = file.len().map_err(failed)?;
    if len < needed {
        return Err(QueueError::Missing {
            path,
            needed,
            found: len,
        });
    }
    if needed < FILE_BYTES && lacking == Lacking::IsAnError {
        // Lengths may have reached the disk without the data: what does not end in an entry was not all written.
        let mut last = [0; ENTRY_BYTES];
        crate::io::read_exact_twice(&*file, &mut last, needed - ENTRY_BYTES as u64).map_err(failed)?;
        let offset = key.first + needed / ENTRY_BYTES as u64 - 1;
        if stored::decode(key.at, offset, &last).is_none() {
            return Err(QueueError::Missing {
                path,
                needed,
                found: needed - ENTRY_BYTES as u64,
            });
        }
    }
    Ok(len)
}
