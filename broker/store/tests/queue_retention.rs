//! Queue files after retention (F8): what lies below a queue's minimum offset goes, carried entries stay, and nobody reads half of it.
#![cfg(test)]

use sluice_core::entry::{ENTRY_BYTES, QueueEntry};
use sluice_core::ids::{PhysicalOffset, QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_store::io::{DirLock, FileHandle, LogIo, RealIo, read_exact_at};
use sluice_store::queue::{FILE_BYTES, FILE_ENTRIES, QueueSpan, QueueStore};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

const AT: TopicQueue = TopicQueue {
    topic: TopicId(3),
    queue: QueueId(1),
};
const END: u64 = 2 * FILE_ENTRIES + 1000;

fn entry(n: u64) -> QueueEntry {
    QueueEntry {
        physical: PhysicalOffset(n * 1000),
        put_ms: 1 + n / 10,
        size: 9,
        ..QueueEntry::default()
    }
}

fn carried(n: u64) -> QueueEntry {
    QueueEntry {
        physical: PhysicalOffset(1 << 40),
        ..entry(n)
    }
}

fn io() -> Arc<dyn LogIo> {
    Arc::new(RealIo::new())
}

/// A queue of three files, flushed.
fn flushed(dir: &Path) -> QueueStore {
    flushed_on(io(), dir)
}

fn flushed_on(io: Arc<dyn LogIo>, dir: &Path) -> QueueStore {
    let store = QueueStore::create(io, dir).unwrap();
    (0..END).for_each(|n| store.append(AT, QueueOffset(n), entry(n)));
    store.flush_tails(&[(AT, QueueOffset(END))]).unwrap();
    store
}

fn read(store: &QueueStore, from: u64, max: usize) -> Vec<QueueEntry> {
    let mut out = Vec::new();
    let read = store.read(AT, QueueOffset(from), max, &mut out).unwrap();
    assert_eq!(read, out.len());
    out
}

fn file(dir: &Path, first: u64) -> Option<Vec<u8>> {
    let file = io().open_read(&dir.join(format!("3/1/{first:020}.cq"))).ok()?;
    let mut bytes = vec![0; file.len().unwrap() as usize];
    read_exact_at(&*file, &mut bytes, 0).unwrap();
    Some(bytes)
}

/// The queue begins there, and a checkpoint has it so.
fn begin(store: &QueueStore, first: u64) {
    store.begin_at(AT, QueueOffset(first));
    store.counted(&[(AT, QueueOffset(first))]);
}

#[test]
fn what_is_trimmed_goes_file_by_file_and_zeros_take_its_place_in_the_last_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = flushed(dir.path());
    let whole = file(dir.path(), FILE_ENTRIES).unwrap();
    let first = FILE_ENTRIES + 700;
    assert_eq!(
        read(&store, first, 2),
        [entry(first), entry(first + 1)],
        "by a map"
    );
    begin(&store, first);
    assert!(read(&store, first - 1, 2).is_empty());
    store.trim_files().unwrap();
    assert_eq!(file(dir.path(), 0), None);
    let left = file(dir.path(), FILE_ENTRIES).unwrap();
    let cleared = 700 * ENTRY_BYTES;
    assert_eq!(left.len() as u64, FILE_BYTES);
    assert!(left[..cleared].iter().all(|byte| *byte == 0));
    assert!(left[cleared..] == whole[cleared..]);
    assert_eq!(read(&store, first, 2), [entry(first), entry(first + 1)]);
    let span = QueueSpan {
        at: AT,
        first: QueueOffset(first),
        end: QueueOffset(END),
    };
    assert_eq!(store.span(AT), span);

    // To the end: what comes next begins its file anew, as it does for who never saw the rest.
    begin(&store, END);
    store.trim_files().unwrap();
    assert_eq!(file(dir.path(), 2 * FILE_ENTRIES), None);
    store.append(AT, QueueOffset(END), entry(END));
    store.flush_tails(&[(AT, QueueOffset(END + 1))]).unwrap();
    let other = tempfile::tempdir().unwrap();
    let begun = QueueSpan {
        first: QueueOffset(END),
        ..span
    };
    let fresh = QueueStore::restore(io(), other.path(), &[begun]).unwrap();
    fresh.append(AT, QueueOffset(END), entry(END));
    fresh.flush_tails(&[(AT, QueueOffset(END + 1))]).unwrap();
    let last = file(dir.path(), 2 * FILE_ENTRIES);
    assert!(last.is_some() && last == file(other.path(), 2 * FILE_ENTRIES));
}

