//! Queue files by name, and their entries by offset.

use super::left::{self, Left};
use super::{FILE_BYTES, FILE_ENTRIES, QueueError, stored};
use crate::io::recent::Recent;
use crate::io::{
    FileHandle, LogIo, MapHandle, is_of_the_medium, read_exact_aside, read_exact_at, write_all_at,
};
use bytes::Bytes;
use parking_lot::{RwLock, RwLockReadGuard};
use sluice_core::entry::{ENTRY_BYTES, QueueEntry};
use sluice_core::ids::{QueueId, TopicId, TopicQueue};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Ends the name of a queue file, after the 20 digits of its first queue offset.
const SUFFIX: &str = ".cq";
/// Partial files kept open.
const HANDLES_MAX: usize = 256;
/// Complete files kept mapped, 2.5 MiB of address space each.
const MAPS_MAX: usize = 512;
/// Bytes that one read of a partial file takes at most.
const READ_BYTES_MAX: usize = 256 * 1024;

/// One file: the queue, and the offset of its first entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileKey {
    pub(super) at: TopicQueue,
    pub(super) first: u64,
}

impl FileKey {
    /// The file that holds this offset.
    pub(super) fn holding(at: TopicQueue, offset: u64) -> Self {
        Self {
            at,
            first: offset / FILE_ENTRIES * FILE_ENTRIES,
        }
    }

    pub(super) fn end(&self) -> u64 {
        self.first + FILE_ENTRIES
    }
}

pub(super) struct Files {
    pub(super) io: Arc<dyn LogIo>,
    pub(super) dir: PathBuf,
    handles: Recent<FileKey, FileHandle>,
    maps: Recent<FileKey, MapHandle>,
    /// Held for writing while a file that is read by its map is changed or goes.
    changing: RwLock<()>,
    /// What was damaged when they were opened, and could not be made again.
    pub(super) left: Left,
}

/// While it lives, no file is trimmed.
pub(super) struct Reading<'a> {
    files: &'a Files,
    _kept: RwLockReadGuard<'a, ()>,
}

impl Reading<'_> {
    /// See [`Files::read`].
    pub(super) fn read(
        &self,
        at: TopicQueue,
        from: u64,
        to: u64,
        flushed: u64,
        out: &mut Vec<QueueEntry>,
    ) -> Result<usize, QueueError> {
        self.files.read(at, from, to, flushed, out)
    }

    /// Reads entries of one file, past its map and without a trace in the system's cache, and checks them.
    pub(super) fn read_aside(&self, at: TopicQueue, from: u64, to: u64) -> Result<(), QueueError> {
        let key = FileKey::holding(at, from);
        let path = self.files.path(key);
        let failed = |source| left::unread(&self.files.dir, &path, source);
        let start = (from - key.first) as usize * ENTRY_BYTES;
        let mut bytes = vec![0; (to - from) as usize * ENTRY_BYTES];
        let file = self.files.io.open_read(&path).map_err(failed)?;
        match read_exact_aside(&*file, &mut bytes, start as u64) {
            Err(error) if is_of_the_medium(&error) => {
                let (from, to) = (start, start + bytes.len());
                return self.files.read_afresh(key, from, to, &mut Vec::new()).map(drop);
            }
            read => read.map_err(failed)?,
        }
        self.files.decode(key, start, &bytes, &mut Vec::new()).map(drop)
    }
}

impl Files {
    pub(super) fn new(io: Arc<dyn LogIo>, dir: &Path) -> Self {
        let (handles, maps) = (Recent::new(HANDLES_MAX), Recent::new(MAPS_MAX));
        Self {
            io,
            dir: dir.to_path_buf(),
            handles,
            maps,
            changing: RwLock::new(()),
            left: Left::default(),
        }
    }

