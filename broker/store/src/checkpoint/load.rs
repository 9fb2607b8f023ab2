//! Finding a whole checkpoint at the start.

use super::again::NAMES as PACKS_BEHIND;
use super::parts::Parts;
use super::root::{BYTES_MAX, Root};
use super::{
    CheckpointError, Checkpoints, DAMAGED_SUFFIX, KnownRoot, PACK_SUFFIX, PartKey, ROOT_SUFFIX,
    TEMPORARY_SUFFIX, position_in,
};
use crate::io::{LogIo, read_exact_at};
use crate::log::LogPosition;
use sluice_core::ids::PhysicalOffset;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// Which checkpoint to start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The newest whole one.
    Newest,
    /// The newest whole one before this position: when queue or index files lack what a newer one counts on.
    Before(PhysicalOffset),
    /// The one here, at the log's start: replay from there rebuilds every queue file and index, from any other it does
    /// not.
    Base(PhysicalOffset),
}

/// A checkpoint, read and checked.
#[derive(Debug)]
pub struct Loaded {
    /// Where replay starts.
    pub position: LogPosition,
    /// The caller's header.
    pub header: Vec<u8>,
    pub(super) parts: Parts,
}

impl Loaded {
    /// Its parts are not what they say.
    pub(crate) fn is_wrong(&self, folder: &Path) -> CheckpointError {
        CheckpointError::Damaged {
            path: folder.join(format!("{:020}{ROOT_SUFFIX}", self.position.physical.0)),
            offset: 0,
            what: "part",
        }
    }

    /// The parts, in no order.
    pub fn parts(&self) -> impl Iterator<Item = (PartKey, &[u8])> {
        self.parts.each()
    }
}

/// What there is, and which one a start goes on from.
pub(super) struct Chosen {
    pub(super) root: Root,
    pub(super) parts: Parts,
    known: Vec<KnownRoot>,
    /// Whole ones that are newer.
    passed_over: Vec<u64>,
    /// Damaged ones, the newest first.
    damaged: Vec<(u64, CheckpointError)>,
}

/// What is not gone on from, and goes once nothing stops the start any more.
#[derive(Default)]
pub(super) struct Beyond {
    /// Damaged ones, the newest first.
    damaged: Vec<(u64, CheckpointError)>,
    /// Whole ones that are newer than the picked one.
    passed_over: Vec<u64>,
}

impl Checkpoints {
    /// [`Checkpoints::open_if`] whatever is damaged.
    pub fn open(io: Arc<dyn LogIo>, dir: &Path, pick: Pick) -> Result<(Self, Loaded), CheckpointError> {
        Self::open_if(io, dir, pick, &|_, _| Ok(()))
    }

    /// Opens the folder `dir` at a whole checkpoint. Damaged ones are put aside with a warning. Whole ones that are
    /// newer than the picked one are removed, durably, before this returns: queue files are going to be cut and
    /// written again without a sync, so what newer checkpoints count on will not be there for a while.
    /// Where one is damaged that is newer than the picked one, `replays` says whether the log leads from the picked one to there.
    pub fn open_if(
        io: Arc<dyn LogIo>,
        dir: &Path,
        pick: Pick,
        replays: &dyn Fn(PhysicalOffset, PhysicalOffset) -> Result<(), CheckpointError>,
    ) -> Result<(Self, Loaded), CheckpointError> {
        let (mut checkpoints, loaded) = Self::look_if(io, dir, pick, replays)?;
        checkpoints.settle()?;
        Ok((checkpoints, loaded))
    }

