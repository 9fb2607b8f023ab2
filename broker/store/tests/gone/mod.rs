//! Files of the log that are taken away, and what is done then: what the refused start prints.
#![allow(dead_code, reason = "each test file uses a part of it")]

use crate::repairs::*;
use crate::workload::Driver;
use sluice_store::io::{FaultyIo, LogIo};
use sluice_store::repair::{Accepted, Done, Plan, Range, RepairError, plan};
use std::path::{Path, PathBuf};

pub const ALL: Accepted<'static> = Accepted {
    ranges: &[],
    places: &[],
    wider: false,
    new_meta: true,
    lost_state: false,
};

pub fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

pub fn remove(io: &FaultyIo, path: &Path) {
    io.remove(path).unwrap();
    io.sync_dir(path.parent().unwrap()).unwrap();
}

pub fn cut(io: &FaultyIo, path: &Path, len: u64) {
    let file = io.open(path).unwrap();
    file.set_len(len).unwrap();
    file.sync_data().unwrap();
}

/// All that is in a folder of the store, and the folder.
pub fn remove_folder(io: &FaultyIo, folder: &Path) {
    for name in io.list(folder).unwrap() {
        let path = folder.join(name);
        match io.open_read(&path) {
            Ok(_) => remove(io, &path),
            Err(_) => remove_folder(io, &path),
        }
    }
    io.remove_dir(folder).unwrap();
}

pub fn remove_meta(io: &FaultyIo) {
    for name in ["meta.a", "meta.b"] {
        remove(io, &path(name));
    }
}

pub fn plan_of(io: &FaultyIo, ranges: &[Range], new_meta: bool) -> Result<Plan, RepairError> {
    let accepted = Accepted {
        ranges,
        new_meta,
        ..Accepted::default()
    };
    plan(&shared(io), Path::new(DIR), &accepted)
}

/// What a refused start prints: the ranges, and whether meta is to be made again.
pub fn printed(io: &FaultyIo) -> (Vec<Range>, bool) {
    let said = unchanged(io, refusal);
    let (_, command) = said
        .rsplit_once("sluicectl log repair /data/broker-a")
        .unwrap_or_else(|| panic!("there is no command in: {said}"));
    assert_eq!(
        sluice_store::repair::way_on(Path::new(DIR), &look(io).log).unwrap(),
        format!("sluicectl log repair /data/broker-a{command}")
    );
    let words: Vec<&str> = command.split_whitespace().collect();
    let ranges = words.iter().filter_map(|word| word.parse().ok()).collect();
    (ranges, words.contains(&"--make-meta"))
}

/// What `start` answers, which makes, changes and removes neither a file nor a folder.
pub fn unchanged(io: &FaultyIo, start: impl FnOnce(&FaultyIo) -> String) -> String {
    let before = listing(io);
    let said = start(io);
    let after = listing(io);
    let differs = before.iter().filter(|file| !after.contains(file));
    let differs: Vec<_> = differs
        .chain(after.iter().filter(|file| !before.contains(file)))
        .collect();
    assert!(
        differs.is_empty(),
        "a refused start has changed {differs:?}: {said}"
    );
    said
}

/// Every file, and how long it is; and every folder.
fn listing(io: &FaultyIo) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(DIR)];
    while let Some(folder) = folders.pop() {
        for name in io.list(&folder).unwrap() {
            let path = folder.join(name);
            match io.open_read(&path) {
                Ok(file) => found.push((path, file.len().unwrap())),
                Err(_) => {
                    found.push((path.clone(), u64::MAX));
                    folders.push(path);
                }
            }
        }
    }
    let prepared = ["lock", "spare.seg", "recycled.seg"];
    found.retain(|(path, _)| !prepared.iter().any(|name| path.ends_with(name)));
    // Left of a repair that was stopped.
    found.retain(|(path, _)| path.extension().is_none_or(|ext| ext != "tmp"));
    found.sort();
    found
}

/// Does what the start has printed, once, and answers what was agreed to.
pub fn follow(io: &FaultyIo) -> (Vec<Range>, Done) {
    let (ranges, new_meta) = printed(io);
    let plan = plan_of(io, &ranges, new_meta).unwrap_or_else(|error| panic!("{ranges:?}: {error}"));
    assert!(!plan.is_done);
    let done = plan.run(&shared(io)).unwrap();
    assert!(plan_of(io, &ranges, new_meta).unwrap().is_done, "{ranges:?}");
    (ranges, done)
}

/// It starts, takes messages, and starts again.
pub fn goes_on(io: &FaultyIo) {
    let mut driver = Driver::new(start(io).unwrap(), 99).without_administrators();
    (0..5).for_each(|_| driver.round(300).unwrap());
    driver.opened.store.close().unwrap();
    sound(io);
    start(io).unwrap().store.close().unwrap();
}
