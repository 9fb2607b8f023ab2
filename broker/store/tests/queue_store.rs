//! Queue files: what is read is what was appended, from memory, maps and files alike; restoring cuts to the counts.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use sluice_core::entry::QueueEntry;
use sluice_core::ids::{PhysicalOffset, QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_store::io::{FaultyIo, LogIo, RealIo, read_exact_at, write_all_at};
use sluice_store::queue::{FILE_BYTES, FILE_ENTRIES, QueueError, QueueSpan, QueueStore};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn at(topic: u32, queue: u32) -> TopicQueue {
    TopicQueue {
        topic: TopicId(topic),
        queue: QueueId(queue),
    }
}

fn entry(at: TopicQueue, n: u64) -> QueueEntry {
    let physical = PhysicalOffset(n * 1000 + u64::from(at.queue.0));
    QueueEntry {
        physical,
        put_ms: 1 + n / 10,
        waiting_since_ms: n,
        tag_hash: -7,
        size: 9,
        ..QueueEntry::default()
    }
}

fn append(store: &QueueStore, at: TopicQueue, range: std::ops::Range<u64>) {
    range.for_each(|n| store.append(at, QueueOffset(n), entry(at, n)));
}

/// What a checkpoint would count now.
fn spans(store: &QueueStore, queues: &[TopicQueue]) -> Vec<QueueSpan> {
    queues
        .iter()
        .map(|at| store.span(*at))
        .filter(|span| span.end.0 > 0)
        .collect()
}

/// Flushed and made durable, as a checkpoint does it.
fn checkpoint(store: &QueueStore, io: &dyn LogIo, queues: &[TopicQueue]) -> Vec<QueueSpan> {
    let spans = spans(store, queues);
    let ends: Vec<_> = spans.iter().map(|span| (span.at, span.end)).collect();
    store.flush_tails(&ends).unwrap();
    io.sync_all_files(Path::new("/")).unwrap();
    store.checkpoint_done().unwrap();
    spans
}

fn assert_reads(store: &QueueStore, at: TopicQueue, from: u64, max: usize, end: u64) {
    let mut out = Vec::new();
    let n = store.read(at, QueueOffset(from), max, &mut out).unwrap();
    let expected: Vec<_> = (from..end.min(from + max as u64)).map(|n| entry(at, n)).collect();
    assert_eq!(n, out.len());
    assert!(
        out == expected,
        "{} read instead of {} from {from}",
        out.len(),
        expected.len()
    );
}

/// Every file below `folder`, by path, with its content.
fn tree(io: &dyn LogIo, folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for name in io.list(folder).unwrap() {
        let path = folder.join(name);
        match io.open_read(&path) {
            Ok(file) if path.extension().is_some() => {
                let mut bytes = vec![0; file.len().unwrap() as usize];
                read_exact_at(&*file, &mut bytes, 0).unwrap();
                files.insert(path, bytes);
            }
            _ => files.extend(tree(io, &path)),
        }
    }
    files
}

#[test]
fn memory_maps_and_files_read_as_one_queue() {
    let folder = tempfile::tempdir().unwrap();
    let real = RealIo::new();
    let store = QueueStore::create(Arc::new(real.clone()), folder.path()).unwrap();
    let (a, b, end) = (at(1, 0), at(2, 3), 2 * FILE_ENTRIES + 7000);
    append(&store, a, 0..FILE_ENTRIES - 1);
    append(&store, b, 0..10);
    checkpoint(&store, &real, &[a, b]);
    append(&store, a, FILE_ENTRIES - 1..end);
    checkpoint(&store, &real, &[a, b]);
    append(&store, a, end..end + 100);
    let end = end + 100;
    assert_eq!(store.unflushed_entries(), 100);
    let hot = store.hot_from(a).0;
    assert!(
        hot > FILE_ENTRIES && end - hot >= 4096 && end - hot < 4096 + 1024 + 100,
        "{hot}"
    );
    for from in [
        0,
        1,
        1023,
        FILE_ENTRIES - 2,
        FILE_ENTRIES,
        2 * FILE_ENTRIES - 1,
        hot - 1,
        hot,
        end - 1,
        end,
    ] {
        for max in [1, 32, 8000] {
            assert_reads(&store, a, from, max, end);
        }
    }
    let mut out = Vec::new();
    assert_eq!(store.read_hot(a, QueueOffset(hot - 1), 32, &mut out), None);
    assert_eq!(store.read_hot(a, QueueOffset(hot), 32, &mut out), Some(32));
    assert_eq!(store.read_hot(at(9, 9), QueueOffset(0), 32, &mut out), Some(0));
    assert_reads(&store, b, 0, 32, 10);
    assert_eq!(tree(&real, folder.path()).len(), 4);
    for (time, first) in [
        (0, 0),
        (1, 0),
        (2, 10),
        (10_000, 99_990),
        (1 + (end - 1) / 10, (end - 1) / 10 * 10),
    ] {
        assert_eq!(
            store.find_by_time(a, time).unwrap(),
            QueueOffset(first),
            "at {time}"
        );
    }
    assert_eq!(store.find_by_time(a, u64::MAX).unwrap(), QueueOffset(end));
}

#[test]
#[cfg_attr(debug_assertions, should_panic = "in order")]
fn nothing_is_flushed_after_an_append_out_of_order() {
    let store = QueueStore::create(Arc::new(FaultyIo::new(0)), Path::new("/q")).unwrap();
    append(&store, at(1, 0), 0..5);
    store.append(at(1, 0), QueueOffset(6), entry(at(1, 0), 6));
    assert_reads(&store, at(1, 0), 0, 32, 5);
    let result = store.flush_tails(&[(at(1, 0), QueueOffset(5))]);
    assert!(matches!(
        result,
        Err(QueueError::Order {
            expected: 5,
            got: 6,
            ..
        })
    ));
}

#[test]
fn restoring_cuts_to_the_counts_and_replay_gives_the_same_files() {
    let io = FaultyIo::new(0);
    let dir = Path::new("/q");
    let store = QueueStore::create(Arc::new(io.clone()), dir).unwrap();
    let ends = [(at(1, 0), FILE_ENTRIES + 50), (at(1, 1), 3), (at(3, 0), 2000)];
    append(&store, at(1, 0), 0..FILE_ENTRIES - 5);
    append(&store, at(3, 0), 0..100);
    let queues = ends.map(|(at, _)| at);
    let spans = checkpoint(&store, &io, &queues);
    append(&store, at(1, 0), FILE_ENTRIES - 5..FILE_ENTRIES + 50);
    append(&store, at(1, 1), 0..3);
    append(&store, at(3, 0), 100..2000);
    checkpoint(&store, &io, &queues);
    let whole = tree(&io, dir);
    assert_eq!(whole.len(), 4);

    for spans in [spans, Vec::new()] {
        let store = QueueStore::restore(Arc::new(io.clone()), dir, &spans).unwrap();
        let bytes: u64 = spans.iter().map(|span| 40 * span.end.0).sum();
        assert_eq!(
            tree(&io, dir).values().map(|file| file.len() as u64).sum::<u64>(),
            bytes
        );
        for (at, end) in ends {
            append(&store, at, store.span(at).end.0..end);
            assert_reads(&store, at, 0, usize::MAX >> 1, end);
        }
        checkpoint(&store, &io, &queues);
        assert!(tree(&io, dir) == whole);
    }
}

#[test]
fn what_a_checkpoint_counts_and_files_lack_is_missing_and_changes_nothing() {
    let io = FaultyIo::new(0);
    let dir = Path::new("/q");
    let store = QueueStore::create(Arc::new(io.clone()), dir).unwrap();
    append(&store, at(1, 0), 0..100);
    append(&store, at(2, 0), 0..100);
    let queues = [at(1, 0), at(2, 0)];
    let spans = checkpoint(&store, &io, &queues);
    append(&store, at(1, 0), 100..200);
    checkpoint(&store, &io, &queues);
    let path = dir.join("2/0").join(format!("{:020}.cq", 0));
    let damage: [&dyn Fn(&FaultyIo); 3] = [
        &|io| io.remove(&path).unwrap(),
        &|io| io.open(&path).unwrap().set_len(100 * 40 - 1).unwrap(),
        &|io| write_all_at(&*io.open(&path).unwrap(), &[0; 40], 99 * 40).unwrap(),
    ];
    for damage in damage {
        let io = io.crash(0);
        damage(&io);
        let before = tree(&io, dir);
        let result = QueueStore::restore(Arc::new(io.clone()), dir, &spans);
        assert!(matches!(result, Err(QueueError::Missing { needed: 4000, .. })));
        assert!(tree(&io, dir) == before);
    }
    let store = QueueStore::restore(Arc::new(io.clone()), dir, &spans).unwrap();
    write_all_at(&*io.open(&path).unwrap(), &[0; 40], 50 * 40).unwrap();
    let error = store
        .read(at(2, 0), QueueOffset(40), 32, &mut Vec::new())
        .unwrap_err();
    assert!(error.to_string().contains("damaged at byte 2000"), "{error}");
}

#[test]
fn a_file_that_somebody_has_removed_is_told_with_what_to_do() {
    let io = FaultyIo::new(0);
    let (queue, dir) = (at(1, 0), Path::new("/data/queue"));
    let store = QueueStore::create(Arc::new(io.clone()), dir).unwrap();
    append(&store, queue, 0..100);
    let spans = checkpoint(&store, &io, &[queue]);
    let store = QueueStore::restore(Arc::new(io.clone()), dir, &spans).unwrap();
    io.remove(&dir.join("1/0/00000000000000000000.cq")).unwrap();
    let error = store.read(queue, QueueOffset(3), 5, &mut Vec::new()).unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains(".cq is gone: somebody has removed it; restart the broker")
            && said.contains("`sluicectl log verify"),
        "{said}"
    );
}