/// A file system on which a queue's minimum offset rises while files are removed, of which the last are looked at first.
struct Rising {
    io: RealIo,
    store: OnceLock<QueueStore>,
    to: QueueOffset,
}

impl LogIo for Rising {
    fn create(&self, path: &Path) -> io::Result<FileHandle> {
        self.io.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<FileHandle> {
        self.io.open(path)
    }

    fn open_read(&self, path: &Path) -> io::Result<FileHandle> {
        self.io.open_read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.io.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if let Some(store) = self.store.get() {
            store.begin_at(AT, self.to);
        }
        self.io.remove(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.io.create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.io.remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let names = self.io.list(path)?;
        Ok(names.into_iter().rev().collect())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.io.sync_dir(path)
    }

    fn sync_all_files(&self, path: &Path) -> io::Result<()> {
        self.io.sync_all_files(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>> {
        self.io.lock(path)
    }
}

#[test]
fn what_falls_below_the_minimum_while_files_are_trimmed_is_zeros_after_the_next_time() {
    let dir = tempfile::tempdir().unwrap();
    let io = Arc::new(Rising {
        io: RealIo::new(),
        store: OnceLock::new(),
        to: QueueOffset(2 * FILE_ENTRIES + 500),
    });
    let store = flushed_on(io.clone(), dir.path());
    begin(&store, 2 * FILE_ENTRIES);
    assert!(io.store.set(store.clone()).is_ok());
    let last = || file(dir.path(), 2 * FILE_ENTRIES).unwrap();
    let whole = last();
    store.trim_files().unwrap();
    assert_eq!(store.span(AT).first, io.to, "it rose");
    store.trim_files().unwrap();
    assert!(last() == whole, "no checkpoint has it rise");
    assert!(!store.holds_too_much());
    store.counted(&[(AT, io.to)]);
    assert!(store.holds_too_much());
    store.trim_files().unwrap();
    assert!(!store.holds_too_much());
    let cleared = 500 * ENTRY_BYTES;
    assert!(last()[..cleared].iter().all(|byte| *byte == 0));
    assert!(last()[cleared..] == whole[cleared..]);
}

#[test]
fn carried_entries_stay_below_the_minimum_and_go_before_the_queues_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = flushed(dir.path());
    let first = FILE_ENTRIES + 700;
    for n in [5, 6, 9, first + 1] {
        store.carry(AT, QueueOffset(n), carried(n));
    }
    begin(&store, first);
    store.trim_files().unwrap();
    assert_eq!(read(&store, 5, 10), [carried(5), carried(6)]);
    assert_eq!(read(&store, 9, 10), [carried(9)]);
    assert!(read(&store, 7, 10).is_empty());
    assert_eq!(
        read(&store, first, 3),
        [entry(first), carried(first + 1), entry(first + 2)]
    );
    let next = [0, 5, 7, 10, first + 3, END + 9].map(|from| store.next(AT, QueueOffset(from)).0);
    assert_eq!(next, [5, 5, 9, first, first + 3, END]);
    assert_eq!(store.span(AT).first, QueueOffset(5));
    let found = |time| store.find_by_time(AT, time).unwrap().0;
    assert_eq!([found(0), found(2), found(1 + first / 10)], [5, first, first]);
    let mut out = Vec::new();
    assert_eq!(store.read_hot(AT, QueueOffset(5), 10, &mut out), Some(2));
    assert_eq!(store.read_hot(AT, QueueOffset(7), 10, &mut out), Some(0));
    store.drop_carried(AT, QueueOffset(5));
    assert_eq!(read(&store, 5, 10), []);
    assert_eq!(read(&store, 6, 10), [carried(6)]);
}

#[test]
fn who_reads_while_files_are_trimmed_gets_entries_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = flushed(dir.path());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for start in [0, 1, 2] {
            let (store, stop) = (&store, &stop);
            scope.spawn(move || {
                let mut from = start * 777;
                while !stop.load(Ordering::Acquire) {
                    for (n, found) in (from..).zip(read(store, from, 3000)) {
                        assert_eq!(found, entry(n));
                    }
                    from = (from + 997) % END;
                }
            });
        }
        for first in (0..=END).step_by(1500) {
            begin(&store, first);
            store.trim_files().unwrap();
        }
        stop.store(true, Ordering::Release);
    });
    assert!(!dir.path().join("rebuild").exists(), "nothing looked damaged");
}
