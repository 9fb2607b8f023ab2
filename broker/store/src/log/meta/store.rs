//! The two meta files: a save overwrites the older one and syncs it, so that a torn save leaves the newer one.
//!
//! What a start must know of the log for nothing to be missed without a word (whom it belongs to, that it was in use, what is purged,
//! its newest segment) stands in both: a save that changes any of that is done twice, so that one file that is lost takes nothing with it.

use super::{Identity, Meta};
use crate::io::{FileHandle, LogIo, is_of_the_medium, write_all_at};
use crate::log::error::{Fatal, LogError};
use crate::log::present;
use sluice_core::codec::Malformed;
use sluice_core::ids::{PhysicalOffset, Term};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NAMES: [&str; 2] = ["meta.a", "meta.b"];
const BYTES_MAX: usize = 4096;

/// What a meta file says with its generation, or why it is not valid.
type Decoded = Result<(u64, Meta), Malformed>;

/// What one that counts is not damage of, though the other one is not there: a crash came amid the making of both, and nothing but
/// that could have been said.
const FIRST_GENERATION: u64 = 1;

/// The meta files as they were found.
pub(in crate::log) struct MetaRead {
    /// What the newest valid one says, if any is valid.
    pub(in crate::log) meta: Option<Meta>,
    /// Files that a valid one says should be there, or that are not valid, and what is wrong.
    pub(in crate::log) damage: Vec<(PathBuf, String)>,
}

/// Reads the meta files, without opening them for more.
pub(in crate::log) fn read_all(io: &dyn LogIo, dir: &Path) -> Result<MetaRead, LogError> {
    let mut found = [None, None];
    for (slot, name) in NAMES.into_iter().enumerate() {
        let path = dir.join(name);
        let file = match io.open_read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            file => file.map_err(LogError::io("open", &path))?,
        };
        let bytes = read_start(&file).map_err(LogError::io("read", &path))?;
        found[slot] = Some(Meta::decode(&bytes));
    }
    let damage = damage_of(dir, &found);
    let valid = found.into_iter().flatten().flatten();
    let newest = valid.max_by_key(|(generation, _)| *generation);
    Ok(MetaRead {
        meta: newest.map(|(_, meta)| meta),
        damage,
    })
}

/// What is wrong with files of which this was read.
fn damage_of(dir: &Path, found: &[Option<Decoded>; 2]) -> Vec<(PathBuf, String)> {
    let valid = found.iter().flatten().flatten();
    let newest = valid.map(|(generation, _)| *generation).max();
    let mut damage = Vec::new();
    for (name, found) in NAMES.into_iter().zip(found) {
        let what = match (found, newest) {
            (Some(Err(error)), _) => format!("it is not valid: {error}"),
            (None, Some(newest)) if newest > FIRST_GENERATION => {
                "it is missing, and the other one says that it was there".to_owned()
            }
            _ => continue,
        };
        damage.push((dir.join(name), what));
    }
    damage
}

/// The meta files, open. One thread saves.
pub struct MetaStore {
    io: Arc<dyn LogIo>,
    dir: PathBuf,
    files: [Option<FileHandle>; 2],
    /// What each file says, if it is valid.
    said: [Option<Meta>; 2],
    generation: u64,
    meta: Meta,
}

impl MetaStore {
    /// Reads the newest valid file; `None` if there is none, which in a folder with a log means damage.
    pub(in crate::log) fn open(io: &Arc<dyn LogIo>, dir: &Path) -> Result<Option<Self>, LogError> {
        let (mut files, mut found) = ([None, None], [None, None]);
        let mut not_given = None;
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
            let read = match read_start(&file) {
                Err(error) if is_of_the_medium(&error) => {
                    let dropped = file.drop_cache(0, 0);
                    dropped.and_then(|()| read_start(&file))
                }
                read => read,
            };
            match read {
                Err(error) if is_of_the_medium(&error) => {
                    // Another file takes its place, where the other one is whole, rather than that this one is written over.
                    found[slot] = Some(Err(Malformed::Range("what the disk gives of it")));
                    not_given = Some(LogError::io("read", &path)(error));
                }
                read => {
                    found[slot] = Some(Meta::decode(&read.map_err(LogError::io("read", &path))?));
                    files[slot] = Some(file);
                }
            }
        }
        let damage = damage_of(dir, &found);
        let said = found.map(|found| found.and_then(Result::ok));
        let newest = said.iter().flatten().max_by_key(|(generation, _)| *generation);
        let Some((generation, meta)) = newest.cloned() else {
            // What the disk does not give may be whole the next time.
            return not_given.map_or(Ok(None), Err);
        };
        for (file, what) in damage {
            tracing::warn!(file = %file.display(), what, "a meta file is damaged; the other one is whole, and a start that goes on writes both again");
        }
        Ok(Some(Self {
            io: io.clone(),
            dir: dir.to_owned(),
            files,
            said: said.map(|said| said.map(|(_, meta)| meta)),
            generation,
            meta,
        }))
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
            said: [None, None],
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
            said: [None, None],
            generation: 0,
            meta: meta.clone(),
        };
        store.save_in_both(meta)?;
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

    /// Saves, and once more where only one file would say of the log what both must. On an error [`MetaStore::meta`] is what counts. Where
    /// the disk has room for the one file and not for the other, the next save does the rest.
    pub(in crate::log) fn save_in_both(&mut self, meta: Meta) -> Result<(), LogError> {
        self.save(meta.clone())?;
        if self.agree() {
            return Ok(());
        }
        match self.save(meta) {
            Err(error) if error.is_no_space() => {
                tracing::warn!(%error, "one meta file alone says what is new of the log, until there is room to save the other");
                Ok(())
            }
            saved => saved,
        }
    }

    /// Whether both files say the same of the log. Term and vote may differ: the last save of these was torn, or it is the newer one.
    fn agree(&self) -> bool {
        let [Some(one), Some(other)] = &self.said else {
            return false;
        };
        one.identity == other.identity
            && one.purged == other.purged
            && one.newest_segment == other.newest_segment
            && present::was_used(one) == present::was_used(other)
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
                self.io.remove(&path).map_err(LogError::io("remove", &path))?;
                self.io.create(&path).map_err(LogError::io("create", &path))?
            }
        };
        self.said[slot] = None;
        write_all_at(file.as_ref(), &bytes, 0).map_err(LogError::io("write", &path))?;
        file.sync_data().map_err(Fatal::new("sync", &path))?;
        if self.files[slot].is_none() {
            // Behind what it says: a crash leaves no name of an empty file.
            self.io
                .sync_dir(&self.dir)
                .map_err(Fatal::new("sync the folder", &self.dir))?;
            self.files[slot] = Some(file);
        }
        self.generation = generation;
        self.said[slot] = Some(meta.clone());
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