#[test]
fn a_removed_topics_files_go_when_no_checkpoint_counts_on_them() {
    let io = FaultyIo::new(0);
    let dir = Path::new("/q");
    let store = QueueStore::create(Arc::new(io.clone()), dir).unwrap();
    append(&store, at(1, 0), 0..100);
    append(&store, at(2, 0), 0..100);
    let under_way = spans(&store, &[at(1, 0), at(2, 0)]);
    store.remove_topic(TopicId(1));
    assert_eq!(
        store.read(at(1, 0), QueueOffset(0), 32, &mut Vec::new()).unwrap(),
        0
    );
    let ends: Vec<_> = under_way.iter().map(|span| (span.at, span.end)).collect();
    store.flush_tails(&ends).unwrap();
    store.checkpoint_done().unwrap();
    QueueStore::restore(Arc::new(io.crash_keeping_all()), dir, &under_way).unwrap();
    assert_eq!(checkpoint(&store, &io, &[at(1, 0), at(2, 0)]).len(), 1);
    assert_eq!(io.list(dir).unwrap().len(), 2);
    checkpoint(&store, &io, &[at(2, 0)]);
    assert_eq!(io.list(dir).unwrap(), [PathBuf::from("2")]);
}

#[test]
fn what_a_replay_removes_waits_in_no_memory_and_a_checkpoint_from_before_still_finds_it() {
    let io = FaultyIo::new(0);
    let dir = Path::new("/q");
    let store = QueueStore::create(Arc::new(io.clone()), dir).unwrap();
    let mut early = Vec::new();
    for topic in 0..50 {
        append(&store, at(topic, 0), 0..1000);
        early = spans(&store, &[at(topic, 0)]);
        store.remove_topic(TopicId(topic));
        store.flush_removed().unwrap();
        assert_eq!(store.unflushed_entries(), 0);
    }
    // A snapshot that was taken before the last removal is written after it.
    let ends: Vec<_> = early.iter().map(|span| (span.at, span.end)).collect();
    store.flush_tails(&ends).unwrap();
    QueueStore::restore(Arc::new(io.crash_keeping_all()), dir, &early).unwrap();
    for _ in 0..3 {
        store.checkpoint_done().unwrap();
    }
    assert_eq!(io.list(dir).unwrap(), Vec::<PathBuf>::new());
    assert_eq!(store.unflushed_entries(), 0);
}