    /// As [`Checkpoints::open_if`], but changes nothing before [`Checkpoints::settle`], without which nothing may be written.
    ///
    /// Where one is damaged that is newer than the picked one, `replays` says whether the log leads from the picked one to there: what
    /// is damaged may be all that is known behind a loss. One that the disk fails to read now may be whole the next time, so that
    /// this is an error too.
    pub(crate) fn look_if(
        io: Arc<dyn LogIo>,
        dir: &Path,
        pick: Pick,
        replays: &dyn Fn(PhysicalOffset, PhysicalOffset) -> Result<(), CheckpointError>,
    ) -> Result<(Self, Loaded), CheckpointError> {
        let mut checkpoints = Self::none(io, dir);
        let Chosen {
            root,
            parts,
            mut known,
            passed_over,
            damaged,
        } = checkpoints.choose(pick, replays)?;
        checkpoints.live = root.parts.clone();
        let Root { position, header, .. } = root;
        let loaded = Loaded {
            position,
            header,
            parts,
        };
        checkpoints.found_damage = !damaged.is_empty();
        known.sort_unstable_by_key(|root: &KnownRoot| root.position.physical);
        checkpoints.roots = known;
        checkpoints.beyond = Beyond { damaged, passed_over };
        Ok((checkpoints, loaded))
    }

    /// As [`Checkpoints::create`], but changes nothing before [`Checkpoints::settle`], without which nothing may be written.
    pub(crate) fn look_at_nothing(io: Arc<dyn LogIo>, dir: &Path) -> Result<Self, CheckpointError> {
        let mut checkpoints = Self::none(io, dir);
        checkpoints.beyond.passed_over = checkpoints.positions()?;
        Ok(checkpoints)
    }

    /// Puts aside and removes what is not gone on from, durably, and makes the folder where there is none. A second call only makes
    /// names durable.
    pub(crate) fn settle(&mut self) -> Result<(), CheckpointError> {
        self.io
            .create_dir(&self.dir)
            .map_err(|source| CheckpointError::io("create", &self.dir, source))?;
        let Beyond { damaged, passed_over } = std::mem::take(&mut self.beyond);
        if passed_over.is_empty() && damaged.is_empty() && self.roots.is_empty() {
            return self.sweep();
        }
        for (position, error) in damaged {
            self.put_aside(position, &error)?;
        }
        for position in passed_over {
            self.remove(&self.path(position, ROOT_SUFFIX))?;
        }
        // Also makes durable the name of the checkpoint that was picked, which the caller now builds on.
        self.sync_names()?;
        self.sweep()
    }

    /// The log begins at `start`, and the checkpoint there is lost: what is left of it is all that is left of the log's beginning, and
    /// stays until the log begins later.
    pub(crate) fn keep_what_is_left_of(&mut self, start: PhysicalOffset) {
        self.lost_base = Some(start.0);
    }

    /// The one that [`Checkpoints::open_if`] would pick. Changes nothing.
    pub(super) fn choose(
        &self,
        pick: Pick,
        replays: &dyn Fn(PhysicalOffset, PhysicalOffset) -> Result<(), CheckpointError>,
    ) -> Result<Chosen, CheckpointError> {
        let (mut chosen, mut known, mut passed_over) = (None, Vec::new(), Vec::new());
        let mut damaged = Vec::new();
        for position in self.positions()?.into_iter().rev() {
            let fits = match pick {
                Pick::Newest => true,
                Pick::Before(limit) => position < limit.0,
                Pick::Base(start) => position == start.0,
            };
            let wanted = chosen.is_none() && fits;
            match self.read(position, wanted) {
                Ok((root, parts)) => {
                    // The chosen one and those before it stay.
                    if wanted || chosen.is_some() {
                        known.push(known_root(&root));
                    } else {
                        passed_over.push(position);
                    }
                    if wanted {
                        chosen = Some((root, parts));
                    }
                }
                Err(CheckpointError::Io { path, source, .. }) if source.kind() != ErrorKind::NotFound => {
                    return Err(CheckpointError::Unreadable { path, source });
                }
                Err(error) => damaged.push((position, error)),
            }
        }
        let wanted = match pick {
            Pick::Newest => "at all",
            Pick::Before(_) => "old enough",
            Pick::Base(_) => "at the log's start, to rebuild queue and index files from",
        };
        let Some((root, parts)) = chosen else {
            for (_, error) in damaged {
                tracing::warn!(%error, "a checkpoint is damaged");
            }
            let folder = self.dir.clone();
            return Err(CheckpointError::None { folder, wanted });
        };
        let picked: PhysicalOffset = root.position.physical;
        if let Some((newest, _)) = damaged.first().filter(|(newest, _)| *newest > picked.0) {
            replays(picked, PhysicalOffset(*newest))?;
        }
        Ok(Chosen {
            root,
            parts,
            known,
            passed_over,
            damaged,
        })
    }

