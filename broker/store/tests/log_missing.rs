//! Segments that are missing or cut short: a log that is known to have been longer is refused, and left as it is.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod log_bench;
mod workload;

use log_bench::{Bench, SEGMENT, message, options, outcome};
use sluice_core::ids::PhysicalOffset;
use sluice_core::log::{NotProposed, Outcome};
use sluice_store::StoreError;
use sluice_store::io::{Fault, FaultyIo, LogIo, read_exact_at, write_all_at};
use sluice_store::log::{Frame, LogError, LogId, Opening};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;
use workload::{Driver, check};

const PAGE: u64 = 4096;

fn dir() -> &'static Path {
    Path::new("/data/broker-a")
}

fn open(io: &FaultyIo) -> Result<Bench, LogError> {
    Bench::open(Arc::new(io.clone()), dir())
}

fn begin(io: &FaultyIo) -> Opening {
    Bench::begin(Arc::new(io.clone()), dir()).unwrap()
}

/// The segments' paths and bases, in order.
fn segments(io: &FaultyIo) -> Vec<(PathBuf, u64)> {
    let log = dir().join("log");
    let names = io.list(&log).unwrap().into_iter();
    let base = |name: &Path| name.to_str()?.strip_suffix(".seg")?.parse().ok();
    names
        .filter_map(|name| base(&name).map(|base| (log.join(&name), base)))
        .collect()
}

/// Appends messages, each acknowledged, until the log is so long.
fn fill(bench: &mut Bench, to: u64) {
    let mut n = 0;
    while bench.parts.writer.tail().physical.0 < to {
        let answer = bench.propose(vec![message(n, 9000)]);
        bench.run();
        assert!(matches!(outcome(&answer), Some(Outcome::Applied(_))));
        n += 1;
    }
}

/// What a kill leaves of a log of four segments, and its frames.
fn killed() -> (FaultyIo, Vec<Frame>) {
    let io = FaultyIo::new(3);
    let mut bench = open(&io).unwrap();
    fill(&mut bench, 3 * SEGMENT + SEGMENT / 4);
    let frames = bench.all();
    drop(bench);
    (io.crash_losing_all(), frames)
}

/// What a clean stop leaves of it; the durable slot stands at the end, which is answered too.
fn stopped() -> (FaultyIo, u64) {
    let io = FaultyIo::new(3);
    let mut bench = open(&io).unwrap();
    fill(&mut bench, 3 * SEGMENT + SEGMENT / 4);
    bench.now += Duration::from_millis(60);
    bench.run();
    let end = bench.parts.writer.tail().physical.0;
    drop(bench);
    let io = io.crash_losing_all();
    assert_eq!(begin(&io).durable().0, end);
    (io, end)
}

fn cut(io: &FaultyIo, path: &Path, len: u64) {
    let file = io.open(path).unwrap();
    file.set_len(len).unwrap();
    file.sync_data().unwrap();
}

/// The files of the log and their lengths, but for what was given up: a start removes that.
fn listing(io: &FaultyIo) -> Vec<(PathBuf, u64)> {
    let log = dir().join("log");
    let names = io.list(&log).unwrap().into_iter().map(|name| log.join(name));
    names
        .filter(|path| !path.ends_with("recycled.seg"))
        .map(|path| (path.clone(), io.open_read(&path).unwrap().len().unwrap()))
        .collect()
}

/// What a start says that refuses the log and changes none of its files.
fn refusal(io: &FaultyIo, what: &str) -> (PathBuf, u64, String) {
    let before = listing(io);
    match open(io) {
        Ok(_) => panic!("{what}: the log starts"),
        Err(LogError::Corruption { file, offset, reason }) => {
            assert_eq!(listing(io), before, "{what}: files were changed");
            (file, offset, reason)
        }
        Err(other) => panic!("{what}: {other}"),
    }
}

