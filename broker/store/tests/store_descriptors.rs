//! A store on real files in a process that has run out of descriptors. The one test of this process, whose limit it lowers.
#![cfg(test)]

mod workload;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sluice_store::io::{LogIo, RealIo};
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};
use workload::{Driver, check, open};

const DESCRIPTORS: u64 = 256;

/// Takes every descriptor that the process may still have.
fn exhaust() -> Vec<File> {
    let limit = getrlimit(Resource::Nofile);
    let current = Some(DESCRIPTORS);
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
    let mut taken = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => taken.push(file),
            Err(error) => {
                assert_eq!(
                    error.raw_os_error(),
                    Some(rustix::io::Errno::MFILE.raw_os_error())
                );
                return taken;
            }
        }
    }
}

/// Goes on until `done`, which must come.
fn until(driver: &mut Driver, done: impl Fn(&Driver) -> bool) {
    let begun = Instant::now();
    while !done(driver) {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not come");
        driver.round(900).unwrap();
    }
}

#[test]
fn a_process_without_descriptors_keeps_its_store_and_goes_on_when_it_has_some() {
    let dir = tempfile::tempdir().unwrap();
    let io: Arc<dyn LogIo> = Arc::new(RealIo::new());
    let mut driver = Driver::new(open(Arc::clone(&io), dir.path(), 20_000).unwrap(), 1);
    driver.make().unwrap();
    let taken = exhaust();
    // Queue files, runs, checkpoints and at last the next segment all want to be opened for the first time.
    until(&mut driver, |driver| driver.memory.refused_for_space > 0);
    for folder in ["", "log", "checkpoint", "index"] {
        io.sync_dir(&dir.path().join(folder)).unwrap();
    }
    io.sync_all_files(dir.path()).unwrap();
    assert!(!driver.has_failed(), "the store has failed");
    let written = driver.opened.store.stats().2.written();
    drop(taken);
    let sent = driver.memory.acknowledged.len();
    until(&mut driver, |driver| {
        driver.opened.store.stats().2.written() > written + 1 && driver.memory.acknowledged.len() > sent + 50
    });
    assert!(!driver.has_failed());
    driver.opened.store.close().unwrap();
    let opened = open(Arc::new(RealIo::new()), dir.path(), 20_000).unwrap();
    check(&opened.store, &driver.memory);
    opened.store.close().unwrap();
}
