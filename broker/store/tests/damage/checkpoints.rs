//! Which checkpoints a damaged store still has, by their bytes alone: what a start ought to find, told without its code.

use super::base::{DIR, all_files, files};
use super::harm::read;
use sluice_store::io::{FaultyIo, LogIo};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Bytes before a pack's first part.
const PACK_HEADER: usize = 24;
/// Bytes before a root's header.
const ROOT_HEADER: usize = 48;
/// Bytes of what a root says of a part.
const ENTRY: usize = 37;

/// The roots that are as in the sound store, with all parts that they name.
pub fn whole_roots(io: &FaultyIo, sound: &FaultyIo) -> Vec<PathBuf> {
    let is_there = |path: &PathBuf| io.open_read(path).is_ok();
    let is_whole = |path: &PathBuf| {
        let root = read(sound, path);
        is_there(path) && read(io, path) == root && has_parts(io, sound, &root)
    };
    files(sound, "root").into_iter().filter(is_whole).collect()
}

fn has_parts(io: &FaultyIo, sound: &FaultyIo, root: &[u8]) -> bool {
    let number = |at: usize, bytes: usize| {
        let bytes = root[at..at + bytes].iter().rev();
        bytes.fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let (header, count) = (number(40, 4), number(44, 4));
    (0..count).all(|n| {
        let at = ROOT_HEADER + header + n * ENTRY;
        let (pack, place, len) = (number(at + 13, 8), number(at + 21, 8), number(at + 29, 4));
        let path = Path::new(DIR).join(format!("checkpoint/{pack:020}.pack"));
        let sound = read(sound, &path);
        let found = io
            .open_read(&path)
            .map_or_else(|_| Vec::new(), |_| read(io, &path));
        [0..PACK_HEADER, place..place + len]
            .into_iter()
            .all(|part| found.get(part.clone()) == Some(&sound[part]))
    })
}

/// All files and what they hold, but for what the next segment is made of.
pub fn everything(io: &FaultyIo) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = all_files(io).into_iter();
    all.map(|path| (path.clone(), read(io, &path))).collect()
}