#[test]
fn a_log_that_is_gone_with_its_folder_is_refused_and_no_other_segment_size_is_noted() {
    let (io, _) = stopped();
    let log = dir().join("log");
    for name in io.list(&log).unwrap() {
        io.remove(&log.join(name)).unwrap();
    }
    io.remove_dir(&log).unwrap();
    let meta = || {
        ["meta.a", "meta.b"].map(|name| {
            let file = io.open_read(&dir().join(name)).unwrap();
            let mut bytes = vec![0; file.len().unwrap() as usize];
            read_exact_at(&*file, &mut bytes, 0).unwrap();
            bytes
        })
    };
    let before = (io.list(dir()).unwrap(), meta());
    let mut asked = options(dir());
    asked.identity.segment_bytes = 2 * SEGMENT;
    let refused = Opening::begin(Arc::new(io.clone()), asked).err().unwrap();
    assert!(matches!(refused, LogError::Corruption { .. }), "{refused}");
    assert!(
        (io.list(dir()).unwrap(), meta()) == before,
        "the start has changed something"
    );
}

#[test]
fn a_newest_segment_that_ends_below_the_durable_slot_is_refused() {
    let (base, end) = stopped();
    let (newest, start) = segments(&base).pop().unwrap();
    let needed = PAGE + end - start;
    for len in [PAGE, (PAGE + needed) / 2, needed - 1] {
        let io = base.crash_losing_all();
        cut(&io, &newest, len);
        let (file, offset, reason) = refusal(&io, &format!("cut at {len}"));
        assert_eq!((&file, offset), (&newest, len));
        let missing = format!("{} bytes are missing", needed - len);
        assert!(reason.contains(&missing), "{reason}");
    }
    for len in [0, 100, 1000] {
        let io = base.crash_losing_all();
        cut(&io, &newest, len);
        assert_eq!(refusal(&io, &format!("cut at {len}")).0, newest);
    }
    let io = base.crash_losing_all();
    cut(&io, &newest, needed);
    assert_eq!(open(&io).unwrap().replayed.last().unwrap().end().0, end);
}

#[test]
fn a_sealed_segment_that_ends_before_the_next_one_begins_is_refused() {
    let (base, end) = stopped();
    let segments = segments(&base);
    for pair in segments.windows(2) {
        let [(path, start), (_, next)] = pair else {
            unreachable!("windows of two");
        };
        let needed = PAGE + next - start;
        for len in [PAGE, needed / 2, needed - 1] {
            let io = base.crash_losing_all();
            cut(&io, path, len);
            let (file, offset, reason) = refusal(&io, &format!("{} cut at {len}", path.display()));
            assert_eq!((&file, offset), (path, len));
            assert!(reason.contains(&next.to_string()), "{reason}");
        }
        let io = base.crash_losing_all();
        cut(&io, path, needed);
        assert_eq!(open(&io).unwrap().replayed.last().unwrap().end().0, end);
    }
}

#[test]
fn a_log_without_its_first_segment_is_refused() {
    let (io, _) = stopped();
    let (first, _) = segments(&io).remove(0);
    io.remove(&first).unwrap();
    let (file, _, reason) = refusal(&io, "no first segment");
    assert_eq!(file, first);
    assert!(reason.contains("index 0"), "{reason}");
}

/// Purges the first segment; answers where the second begins, and up to where was purged.
fn purge_first(io: &FaultyIo, bench: &mut Bench) -> (u64, LogId) {
    let second = segments(io)[1].1;
    let frames = bench.all();
    let upto = frames.iter().find(|frame| frame.start().0 > second).unwrap();
    let upto = LogId {
        term: upto.header().term,
        index: upto.index(),
    };
    let (done, answer) = channel();
    let done = Box::new(move |result| done.send(result).unwrap());
    bench.parts.log.purge_to(upto, done);
    bench.run();
    answer.recv().unwrap().unwrap();
    (second, upto)
}

