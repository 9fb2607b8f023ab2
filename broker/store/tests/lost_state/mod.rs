//! Stores of which no checkpoint has a part of state whole any more.
#![allow(dead_code, reason = "each test file uses a part of it")]

mod killed;

#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use killed::killed;

use crate::repairs::*;
use sluice_store::io::{FaultyIo, LogIo, read_exact_at};
use sluice_store::repair::{Accepted, Plan, RepairError, plan};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A part's name as the roots have it: kind and ids.
pub type Part = (u8, [u32; 3]);

pub fn folder() -> PathBuf {
    Path::new(DIR).join("checkpoint")
}

pub fn names(io: &FaultyIo, suffix: &str) -> Vec<PathBuf> {
    let mut names = io.list(&folder()).unwrap();
    names.retain(|name| name.extension().is_some_and(|ext| ext == suffix));
    names.into_iter().map(|name| folder().join(name)).collect()
}

pub fn read(io: &FaultyIo, path: &Path) -> Vec<u8> {
    let file = io.open_read(path).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    read_exact_at(&*file, &mut bytes, 0).unwrap();
    bytes
}

/// The parts of all roots: where each stands, in which pack.
pub fn parts(io: &FaultyIo) -> Vec<(Part, u64, u64)> {
    names(io, "root")
        .iter()
        .flat_map(|root| parts_of(io, root))
        .collect()
}

pub fn parts_of(io: &FaultyIo, root: &Path) -> Vec<(Part, u64, u64)> {
    let mut found = Vec::new();
    let bytes = read(io, root);
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let mut at = 48 + number(40) as usize;
    for _ in 0..number(44) {
        let ids = [1, 5, 9].map(|n| number(at + n));
        found.push(((bytes[at], ids), long(at + 13), long(at + 21)));
        at += 37;
    }
    found
}

/// A copy in which every version of a part is damaged; checkpoints that have none are not there.
pub fn without(whole: &FaultyIo, part: Part) -> FaultyIo {
    let io = damaged_in(whole, part);
    for root in names(&io, "root") {
        if !parts_of(&io, &root).iter().any(|(found, ..)| *found == part) {
            io.remove(&root).unwrap();
        }
    }
    io
}

/// A copy in which every version of a part is damaged, with all checkpoints.
pub fn damaged_in(whole: &FaultyIo, part: Part) -> FaultyIo {
    let io = whole.crash_keeping_all();
    let places: BTreeSet<(u64, u64)> = parts(&io)
        .into_iter()
        .filter(|(found, ..)| *found == part)
        .map(|(_, pack, at)| (pack, at))
        .collect();
    for (pack, at) in places {
        flip(&io, &folder().join(format!("{pack:020}.pack")), at, 3);
    }
    io
}

pub fn plan_of(io: &FaultyIo) -> Result<Plan, RepairError> {
    let accepted = Accepted {
        lost_state: true,
        ..Accepted::default()
    };
    plan(&shared(io), Path::new(DIR), &accepted)
}

/// The damaged copy is refused, and starts after what the refusal says. Answers what was said to be lost.
pub fn goes_on(io: &FaultyIo) -> Vec<String> {
    let roots = names(io, "root");
    let said = start(io).err().expect("a start without the part").to_string();
    assert!(
        said.ends_with("sluicectl log repair /data/broker-a --accept-lost-state"),
        "{said}"
    );
    assert_eq!(names(io, "root"), roots, "the start has changed something");
    assert_eq!(look(io).refused.as_ref(), Some(&said));
    // Who reads only its beginning loses nothing.
    assert!(said.contains("copy the folder"), "{said}");
    assert!(!said.contains("move the folder away"), "{said}");
    let plan = plan_of(io).unwrap();
    let before: Vec<(PathBuf, Vec<u8>)> = roots.iter().map(|root| (root.clone(), read(io, root))).collect();
    let saved = plan.run(&shared(io)).unwrap().saved;
    let is_there = |ending: &str| saved.iter().any(|path| path.to_str().unwrap().ends_with(ending));
    assert!(is_there(".root.bak") && is_there(".pack.bak"), "{saved:?}");
    for root in saved
        .iter()
        .filter(|path| path.to_str().unwrap().ends_with(".root.bak"))
    {
        let (_, bytes) = before
            .iter()
            .find(|(old, _)| *old == root.with_extension(""))
            .unwrap();
        assert_eq!(read(io, root), *bytes, "{root:?}");
    }
    assert!(
        plan_of(io)
            .unwrap_err()
            .to_string()
            .contains("a start needs nothing")
    );
    assert_eq!(look(io).refused, None);
    plan.loss.state
}
