//! The log on real files: written, read back, opened again.

mod log_bench;

use log_bench::{Bench, SEGMENT, message, outcome};
use sluice_core::ids::LogIndex;
use sluice_core::log::Outcome;
use sluice_store::io::RealIo;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn what_was_acknowledged_is_read_by_offset_and_by_index_before_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let io = Arc::new(RealIo::default());
    let mut bench = Bench::open(io.clone(), dir.path()).unwrap();
    let mut answers = Vec::new();
    for n in 0..600_u32 {
        answers.push(bench.propose(vec![message(n, 1000)]));
        if n % 7 == 0 {
            bench.run();
        }
    }
    bench.run();
    assert!(
        answers
            .iter()
            .all(|answer| matches!(outcome(answer), Some(Outcome::Applied(_))))
    );
    let committed = bench.committed();
    assert!(committed.last().unwrap().end().0 > 2 * SEGMENT, "three segments");
    bench.check_reads(&committed);
    drop(bench);

    let bench = Bench::open(io, dir.path()).unwrap();
    assert_eq!(bench.replayed[..committed.len()], committed[..]);
    bench.check_reads(&committed);
}

#[test]
fn a_new_log_begins_with_membership_and_every_start_raises_the_term() {
    let dir = tempfile::tempdir().unwrap();
    let io = Arc::new(RealIo::default());
    for start in 1..=3_u64 {
        let bench = Bench::open(io.clone(), dir.path()).unwrap();
        let kinds: Vec<u8> = bench
            .all()
            .iter()
            .map(|frame| frame.header().kind as u8)
            .collect();
        let expected: Vec<u8> = std::iter::once(1).chain((0..start).map(|_| 0)).collect();
        assert_eq!(kinds, expected);
        assert_eq!(bench.parts.writer.tail().term.0, start);
        assert_eq!(bench.all().last().unwrap().index(), LogIndex(start));
    }
}

#[test]
fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let io = Arc::new(RealIo::default());
    let bench = Bench::open(io.clone(), dir.path()).unwrap();
    assert!(Bench::open(io.clone(), dir.path()).is_err());
    drop(bench);
    assert!(Bench::open(io, dir.path()).is_ok());
}

#[test]
fn threads_acknowledge_everything_and_stop_with_nothing_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let io = Arc::new(RealIo::default());
    let bench = Bench::open(io.clone(), dir.path()).unwrap();
    let answers: Vec<_> = (0..2000_u32)
        .map(|n| bench.propose(vec![message(n, 100)]))
        .collect();
    let frames = bench.run_threads();
    assert!(
        answers
            .iter()
            .all(|answer| matches!(outcome(answer), Some(Outcome::Applied(_))))
    );
    let bench = Bench::open(io, dir.path()).unwrap();
    let commands: usize = bench
        .replayed
        .iter()
        .map(|frame| usize::from(frame.header().count))
        .sum();
    assert_eq!(commands, 2001);
    assert!(frames <= 2000);
    assert!(bench.cut.is_none());
}

#[test]
fn a_quiet_log_catches_its_slot_up() {
    let dir = tempfile::tempdir().unwrap();
    let io = Arc::new(RealIo::default());
    let mut bench = Bench::open(io.clone(), dir.path()).unwrap();
    bench.propose(vec![message(1, 100)]);
    bench.run();
    let end = bench.parts.writer.tail().physical;
    bench.now += Duration::from_millis(60);
    bench.run();
    drop(bench);
    assert_eq!(Bench::begin(io, dir.path()).unwrap().durable(), end);
}

#[test]
fn an_empty_log_of_the_usual_size_takes_less_than_64_mib() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = log_bench::options(dir.path());
    options.identity.segment_bytes = 1 << 30;
    let mut bench = Bench::open_with(Arc::new(RealIo::default()), options).unwrap();
    bench.prefill().unwrap();
    let files = ["", "log"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(dir.path().join(folder)).unwrap());
    let bytes: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!((16 << 20..64 << 20).contains(&bytes), "{bytes} bytes");
}