#[test]
fn a_purged_log_begins_where_meta_says_and_no_later() {
    let io = FaultyIo::new(3);
    let mut bench = open(&io).unwrap();
    fill(&mut bench, 3 * SEGMENT + SEGMENT / 4);
    let (second, upto) = purge_first(&io, &mut bench);
    drop(bench);
    let left = segments(&io);
    assert_eq!((left.len(), left[0].1), (3, second));
    drop(open(&io.crash_losing_all()).unwrap());
    io.remove(&left[0].0).unwrap();
    let (file, _, reason) = refusal(&io, "the first one left");
    assert_eq!(file, left[1].0);
    assert!(
        reason.contains(&format!("index {}", upto.index.0 + 1)),
        "{reason}"
    );
}

#[test]
fn a_purge_stands_in_both_meta_files_before_a_segment_goes() {
    let io = FaultyIo::new(3);
    let mut bench = open(&io).unwrap();
    fill(&mut bench, 2 * SEGMENT + SEGMENT / 4);
    let (second, _) = purge_first(&io, &mut bench);
    drop(bench);
    for name in ["meta.a", "meta.b"] {
        let io = io.crash_losing_all();
        io.open(&dir().join(name)).unwrap().set_len(20).unwrap();
        let opened = open(&io).map(drop);
        assert!(opened.is_ok(), "without {name}: {opened:?}");
        assert_eq!(segments(&io)[0].1, second);
    }
}

#[test]
fn a_newest_segment_that_had_frames_is_missed_after_a_kill() {
    let (base, frames) = killed();
    let (newest, start) = segments(&base).pop().unwrap();
    assert!(frames.iter().any(|frame| frame.start().0 > start));
    let io = base.crash_losing_all();
    io.remove(&newest).unwrap();
    let (file, _, reason) = refusal(&io, "removed");
    assert_eq!(file, newest);
    assert!(reason.contains("missing"), "{reason}");
    for from in [0, PAGE] {
        let io = base.crash_losing_all();
        let file = io.open(&newest).unwrap();
        // The first page alone, or all of it.
        let len = if from == 0 { file.len().unwrap() } else { PAGE };
        write_all_at(&*file, &vec![0; len as usize], 0).unwrap();
        assert_eq!(refusal(&io, "zeros").0, newest);
    }
    assert!(open(&base).unwrap().replayed == frames);
}

/// Takes the note of the newest segment out of the newest meta file, as if a build had saved it that did not know of it.
fn forget_note(io: &FaultyIo) {
    let generation = |name: &str| {
        let file = io.open(&dir().join(name)).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        read_exact_at(&*file, &mut bytes, 0).unwrap();
        (u64::from_le_bytes(bytes[16..24].try_into().unwrap()), file, bytes)
    };
    let (a, b) = (generation("meta.a"), generation("meta.b"));
    let (_, file, mut bytes) = if a.0 > b.0 { a } else { b };
    let len = u32::from_le_bytes(bytes[8..12].try_into().unwrap()) - 8;
    bytes[8..12].copy_from_slice(&len.to_le_bytes());
    bytes.truncate(len as usize - 4);
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    write_all_at(&*file, &bytes, 0).unwrap();
    file.sync_data().unwrap();
}

#[test]
fn a_newest_segment_that_an_older_build_has_begun_is_noted_by_the_next_start() {
    let (io, frames) = killed();
    let (newest, start) = segments(&io).pop().unwrap();
    assert_eq!(begin(&io).meta().newest_segment.0, start);
    forget_note(&io);
    assert_eq!(begin(&io).meta().newest_segment.0, 0);
    assert!(open(&io).unwrap().replayed == frames);
    assert_eq!(begin(&io).meta().newest_segment.0, start);
    io.remove(&newest).unwrap();
    assert_eq!(refusal(&io, "noted by a start").0, newest);
}