    /// Whether some were damaged when they were opened.
    pub(crate) fn found_damage(&self) -> bool {
        self.found_damage
    }

    /// Where the newest checkpoint stands that has its name, whole or not: the log was durable up to there. Changes nothing.
    pub fn newest_named(io: &dyn LogIo, dir: &Path) -> Result<Option<PhysicalOffset>, CheckpointError> {
        Ok(Self::named(io, dir)?.into_iter().max())
    }

    /// Where checkpoints stand that have their names, whole or not, in no order.
    pub(crate) fn named(io: &dyn LogIo, dir: &Path) -> Result<Vec<PhysicalOffset>, CheckpointError> {
        let names = io
            .list(dir)
            .map_err(|source| CheckpointError::io("list", dir, source))?;
        let positions = names.iter().filter_map(|name| position_in(name, ROOT_SUFFIX));
        Ok(positions.map(PhysicalOffset).collect())
    }

    /// A root and, if wanted, all its parts; an error if anything of that is not whole.
    pub(super) fn read(&self, position: u64, with_parts: bool) -> Result<(Root, Parts), CheckpointError> {
        let path = self.path(position, ROOT_SUFFIX);
        let damaged = |offset, what| CheckpointError::Damaged {
            path: path.clone(),
            offset,
            what,
        };
        let failed = |source| CheckpointError::io("read", &path, source);
        let file = self.io.open_read(&path).map_err(failed)?;
        let len = file.len().map_err(failed)?;
        if len > BYTES_MAX {
            return Err(damaged(BYTES_MAX, "length"));
        }
        let mut bytes = vec![0; len as usize];
        read_exact_at(&*file, &mut bytes, 0).map_err(failed)?;
        let root = Root::decode(&bytes).map_err(|_| damaged(0, "checksum or format"))?;
        if root.position.physical.0 != position {
            return Err(damaged(16, "position"));
        }
        let parts = if with_parts {
            self.read_parts(&root)?
        } else {
            Parts::default()
        };
        Ok((root, parts))
    }

    /// Takes the name from a damaged root, so that it never comes back as the newest, and keeps it for a look.
    fn put_aside(&self, position: u64, error: &CheckpointError) -> Result<(), CheckpointError> {
        let (from, to) = (
            self.path(position, ROOT_SUFFIX),
            self.path(position, DAMAGED_SUFFIX),
        );
        tracing::warn!(%error, kept_as = %to.display(), "a damaged checkpoint is passed over");
        self.io
            .rename(&from, &to)
            .map_err(|source| CheckpointError::io("rename", &from, source))
    }

    /// Removes what no known root names: leftovers of a crash, and what older roots needed. Of the damaged ones the
    /// newest stays, and of a lost base its root and each pack that it can have named.
    pub(super) fn sweep(&self) -> Result<(), CheckpointError> {
        let packs: BTreeSet<u64> = self
            .roots
            .iter()
            .flat_map(|root| root.packs.keys().copied())
            .collect();
        let names = self.list()?;
        let newest_damaged = names
            .iter()
            .filter_map(|name| position_in(name, DAMAGED_SUFFIX))
            .max();
        for name in &names {
            let of_base = |pack: u64| self.lost_base.is_some_and(|base| pack <= base + PACKS_BEHIND);
            let is_stale = |pack: u64| !packs.contains(&pack) && !of_base(pack);
            let stale_pack = position_in(name, PACK_SUFFIX).is_some_and(is_stale);
            let damaged = position_in(name, DAMAGED_SUFFIX);
            let stale = stale_pack
                || position_in(name, TEMPORARY_SUFFIX).is_some()
                || (damaged.is_some() && damaged != newest_damaged && damaged != self.lost_base);
            if stale {
                self.remove(&self.dir.join(name))?;
            }
        }
        Ok(())
    }
}

pub(super) fn known_root(root: &Root) -> KnownRoot {
    KnownRoot {
        position: root.position,
        bytes: root.encoded_len() as u64,
        packs: root.reaches(),
        header: root.header.clone(),
    }
}
