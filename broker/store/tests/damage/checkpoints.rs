//! Which checkpoints a damaged store still has, by their bytes alone: what a start ought to find, told without its code.

use super::base::{DIR, all_files, files};
use super::harm::read;
use sluice_store::io::{FaultyIo, LogIo};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Bytes before a pack's first part.
const PACK_HEADER: usize = 24;
/// Bytes before a root's header.
const ROOT_HEADER: usize = 48;
/// Bytes of what a root says of a part.
const ENTRY: usize = 37;

/// The version of roots that have patches.
const WITH_PATCHES: usize = 2;
/// Bytes of what a root says of a patch.
const PATCH: usize = 28;

/// Where bytes are that roots name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blob {
    pub pack: usize,
    pub offset: usize,
    pub len: usize,
}

impl Blob {
    /// The pack's file.
    pub fn path(&self) -> PathBuf {
        Path::new(DIR).join(format!("checkpoint/{:020}.pack", self.pack))
    }
}

/// A little-endian number.
pub(super) fn number(bytes: &[u8], at: usize, len: usize) -> usize {
    let bytes = bytes[at..at + len].iter().rev();
    bytes.fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Whether this root has patches.
pub fn has_patches(root: &[u8]) -> bool {
    number(root, 8, 4) == WITH_PATCHES
}

/// All blobs that a root names, those of patches too.
fn blobs(root: &[u8]) -> BTreeSet<Blob> {
    let parts_at = ROOT_HEADER + number(root, 40, 4);
    let (parts, patches) = (number(root, 44, 4), number(root, 12, 4));
    let patches_at = parts_at + parts * ENTRY;
    let of_parts = (0..parts).map(|n| parts_at + n * ENTRY + 13);
    let of_patches = (0..patches).map(|n| patches_at + n * PATCH + 4);
    let blob = |at| Blob {
        pack: number(root, at, 8),
        offset: number(root, at + 8, 8),
        len: number(root, at + 16, 4),
    };
    of_parts.chain(of_patches).map(blob).collect()
}

/// The blobs that all roots name, but for those that name none, with which a log begins.
pub fn shared_blobs(io: &FaultyIo) -> Vec<Blob> {
    let roots = files(io, "root").into_iter().map(|root| blobs(&read(io, &root)));
    let roots = roots.filter(|blobs| !blobs.is_empty());
    let shared = roots.reduce(|all, of| all.intersection(&of).copied().collect());
    shared.unwrap_or_default().into_iter().collect()
}

/// The roots that are as in the sound store, with all blobs that they name.
pub fn whole_roots(io: &FaultyIo, sound: &FaultyIo) -> Vec<PathBuf> {
    let is_there = |path: &PathBuf| io.open_read(path).is_ok();
    let is_whole = |path: &PathBuf| {
        let root = read(sound, path);
        is_there(path) && read(io, path) == root && has_blobs(io, sound, &root)
    };
    files(sound, "root").into_iter().filter(is_whole).collect()
}

fn has_blobs(io: &FaultyIo, sound: &FaultyIo, root: &[u8]) -> bool {
    blobs(root).into_iter().all(|blob| {
        let path = blob.path();
        let sound = read(sound, &path);
        let found = io
            .open_read(&path)
            .map_or_else(|_| Vec::new(), |_| read(io, &path));
        [0..PACK_HEADER, blob.offset..blob.offset + blob.len]
            .into_iter()
            .all(|part| found.get(part.clone()) == Some(&sound[part]))
    })
}

/// All files and what they hold, but for what the next segment is made of.
pub fn everything(io: &FaultyIo) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = all_files(io).into_iter();
    all.map(|path| (path.clone(), read(io, &path))).collect()
}