#[test]
fn a_segment_that_meta_cannot_note_is_taken_back_and_comes_when_there_is_space() {
    let io = FaultyIo::new(3);
    // Without a term of its own the log has saved one meta file; the other one is made by the first note.
    let mut bench = Bench::open_only(Arc::new(io.clone()), options(dir())).unwrap();
    io.plant(Fault::NoSpaceBelow {
        folder: dir().join("meta.a"),
        after: 0,
    });
    let mut acknowledged = 0;
    let refused = loop {
        let answer = bench.propose(vec![message(acknowledged, 9000)]);
        bench.run();
        match outcome(&answer) {
            Some(Outcome::Applied(_)) => acknowledged += 1,
            other => break other,
        }
    };
    assert_eq!(refused, Some(Outcome::NotProposed(NotProposed::NoSpace)));
    assert_eq!(segments(&io).len(), 1);
    assert_eq!(segments(&io.crash_keeping_all()).len(), 1);
    assert_eq!(
        Bench::open_only(Arc::new(io.crash(1)), options(dir()))
            .unwrap()
            .replayed
            .len(),
        acknowledged as usize
    );
    io.lift_no_space();
    let answer = bench.propose(vec![message(acknowledged, 9000)]);
    bench.run();
    assert!(matches!(outcome(&answer), Some(Outcome::Applied(_))));
    assert_eq!(segments(&io).len(), 2);
    let all = bench.all();
    assert!(open(&io.crash_losing_all()).unwrap().replayed == all);
}

#[test]
fn a_log_that_ends_below_a_checkpoint_is_refused() {
    let (io, end) = stopped();
    let (newest, start) = segments(&io).pop().unwrap();
    let len = io.open_read(&newest).unwrap().len().unwrap();
    let begin = |at| Opening::begin_reaching(Arc::new(io.clone()), options(dir()), PhysicalOffset(at));
    for at in [0, start, end, start + len - PAGE] {
        begin(at).unwrap();
    }
    for beyond in [start + len - PAGE + 8, start + 10 * SEGMENT] {
        match begin(beyond).map(drop) {
            Err(LogError::Corruption { file, offset, .. }) => assert_eq!((&file, offset), (&newest, len)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_store_whose_log_ends_below_a_checkpoints_name_is_refused_before_anything_is_changed() {
    let io = FaultyIo::new(3);
    let open = || workload::open(Arc::new(io.clone()), dir(), 20_000);
    let mut driver = Driver::new(open().unwrap(), 3);
    driver.make().unwrap();
    (0..20).for_each(|_| driver.round(900).unwrap());
    driver.opened.store.close().unwrap();
    // Not even whole: it got its name when the log was durable up to there.
    let root = dir().join("checkpoint/00000000000099999992.root");
    io.create(&root).unwrap();
    let before = listing(&io);
    match open() {
        Err(StoreError::Damaged { refusal, .. }) => assert_eq!(refusal.file, segments(&io)[0].0),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the store starts"),
    }
    assert_eq!(listing(&io), before);
    assert!(io.open_read(&root).is_ok(), "it was put aside");
    io.remove(&root).unwrap();
    let opened = open().unwrap();
    check(&opened.store, &driver.memory);
    opened.store.close().unwrap();
}

#[test]
fn a_file_that_lacks_only_padding_starts_again_after_the_command_that_the_refusal_gives() {
    let (base, end) = stopped();
    let (newest, start) = segments(&base).pop().unwrap();
    let needed = PAGE + end - start;
    let mut opened = 0;
    for missing in 1..8 {
        let io = base.crash_losing_all();
        cut(&io, &newest, needed - missing);
        let (_, _, reason) = refusal(&io, &format!("{missing} bytes are cut"));
        let command = format!("`truncate -s {needed} {}`", newest.display());
        assert!(reason.contains(&command), "{reason}");
        cut(&io, &newest, needed);
        match open(&io) {
            Ok(bench) => {
                assert_eq!(bench.replayed.last().unwrap().end().0, end);
                opened += 1;
            }
            Err(LogError::Corruption { reason, .. }) => assert!(reason.contains("checksum"), "{reason}"),
            Err(other) => panic!("{other}"),
        }
    }
    println!("{opened} of 7 were padding");
    assert!(opened > 0);
}
