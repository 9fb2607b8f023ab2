//! What retention gives up becomes the next segment: clean, and only when nobody looks at it.
#![cfg(test)]

mod log_bench;

use bytes::Bytes;
use log_bench::{Answer, Bench, identity, message, options};
use sluice_core::command::Command;
use sluice_core::entry::QueueEntry;
use sluice_store::io::{LogIo, RealIo};
use sluice_store::log::{Frame, Identity, LogId, LogOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant;

/// Several of the pieces in which a file is cleaned.
const SEGMENT: u64 = 1 << 20;

fn open(dir: &Path) -> Bench {
    let identity = Identity {
        segment_bytes: SEGMENT,
        ..identity()
    };
    let options = LogOptions {
        identity,
        ..options(dir)
    };
    Bench::open_with(Arc::new(RealIo::new()), options).unwrap()
}

/// Fills so many segments more; what is committed is answered.
fn fill(bench: &mut Bench, segments: u64) {
    let until = bench.parts.writer.tail().physical.0 + segments * SEGMENT;
    let mut answers: Vec<Answer> = Vec::new();
    let mut number = 0;
    while bench.parts.writer.tail().physical.0 < until {
        answers.push(bench.propose(vec![message(number, 20_000)]));
        bench.run();
        number += 1;
    }
    assert!(answers.iter().all(|answer| answer.try_recv().is_ok()));
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let names = RealIo::new().list(&dir.join("log")).unwrap();
    let is_segment = |name: &PathBuf| name.extension().is_some_and(|ext| ext == "seg");
    names.into_iter().filter(is_segment).collect()
}

fn has(dir: &Path, name: &str) -> bool {
    files(dir).iter().any(|file| file.ends_with(name))
}

/// Gives up everything before the second segment.
fn purge_first(bench: &mut Bench, dir: &Path) {
    let base = |file: &PathBuf| file.file_stem()?.to_str()?.parse::<u64>().ok();
    let second = files(dir).iter().filter_map(base).nth(1).unwrap();
    let frames = bench.all();
    let last = frames.iter().rfind(|frame| frame.start().0 < second).unwrap();
    let upto = LogId {
        term: last.header().term,
        index: last.index(),
    };
    let (done, answer) = channel();
    let done = Box::new(move |result| done.send(result).unwrap());
    bench.parts.log.purge_to(upto, done);
    bench.run();
    answer.recv().unwrap().unwrap();
}

fn kept(bench: &Bench) -> Vec<Frame> {
    let start = bench.parts.log.start();
    let all = bench.all();
    all.into_iter().filter(|frame| frame.start() >= start).collect()
}

#[test]
fn a_segment_that_is_given_up_is_the_next_one_and_shows_nothing_of_what_it_held() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let mut bench = open(dir);
    fill(&mut bench, 2);
    purge_first(&mut bench, dir);
    assert!(has(dir, "recycled.seg"), "{:?}", files(dir));
    bench.prefill().unwrap();
    assert!(
        has(dir, "spare.seg") && !has(dir, "recycled.seg"),
        "{:?}",
        files(dir)
    );
    let spare = std::fs::read(dir.join("log/spare.seg")).unwrap();
    assert!(spare.iter().all(|byte| *byte == 0), "it is clean");

    fill(&mut bench, 1);
    assert!(!has(dir, "spare.seg"), "the log has it");
    bench.check_reads(&kept(&bench));
    let before = bench.parts.writer.tail();
    let frames = kept(&bench);
    drop(bench);
    let bench = open(dir);
    assert_eq!(bench.cut, None, "nothing of before stands behind the log's end");
    assert_eq!(bench.replayed, frames);
    assert!(bench.parts.writer.tail().physical >= before.physical);
}

#[test]
fn a_segment_of_which_somebody_has_a_record_is_removed_and_the_record_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let mut bench = open(dir);
    fill(&mut bench, 3);
    let record = read(&bench, &large_behind(&bench, 0));
    let before = record.to_vec();
    purge_first(&mut bench, dir);
    assert!(!has(dir, "recycled.seg"), "{:?}", files(dir));
    bench.prefill().unwrap();
    assert!(record == before);
    drop(record);
    // Nobody looks at the next one.
    purge_first(&mut bench, dir);
    assert!(
        has(dir, "recycled.seg") || has(dir, "spare.seg"),
        "{:?}",
        files(dir)
    );
}

/// The first frame of a large message behind `offset`.
fn large_behind(bench: &Bench, offset: u64) -> Frame {
    let frames = bench.all();
    let mut large = frames
        .into_iter()
        .filter(|frame| frame.header().count == 1 && frame.bytes().len() > 20_000);
    large.find(|frame| frame.start().0 > offset).unwrap()
}

/// Its record, read from the log's files.
fn read(bench: &Bench, frame: &Frame) -> Bytes {
    let (_, at, command) = frame.commands().next().unwrap();
    let reader = bench.parts.log.reader();
    assert!(!reader.is_hot(at), "a record in memory maps nothing");
    let read = reader.read_command(at, command.len() as u32).unwrap();
    assert_eq!(read, command);
    read
}