    pub(super) fn reading(&self) -> Reading<'_> {
        Reading {
            files: self,
            _kept: self.changing.read(),
        }
    }

    /// Puts zeros in place of the entries from `from` to `to`, which are in this file. Nobody has it mapped meanwhile: maps
    /// live only as long as somebody reads, or here.
    pub(super) fn clear(&self, key: FileKey, from: u64, to: u64) -> Result<(), QueueError> {
        let _changing = self.changing.write();
        self.maps.forget(|other| *other == key);
        let zeros = vec![0; READ_BYTES_MAX / ENTRY_BYTES * ENTRY_BYTES];
        let mut at = from;
        while at < to {
            let entries = (to - at).min((zeros.len() / ENTRY_BYTES) as u64);
            self.write(key, at, &zeros[..entries as usize * ENTRY_BYTES])?;
            at += entries;
        }
        Ok(())
    }

    /// Whether there are zeros in the place of an entry. What cannot be read, or is cut off, is none: whoever asks writes them.
    pub(super) fn is_clear(&self, key: FileKey, offset: u64) -> bool {
        let mut entry = [0; ENTRY_BYTES];
        let at = (offset - key.first) * ENTRY_BYTES as u64;
        let file = self.io.open_read(&self.path(key));
        let read = file.and_then(|file| crate::io::read_exact_at(file.as_ref(), &mut entry, at));
        read.is_ok() && entry == [0; ENTRY_BYTES]
    }

    pub(super) fn topic_folder(&self, topic: TopicId) -> PathBuf {
        self.dir.join(topic.to_string())
    }

    pub(super) fn folder(&self, at: TopicQueue) -> PathBuf {
        self.topic_folder(at.topic).join(at.queue.to_string())
    }

    pub(super) fn path(&self, key: FileKey) -> PathBuf {
        self.folder(key.at).join(format!("{:020}{SUFFIX}", key.first))
    }

    /// Every queue file there is.
    pub(super) fn all(&self) -> Result<Vec<FileKey>, QueueError> {
        let mut files = Vec::new();
        for at in self.queues()? {
            files.extend(self.of_queue(at)?);
        }
        Ok(files)
    }

    /// The files of one queue.
    pub(super) fn of_queue(&self, at: TopicQueue) -> Result<Vec<FileKey>, QueueError> {
        let names = self.list(&self.folder(at))?;
        let first = names
            .iter()
            .filter_map(|name| name.to_str()?.strip_suffix(SUFFIX)?.parse().ok());
        Ok(first.map(|first| FileKey { at, first }).collect())
    }

    /// Every queue that has a folder.
    pub(super) fn queues(&self) -> Result<Vec<TopicQueue>, QueueError> {
        let mut queues = Vec::new();
        for topic in self.list(&self.dir)?.iter().filter_map(|name| number(name)) {
            let topic = TopicId(topic);
            let folders = self.list(&self.topic_folder(topic))?;
            let numbers = folders.iter().filter_map(|name| number(name));
            queues.extend(numbers.map(|queue| TopicQueue {
                topic,
                queue: QueueId(queue),
            }));
        }
        Ok(queues)
    }

    pub(super) fn list(&self, folder: &Path) -> Result<Vec<PathBuf>, QueueError> {
        self.io
            .list(folder)
            .map_err(|source| QueueError::io("list", folder, source))
    }

    /// Removes a file, and the folders above it when they are empty. Maps and handles of it may live on elsewhere.
    pub(super) fn remove(&self, key: FileKey) -> Result<(), QueueError> {
        let _changing = self.changing.write();
        self.maps.forget(|other| *other == key);
        self.handles.forget(|other| *other == key);
        let path = self.path(key);
        self.io
            .remove(&path)
            .map_err(|source| QueueError::io("remove", &path, source))?;
        // Best effort: a folder that is not empty stays, and an empty one that stays harms nobody.
        let _ = self.io.remove_dir(&self.folder(key.at));
        let _ = self.io.remove_dir(&self.topic_folder(key.at.topic));
        Ok(())
    }

    /// Writes entries that all belong into one file, starting at `offset`.
    pub(super) fn write(&self, key: FileKey, offset: u64, bytes: &[u8]) -> Result<(), QueueError> {
        let at = (offset - key.first) * ENTRY_BYTES as u64;
        let failed = |action| move |source| QueueError::io(action, &self.path(key), source);
        let file = self.handles.get(&key, || self.open_or_create(key));
        let file = file.map_err(failed("open or create"))?;
        write_all_at(&*file, bytes, at).map_err(failed("write"))
    }

    fn open_or_create(&self, key: FileKey) -> io::Result<FileHandle> {
        let path = self.path(key);
        match self.io.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match self.io.create(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    other => return other,
                }
                self.io.create_dir(&self.folder(key.at))?;
                self.io.create(&path)
            }
            other => other,
        }
    }

    /// Reads entries of the file that holds `from`, below `to`. A complete file is read by its map.
    fn read(
        &self,
        at: TopicQueue,
        from: u64,
        to: u64,
        flushed: u64,
        out: &mut Vec<QueueEntry>,
    ) -> Result<usize, QueueError> {
        let key = FileKey::holding(at, from);
        let start = (from - key.first) as usize * ENTRY_BYTES;
        let end = (to.min(key.end()) - key.first) as usize * ENTRY_BYTES;
        let failed = |source| left::unread(&self.dir, &self.path(key), source);
        match self.bytes(key, start, end, flushed) {
            Err(error) if is_of_the_medium(&error) => self.read_afresh(key, start, end, out),
            read => self.decode(key, start, &read.map_err(failed)?, out),
        }
    }

    fn bytes(&self, key: FileKey, start: usize, end: usize, flushed: u64) -> io::Result<Bytes> {
        if key.end() <= flushed {
            let open = || self.io.open_read(&self.path(key))?.map(FILE_BYTES as usize);
            return self.maps.get(&key, open)?.bytes(start..end);
        }
        let file = self.handles.get(&key, || self.io.open(&self.path(key)))?;
        let mut bytes = vec![0; (end - start).min(READ_BYTES_MAX / ENTRY_BYTES * ENTRY_BYTES)];
        read_exact_at(&*file, &mut bytes, start as u64)?;
        Ok(bytes.into())
    }

    /// Reads once more, past every cache, what the disk has failed to give. Fails it again, it counts as damaged: without a note no start
    /// would look at it.
    fn read_afresh(
        &self,
        key: FileKey,
        start: usize,
        end: usize,
        out: &mut Vec<QueueEntry>,
    ) -> Result<usize, QueueError> {
        let path = self.path(key);
        let mut bytes = vec![0; (end - start).min(READ_BYTES_MAX / ENTRY_BYTES * ENTRY_BYTES)];
        let read = self.io.open_read(&path).and_then(|file| {
            file.drop_cache(0, 0)?;
            read_exact_at(&*file, &mut bytes, start as u64)
        });
        match read {
            Ok(()) => self.decode(key, start, &bytes, out),
            Err(error) if is_of_the_medium(&error) => {
                tracing::error!(file = %path.display(), %error, "the disk does not give a queue file");
                Err(self.damaged(key, start as u64))
            }
            Err(error) => Err(left::unread(&self.dir, &path, error)),
        }
    }

    fn decode(
        &self,
        key: FileKey,
        start: usize,
        bytes: &[u8],
        out: &mut Vec<QueueEntry>,
    ) -> Result<usize, QueueError> {
        let before = out.len();
        for (n, bytes) in bytes.chunks(ENTRY_BYTES).enumerate() {
            let byte = start + n * ENTRY_BYTES;
            match stored::decode(key.at, key.first + (byte / ENTRY_BYTES) as u64, bytes) {
                Some(entry) => out.push(entry),
                None => {
                    out.truncate(before);
                    return Err(self.damaged(key, byte as u64));
                }
            }
        }
        Ok(out.len() - before)
    }

    /// Leaves a note for the next start, which makes everything again; or what it can, once the log is repaired.
    fn damaged(&self, key: FileKey, offset: u64) -> QueueError {
        let left = self.left.way_on(key.at, key.first + offset / ENTRY_BYTES as u64);
        let error = QueueError::Damaged {
            path: self.path(key),
            offset,
            way_on: left.map_or_else(|| left::restart(&self.dir), str::to_owned),
        };
        let note = self.rebuild_note();
        match self.io.create(&note) {
            Ok(_) => {
                tracing::error!(%error, "a queue file is damaged: messages behind that are not delivered before that is done");
            }
            Err(failed) if failed.kind() == io::ErrorKind::AlreadyExists => {}
            Err(failed) => {
                tracing::error!(%error, note = %note.display(), %failed, "a queue file is damaged: messages behind that are not delivered, and it cannot be noted yet that the next start is to make it again, which is tried with each read that comes to it");
            }
        }
        error
    }

    /// There while queue files are to be made again.
    pub(super) fn rebuild_note(&self) -> PathBuf {
        self.dir.join("rebuild")
    }
}

fn number(name: &Path) -> Option<u32> {
    name.to_str()?.parse().ok()
}
