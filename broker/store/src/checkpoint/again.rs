//! A checkpoint of which not all can be read: what can, and another one in its place.

use super::pack::{PackReader, PackWriter};
use super::root::{BlobRef, Root};
use super::survey::looking;
use super::{CheckpointError, PACK_SUFFIX, PartKey, ROOT_SUFFIX, patch};
use crate::io::{LogIo, read_exact_at, write_all_at};
use crate::log::LogPosition;
use sluice_core::ids::PhysicalOffset;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names of packs that are tried: frames, and so checkpoints, stand at multiples of 8.
pub(super) const NAMES: u64 = 7;
/// Bytes copied at a time.
const COPIED_BYTES: u64 = 1 << 20;

/// A checkpoint whose root can be read.
pub(crate) struct Readable {
    pub(crate) position: LogPosition,
    /// The caller's header.
    pub(crate) header: Vec<u8>,
    /// The parts that can be read.
    pub(crate) parts: Vec<(PartKey, Vec<u8>)>,
    /// Those that cannot, each with the newest earlier version that can.
    pub(crate) lost: Vec<(PartKey, Option<Earlier>)>,
}

/// A part as an earlier checkpoint has it.
pub(crate) struct Earlier {
    /// Where that stands.
    pub(crate) at: PhysicalOffset,
    pub(crate) bytes: Vec<u8>,
}

/// What can be read of the newest checkpoint whose root can be; `None` if there is none. An error if the disk fails to read, for the
/// next time it may not.
pub(crate) fn readable(io: &Arc<dyn LogIo>, folder: &Path) -> Result<Option<Readable>, CheckpointError> {
    let checkpoints = looking(io, folder);
    let mut roots: Vec<Root> = Vec::new();
    for at in checkpoints.positions()?.into_iter().rev() {
        match checkpoints.read(at, false) {
            Ok((root, _)) => roots.push(root),
            Err(error) => lost(error)?,
        }
    }
    let Some((newest, earlier)) = roots.split_first() else {
        return Ok(None);
    };
    let mut packs = Packs {
        io: io.as_ref(),
        folder,
        open: BTreeMap::new(),
    };
    let mut found = Readable {
        position: newest.position,
        header: newest.header.clone(),
        parts: Vec::new(),
        lost: Vec::new(),
    };
    for key in newest.parts.keys() {
        if let Some(bytes) = packs.read(newest, key)? {
            found.parts.push((*key, bytes));
            continue;
        }
        let mut version = None;
        for root in earlier {
            if let Some(bytes) = packs.read(root, key)? {
                let at = root.position.physical;
                version = Some(Earlier { at, bytes });
                break;
            }
        }
        found.lost.push((*key, version));
    }
    Ok(Some(found))
}

/// Of the checkpoint at a position, whose root can be read, the `wanted` parts that can; it looks at no earlier one.
pub(crate) fn readable_at(
    io: &Arc<dyn LogIo>,
    folder: &Path,
    position: LogPosition,
    wanted: &dyn Fn(&PartKey) -> bool,
) -> Result<Readable, CheckpointError> {
    let (root, _) = looking(io, folder).read(position.physical.0, false)?;
    let mut packs = Packs {
        io: io.as_ref(),
        folder,
        open: BTreeMap::new(),
    };
    let (mut parts, mut lost) = (Vec::new(), Vec::new());
    for key in root.parts.keys().filter(|key| wanted(key)) {
        match packs.read(&root, key)? {
            Some(bytes) => parts.push((*key, bytes)),
            None => lost.push((*key, None)),
        }
    }
    Ok(Readable {
        position,
        header: root.header,
        parts,
        lost,
    })
}

/// Packs, `None` where one cannot be read at all.
struct Packs<'a> {
    io: &'a dyn LogIo,
    folder: &'a Path,
    open: BTreeMap<u64, Option<PackReader>>,
}

impl Packs<'_> {
    /// A part as a root has it; `None` if it has none that can be read.
    fn read(&mut self, root: &Root, key: &PartKey) -> Result<Option<Vec<u8>>, CheckpointError> {
        let Some(part) = root.parts.get(key) else {
            return Ok(None);
        };
        let base = self.blob(&part.base)?;
        let (Some(base), Some(patch)) = (&base, &part.patch) else {
            return Ok(base);
        };
        let patch = self.blob(patch)?;
        Ok(patch.and_then(|patch| patch::apply(base, &patch).ok()))
    }

    fn blob(&mut self, blob: &BlobRef) -> Result<Option<Vec<u8>>, CheckpointError> {
        if !self.open.contains_key(&blob.pack) {
            let path = self.folder.join(format!("{:020}{PACK_SUFFIX}", blob.pack));
            let opened = match PackReader::open(self.io, &path, blob.pack) {
                Ok(reader) => Some(reader),
                Err(error) => lost(error).map(|()| None)?,
            };
            self.open.insert(blob.pack, opened);
        }
        let Some(Some(reader)) = self.open.get_mut(&blob.pack) else {
            return Ok(None);
        };
        match reader.read(blob) {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(error) => lost(error).map(|()| None),
        }
    }
}

