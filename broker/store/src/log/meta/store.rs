//! The two meta files: a save overwrites the older one and syncs it, so that a torn save leaves the newer one.

use super::{Identity, Meta};
use crate::io::{FileHandle, LogIo, write_all_at};
use crate::log::error::{Fatal, LogError};
use sluice_core::codec::Malformed;
use sluice_core::ids::{PhysicalOffset, Term};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NAMES: [&str; 2] = ["meta.a", "meta.b"];
const BYTES_MAX: usize = 4096;

/// A meta file's path, and its generation with what it says, or why it is not valid.
type MetaRead = (PathBuf, Result<(u64, Meta), Malformed>);

/// Reads the meta files there are, without opening them for more.
pub(in crate::log) fn read_all(io: &dyn LogIo, dir: &Path) -> Result<Vec<MetaRead>, LogError> {
    let mut read = Vec::new();
    for name in NAMES {
        let path = dir.join(name);
        let file = match io.open_read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            file => file.map_err(LogError::io("open", &path))?,
        };
        let bytes = read_start(&file).map_err(LogError::io("read", &path))?;
        read.push((path, Meta::decode(&bytes)));
    }
    Ok(read)
}

/// The meta files, open. One thread saves.
pub struct MetaStore {
    io: Arc<dyn LogIo>,
    dir: PathBuf,
    files: [Option<FileHandle>; 2],
    generation: u64,
    meta: Meta,
}

impl MetaStore {
    /// Reads the newest valid file; `None` if there is none, which in a folder with a log means damage.
    pub(in crate::log) fn open(io: &Arc<dyn LogIo>, dir: &Path) -> Result<Option<Self>, LogError> {
        let mut files = [None, None];
        let mut newest: Option<(u64, Meta)> = None;
        for (slot, name) in NAMES.into_iter().enumerate() {
            let path = dir.join(name);
            let file = match io.open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(source) => {
                    return Err(LogError::Io {
                        doing: "open",
                        path,
                        source,
                    });
                }
            };
            let bytes = read_start(&file).map_err(LogError::io("read", &path))?;
            files[slot] = Some(file);
            match Meta::decode(&bytes) {
                Ok(found)
                    if newest
                        .as_ref()
                        .is_none_or(|(generation, _)| found.0 > *generation) =>
                {
                    newest = Some(found);
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(file = %path.display(), %error, "a meta file is not valid"),
            }
        }
        let open = |(generation, meta)| Self {
            io: io.clone(),
            dir: dir.to_owned(),
            files,
            generation,
            meta,
        };
        Ok(newest.map(open))
    }

    /// Makes the files of a new shard.
    pub(in crate::log) fn create(
        io: &Arc<dyn LogIo>,
        dir: &Path,
        identity: Identity,
    ) -> Result<Self, LogError> {
        let meta = Meta {
            identity,
            term: Term(0),
            vote: None,
            purged: None,
            newest_segment: PhysicalOffset(0),
        };
        let mut store = Self {
            io: io.clone(),
            dir: dir.to_owned(),
            files: [None, None],
            generation: 0,
            meta,
        };
        for name in NAMES {
            let path = dir.join(name);
            io.remove(&path).map_err(LogError::io("remove", &path))?;
        }
        let meta = store.meta.clone();
        store.save(meta)?;
        Ok(store)
    }

    /// Makes the files of a shard whose own are not valid, which are kept. Answers where.
    pub(in crate::log) fn create_again(
        io: &Arc<dyn LogIo>,
        dir: &Path,
        meta: Meta,
    ) -> Result<Vec<PathBuf>, LogError> {
        let mut kept = Vec::new();
        for name in NAMES {
            let (path, aside) = (dir.join(name), dir.join(format!("{name}.bak")));
            match io.rename(&path, &aside) {
                Ok(()) => kept.push(aside),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(source) => {
                    let doing = "rename";
                    return Err(LogError::Io { doing, path, source });
                }
            }
        }
        let mut store = Self {
            io: io.clone(),
            dir: dir.to_owned(),
            files: [None, None],
            generation: 0,
            meta: meta.clone(),
        };
        store.save(meta)?;
        Ok(kept)
    }

    /// What was saved last.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Takes on whom the log belongs to. The next save writes it: every start that goes on saves its term.
    pub(in crate::log) fn adopt(&mut self, wanted: &Identity) {
        let identity = &mut self.meta.identity;
        identity.cluster.clone_from(&wanted.cluster);
        identity.shard.clone_from(&wanted.shard);
        identity.node = wanted.node;
    }

    /// Saves; durable when it returns. On an error that is not [`LogError::Fatal`], what was saved before still counts.
    pub(in crate::log) fn save(&mut self, meta: Meta) -> Result<(), LogError> {
        let generation = self.generation + 1;
        let slot = (generation % 2) as usize;
        let path = self.dir.join(NAMES[slot]);
        let bytes = meta.encode(generation);
        if bytes.len() > BYTES_MAX {
            let reason = format!("the names take more than {BYTES_MAX} bytes");
            return Err(LogError::Mismatch { path, reason });
        }
        let file = match &self.files[slot] {
            Some(file) => file.clone(),
            None => {
                let file = self.io.create(&path).map_err(LogError::io("create", &path))?;
                self.io
                    .sync_dir(&self.dir)
                    .map_err(Fatal::new("sync the folder", &self.dir))?;
                self.files[slot] = Some(file.clone());
                file
            }
        };
        write_all_at(file.as_ref(), &bytes, 0).map_err(LogError::io("write", &path))?;
        file.sync_data().map_err(Fatal::new("sync", &path))?;
        self.generation = generation;
        self.meta = meta;
        Ok(())
    }
}

fn read_start(file: &FileHandle) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; BYTES_MAX];
    let mut filled = 0;
    loop {
        match file.read_at(&mut bytes[filled..], filled as u64)? {
            0 => break,
            n => filled += n,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
