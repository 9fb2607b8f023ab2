//! Files that the log has given up and cannot remove.
#![cfg(test)]

mod log_bench;

use log_bench::{Bench, message};
use sluice_store::io::{Fault, FaultyIo, LogIo};
use sluice_store::log::{LogError, LogId};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;

const DIR: &str = "/data/broker-a";

#[test]
fn files_that_a_purge_cannot_remove_go_with_the_same_purge_later() {
    let io = FaultyIo::new(1);
    let mut bench = Bench::open(Arc::new(io.clone()), Path::new(DIR)).unwrap();
    for n in 0..400 {
        drop(bench.propose(vec![message(n, 3000)]));
        bench.run();
    }
    let segments = |io: &FaultyIo| {
        let names = io.list(&Path::new(DIR).join("log")).unwrap();
        let is_segment = |name: &&PathBuf| name.extension().is_some_and(|ending| ending == "seg");
        names.iter().filter(is_segment).count()
    };
    let before = segments(&io);
    assert!(before >= 4, "{before} segments");
    let last = bench.all().last().unwrap().clone();
    let upto = LogId {
        term: last.header().term,
        index: last.index(),
    };
    let mut purge = || {
        let (done, answer) = channel();
        let done = Box::new(move |result| done.send(result).unwrap());
        bench.parts.log.purge_to(upto, done);
        bench.run();
        answer.recv().unwrap()
    };
    io.plant(Fault::NamesStay { ending: ".seg" });
    for _ in 0..3 {
        assert!(matches!(purge(), Err(LogError::NoSpace)));
    }
    assert_eq!(segments(&io), before);
    io.lift_no_space();
    purge().unwrap();
    // The one that is written to, and one that becomes the next.
    assert_eq!(segments(&io), 2);
}