/// Looks at the record past its segment's map, as is done where it is damaged.
fn look_afresh(bench: &Bench, frame: &Frame) {
    let (_, physical, command) = frame.commands().next().unwrap();
    let Ok((put_ms, Command::Append(append))) = Command::decode(&command) else {
        panic!("a message");
    };
    let entry = QueueEntry {
        physical,
        size: command.len() as u32,
        put_ms,
        tag_hash: append.tag_hash,
        group_hash: append.group_hash,
        flags: append.flags,
        ..QueueEntry::default()
    };
    let reader = bench.parts.log.reader();
    assert_eq!(reader.read_message_afresh(&entry).unwrap(), command);
}

#[test]
fn a_record_that_somebody_has_stays_as_it_was_though_its_map_gave_way_to_others() {
    for is_second_look in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let mut bench = open(dir);
        fill(&mut bench, 5);
        let first = large_behind(&bench, 0);
        let record = read(&bench, &first);
        let before = record.to_vec();
        if is_second_look {
            look_afresh(&bench, &large_behind(&bench, first.start().0));
        } else {
            for segment in 1..=2 {
                read(&bench, &large_behind(&bench, segment * SEGMENT));
            }
        }
        purge_first(&mut bench, dir);
        bench.prefill().unwrap();
        // What takes the file's place is written.
        fill(&mut bench, 2);
        assert!(record == before, "second look: {is_second_look}");
    }
}

#[test]
fn what_a_kill_leaves_half_clean_is_removed_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let mut bench = open(dir);
    fill(&mut bench, 2);
    purge_first(&mut bench, dir);
    assert!(has(dir, "recycled.seg"));
    let frames = kept(&bench);
    drop(bench);
    let bench = open(dir);
    assert!(
        !has(dir, "recycled.seg") && !has(dir, "spare.seg"),
        "{:?}",
        files(dir)
    );
    assert_eq!(bench.replayed, frames);
}

/// The segments of this folder that the process has open and that have no name any more.
fn nameless(dir: &Path) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let files = open.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
    let is_nameless = |file: &PathBuf| {
        let name = file.to_string_lossy();
        file.starts_with(dir) && name.ends_with(".seg (deleted)")
    };
    files.filter(is_nameless).count()
}

#[test]
fn the_space_of_a_removed_segment_is_given_back_by_who_had_it_removed_and_not_by_the_log_thread() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let mut bench = open(dir);
    fill(&mut bench, 3);
    purge_first(&mut bench, dir);
    assert!(has(dir, "recycled.seg"));
    assert_eq!(nameless(dir), 0);
    purge_first(&mut bench, dir);
    assert_eq!(nameless(dir), 1, "the log thread has taken its name, and no more");
    bench.parts.log.free_removed();
    assert_eq!(nameless(dir), 0);
}

/// The maps of segments in this folder that the process has, by what the system calls their files.
fn maps(dir: &Path) -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let dir = dir.to_string_lossy();
    let of_segments = maps
        .lines()
        .filter_map(|line| line.find(&*dir).map(|at| &line[at..]));
    of_segments.map(str::to_owned).collect()
}

/// Reads a record of the first segment, which maps it.
fn read_first(bench: &Bench, dir: &Path) {
    let start = bench.parts.log.start();
    let frame = bench
        .all()
        .into_iter()
        .find(|frame| frame.start() == start)
        .unwrap();
    read(bench, &frame);
    assert_eq!(maps(dir).len(), 1, "{:?}", maps(dir));
}

#[test]
fn the_map_of_a_segment_that_is_given_up_is_taken_apart_by_who_had_it_given_up_and_not_by_the_log_thread() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let mut bench = open(dir);
    fill(&mut bench, 4);
    for what in ["recycled.seg", ".seg (deleted)"] {
        read_first(&bench, dir);
        purge_first(&mut bench, dir);
        let left = maps(dir);
        assert!(left.len() == 1 && left[0].ends_with(what), "{left:?}");
        bench.parts.log.free_removed();
        assert_eq!(maps(dir), [""; 0]);
    }
}

/// Several pieces in which a file goes back to the disk.
const LARGE: u64 = 12 << 20;

#[test]
fn what_becomes_no_segment_goes_back_piece_by_piece_and_a_record_of_it_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let identity = Identity {
        segment_bytes: LARGE,
        ..identity()
    };
    let options = LogOptions {
        identity,
        ..options(dir)
    };
    let mut bench = Bench::open_with(Arc::new(RealIo::new()), options).unwrap();
    let mut number = 0;
    while bench.parts.writer.tail().physical.0 < 4 * LARGE {
        bench.propose(vec![message(number, 1_000_000)]);
        bench.run();
        number += 1;
    }
    // The first one is recycled, the second one has a reader, and nobody wants the third one.
    let record = read(&bench, &large_behind(&bench, LARGE));
    let before = record.to_vec();
    for given_up in 1..=3 {
        purge_first(&mut bench, dir);
        bench.parts.log.free_removed();
        let leaves = bench.parts.log.leaving_bytes();
        assert_eq!(leaves > 0, given_up == 3, "{leaves} of {given_up}");
    }
    let (mut now, mut pieces) = (Instant::now(), 0);
    let mut leaving = bench.parts.log.leaving_bytes();
    assert!(leaving > LARGE * 3 / 4, "as much as was written to it: {leaving}");
    while let Some(wait) = bench.parts.prefill.give_back(now) {
        let left = bench.parts.log.leaving_bytes();
        assert!(left < leaving, "{left} of {leaving}");
        (leaving, now, pieces) = (left, now + wait, pieces + 1);
    }
    assert_eq!((leaving, pieces), (0, 3));
    assert!(record == before);
}