/// Whether what cannot be read is damaged or gone for good; else the error.
fn lost(error: CheckpointError) -> Result<(), CheckpointError> {
    match error {
        CheckpointError::Damaged { .. } => Ok(()),
        CheckpointError::Io { source, .. }
            if [ErrorKind::NotFound, ErrorKind::UnexpectedEof].contains(&source.kind()) =>
        {
            Ok(())
        }
        error => Err(error),
    }
}

/// Keeps the checkpoint at a position, root and packs, as `.bak`, durably: another one is going to take its place. What is kept already is
/// not touched. Answers what there is.
pub(crate) fn keep_aside(
    io: &Arc<dyn LogIo>,
    folder: &Path,
    at: PhysicalOffset,
) -> Result<Vec<PathBuf>, CheckpointError> {
    let checkpoints = looking(io, folder);
    let (root, _) = checkpoints.read(at.0, false)?;
    let packs = root.packs().into_iter();
    let packs = packs.map(|pack| checkpoints.path(pack, PACK_SUFFIX));
    let mut kept = Vec::new();
    for path in packs.chain([checkpoints.path(at.0, ROOT_SUFFIX)]) {
        kept.extend(copy_aside(io.as_ref(), &path)?);
    }
    io.sync_all_files(folder).map_err(CheckpointError::sync(folder))?;
    for copied in &kept {
        let aside = copied.with_extension("");
        io.rename(copied, &aside)
            .map_err(|source| CheckpointError::io("rename", copied, source))?;
    }
    io.sync_dir(folder).map_err(CheckpointError::sync(folder))?;
    let names = checkpoints.list()?.into_iter();
    let kept = names.filter(|name| name.extension().is_some_and(|ending| ending == "bak"));
    Ok(kept.map(|name| folder.join(name)).collect())
}

/// Copies a file to one with the ending `.bak.tmp`, unless there is one with `.bak`, or no such file.
fn copy_aside(io: &dyn LogIo, path: &Path) -> Result<Option<PathBuf>, CheckpointError> {
    let (mut aside, mut copy) = (path.as_os_str().to_owned(), path.as_os_str().to_owned());
    aside.push(".bak");
    copy.push(".bak.tmp");
    let (aside, copy) = (PathBuf::from(aside), PathBuf::from(copy));
    if io.open_read(&aside).is_ok() {
        return Ok(None);
    }
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| CheckpointError::io(action, &path, source)
    };
    let from = match io.open_read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        from => from.map_err(failed("read", path))?,
    };
    let to = match io.create(&copy) {
        // Of an attempt that was stopped.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => io.open(&copy),
        to => to,
    };
    let to = to.map_err(failed("create", &copy))?;
    let len = from.len().map_err(failed("read", path))?;
    to.set_len(len).map_err(failed("write", &copy))?;
    let mut at = 0;
    while at < len {
        let mut piece = vec![0; COPIED_BYTES.min(len - at) as usize];
        read_exact_at(&*from, &mut piece, at).map_err(failed("read", path))?;
        write_all_at(&*to, &piece, at).map_err(failed("write", &copy))?;
        at += piece.len() as u64;
    }
    Ok(Some(copy))
}

/// Puts a checkpoint in the place of the one at this position, durably, with all its parts in a pack of its own: whatever stops in
/// between, the old one stays.
pub(crate) fn write_again(
    io: &Arc<dyn LogIo>,
    folder: &Path,
    position: LogPosition,
    header: &[u8],
    parts: &[(PartKey, Vec<u8>)],
) -> Result<(), CheckpointError> {
    let checkpoints = looking(io, folder);
    let at = position.physical.0;
    let names = checkpoints.list()?;
    let is_free = |pack: &u64| {
        let name = format!("{pack:020}{PACK_SUFFIX}");
        !names.iter().any(|other| other.ends_with(&name))
    };
    // One that nothing names is of an attempt that was stopped.
    let name = (at + 1..=at + NAMES).find(is_free).unwrap_or(at + NAMES);
    let mut pack = PackWriter::new(io.as_ref(), checkpoints.path(name, PACK_SUFFIX), name);
    let mut root = Root {
        position,
        header: header.to_vec(),
        ..Root::default()
    };
    for (key, bytes) in parts {
        root.parts.insert(*key, pack.add(*key, bytes)?.into());
    }
    pack.finish()?;
    checkpoints.write_root(&root)?;
    io.sync_dir(folder).map_err(CheckpointError::sync(folder))?;
    // Newer ones are damaged: the log leads on to where they stand.
    for newer in checkpoints.positions()?.into_iter().filter(|newer| *newer > at) {
        let path = checkpoints.path(newer, ROOT_SUFFIX);
        let aside = checkpoints.path(newer, super::DAMAGED_SUFFIX);
        io.rename(&path, &aside)
            .map_err(|source| CheckpointError::io("rename", &path, source))?;
    }
    io.sync_dir(folder).map_err(CheckpointError::sync(folder))
}