#[test]
fn memory_is_bounded_whatever_the_number_of_queues() {
    let io = FaultyIo::new(0);
    let store = QueueStore::create(Arc::new(io.clone()), Path::new("/q")).unwrap();
    let queues = 200;
    for queue in 0..queues {
        append(&store, at(1, queue), 0..4000);
    }
    let all: Vec<_> = (0..queues).map(|queue| at(1, queue)).collect();
    checkpoint(&store, &io, &all);
    let held = |queue| 4000 - store.hot_from(at(1, queue)).0;
    let total: u64 = (0..queues).map(held).sum();
    assert!(total <= 512 * 1024 && total > 500 * 1024, "{total}");
    assert_eq!(
        (held(0), held(queues - 1)),
        (0, 4000),
        "the least recently used gave way"
    );
    assert_reads(&store, at(1, 0), 17, 100, 4000);
    append(&store, at(1, 0), 4000..4001);
    assert_reads(&store, at(1, 0), 3990, 100, 4001);
}

#[test]
fn a_failed_flush_is_made_good_by_the_next() {
    let io = FaultyIo::new(0);
    let dir = Path::new("/q");
    let store = QueueStore::create(Arc::new(io.clone()), dir).unwrap();
    append(&store, at(1, 0), 0..FILE_ENTRIES + 10);
    let snapshot = [(at(1, 0), QueueOffset(FILE_ENTRIES + 10))];
    io.plant(sluice_store::io::Fault::NoSpace {
        after: FILE_BYTES / 2,
    });
    assert!(store.flush_tails(&snapshot).unwrap_err().is_full_disk());
    assert_reads(&store, at(1, 0), 0, usize::MAX >> 1, FILE_ENTRIES + 10);
    io.lift_no_space();
    io.plant(sluice_store::io::Fault::ShortWrites);
    assert_eq!(store.flush_tails(&snapshot).unwrap().entries, FILE_ENTRIES + 10);
    let lens: Vec<_> = tree(&io, dir).values().map(Vec::len).collect();
    assert_eq!(lens, [FILE_BYTES as usize, 400]);
}
