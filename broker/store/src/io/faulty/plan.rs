//! What goes wrong when: the planted faults, and the count of operations that tests enumerate crash points by.

use rustix::io::Errno;
use sluice_core::hash::mix;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A fault to plant with [`FaultyIo::plant`](super::FaultyIo::plant). Counts start at the planting, with 1 for the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The nth write fails with `EIO` and writes nothing.
    WriteError {
        /// Which write, from 1.
        nth: u64,
    },
    /// Files may grow by this many bytes in total, then `ENOSPC`; overwriting costs nothing, cutting and removing
    /// gives back. Lifted by [`FaultyIo::lift_no_space`](super::FaultyIo::lift_no_space).
    NoSpace {
        /// Bytes still free.
        after: u64,
    },
    /// Like [`Fault::NoSpace`], for files below this folder alone.
    NoSpaceBelow {
        /// The folder.
        folder: PathBuf,
        /// Bytes still free there.
        after: u64,
    },
    /// Like [`Fault::NoSpace`], with `EDQUOT`.
    OverQuota {
        /// Bytes still free.
        after: u64,
    },
    /// No file at or below this folder can be opened or made, and no folder listed: `EMFILE`. What is open stays so, and
    /// can be synced. Lifted like [`Fault::NoSpace`].
    NoDescriptors {
        /// The folder.
        below: PathBuf,
    },
    /// No file that ends like this can be removed or get another name: `ENOSPC`, as of a system that needs room even for that.
    /// Lifted like [`Fault::NoSpace`].
    NamesStay {
        /// The end of the name.
        ending: &'static str,
    },
    /// The nth sync (of a file, a folder or everything) fails with `EIO`, and what it should have made durable never
    /// will be, though it is read back until the crash: a system marks such pages clean.
    SyncError {
        /// Which sync, from 1.
        nth: u64,
    },
    /// The nth sync of what is at or below this folder fails with `ENOSPC`, as that of a system that finds room for what
    /// is written only when it writes it back; all else is as with [`Fault::SyncError`].
    SyncNoSpace {
        /// The folder.
        below: PathBuf,
        /// Which sync, from 1.
        nth: u64,
    },
    /// Reads of this file that touch these bytes fail with `EIO`, by a map too, until they are written over, as a disk does that has
    /// other sectors for them. A file that takes its name has others. Lifted by
    /// [`FaultyIo::lift_read_errors`](super::FaultyIo::lift_read_errors).
    ReadError {
        /// The file.
        path: PathBuf,
        /// The bytes on the bad medium.
        range: Range<u64>,
    },
    /// Every sync of a file takes so long, beside what it takes by itself; all else goes on meanwhile.
    SlowSyncs {
        /// How much longer.
        by: Duration,
    },
    /// Every write writes only a part (at least one byte) of what it is given.
    ShortWrites,
    /// The process is killed before it can do operation number `at`, as
    /// [`FaultyIo::operations`](super::FaultyIo::operations) counts them: that one and everything after fails and
    /// does nothing.
    Stop {
        /// The operation, from 0 since the file system was made.
        at: u64,
    },
}

/// Which fault an operation may run into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    Write,
    /// Of this file, this folder, or the file system that holds it.
    Sync(&'a Path),
    Other,
}

/// What is left of the disk.
struct Space {
    left: u64,
    below: PathBuf,
    error: Errno,
}

#[derive(Default)]
pub(super) struct Plan {
    operations: u64,
    stop_at: Option<u64>,
    stopped: bool,
    write_error: Option<u64>,
    sync_error: Option<u64>,
    sync_no_space: Option<(PathBuf, u64)>,
    space: Option<Space>,
    no_descriptors: Option<PathBuf>,
    names_stay: Option<&'static str>,
    short_writes: bool,
    sync_delay: Duration,
    bad: Vec<(PathBuf, Range<u64>)>,
    random: u64,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: seed,
            ..Self::default()
        }
    }

    /// How long a sync takes beside what it takes by itself.
    pub(super) fn sync_delay(&self) -> Duration {
        self.sync_delay
    }

    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) fn plant(&mut self, fault: Fault) {
        match fault {
            Fault::WriteError { nth } => self.write_error = Some(nth),
            Fault::NoSpace { after } => self.plant_space(PathBuf::new(), after, Errno::NOSPC),
            Fault::NoSpaceBelow { folder, after } => self.plant_space(folder, after, Errno::NOSPC),
            Fault::OverQuota { after } => self.plant_space(PathBuf::new(), after, Errno::DQUOT),
            Fault::NoDescriptors { below } => self.no_descriptors = Some(below),
            Fault::NamesStay { ending } => self.names_stay = Some(ending),
            Fault::SyncError { nth } => self.sync_error = Some(nth),
            Fault::SyncNoSpace { below, nth } => self.sync_no_space = Some((below, nth)),
            Fault::ReadError { path, range } => self.bad.push((path, range)),
            Fault::SlowSyncs { by } => self.sync_delay = by,
            Fault::ShortWrites => self.short_writes = true,
            Fault::Stop { at } => self.stop_at = Some(at),
        }
    }

    fn plant_space(&mut self, below: PathBuf, left: u64, error: Errno) {
        self.space = Some(Space { left, below, error });
    }

    pub(super) fn lift_no_space(&mut self) {
        self.space = None;
        self.no_descriptors = None;
        self.names_stay = None;
    }

    /// Fails if the file must keep its name.
    pub(super) fn take_name(&self, path: &Path) -> io::Result<()> {
        let ending = self
            .names_stay
            .filter(|ending| path.to_string_lossy().ends_with(ending));
        ending.map_or(Ok(()), |_| Err(Errno::NOSPC.into()))
    }

    pub(super) fn lift_read_errors(&mut self) {
        self.bad.clear();
    }

    /// The file that had this name has another one, or is gone; and so is what stood under that.
    pub(super) fn moved(&mut self, from: &Path, to: Option<&Path>) {
        self.bad.retain(|(path, _)| to != Some(path));
        match to {
            None => self.bad.retain(|(path, _)| path != from),
            Some(to) => {
                let moved = self.bad.iter_mut().filter(|(path, _)| path == from);
                moved.for_each(|(path, _)| *path = to.to_owned());
            }
        }
    }

    /// What is bad there is written over.
    pub(super) fn written(&mut self, path: &Path, range: Range<u64>) {
        let stays = |at: &Range<u64>| at.start < range.start || at.end > range.end;
        self.bad.retain(|(bad, at)| bad != path || stays(at));
    }

    /// Fails if the process is taken for dead, or has no descriptor left for what is here.
    pub(super) fn open(&self, path: &Path) -> io::Result<()> {
        self.alive()?;
        match &self.no_descriptors {
            Some(below) if path.starts_with(below) => Err(Errno::MFILE.into()),
            _ => Ok(()),
        }
    }

    fn space_of(&mut self, path: &Path) -> Option<&mut Space> {
        self.space.as_mut().filter(|space| path.starts_with(&space.below))
    }

    /// Fails if the process is taken for dead.
    pub(super) fn alive(&self) -> io::Result<()> {
        if self.stopped {
            return Err(io::Error::other("stopped by a planted fault"));
        }
        Ok(())
    }

    /// Counts an operation that changes something, and fails it where planned.
    pub(super) fn begin(&mut self, kind: Kind<'_>) -> io::Result<()> {
        self.stopped |= self.stop_at.is_some_and(|at| self.operations >= at);
        self.alive()?;
        self.operations += 1;
        let hit = match kind {
            Kind::Write => count_down(&mut self.write_error),
            Kind::Sync(path) => {
                if self.sync_finds_no_space(path) {
                    return Err(Errno::NOSPC.into());
                }
                count_down(&mut self.sync_error)
            }
            Kind::Other => false,
        };
        if hit { Err(Errno::IO.into()) } else { Ok(()) }
    }

    fn sync_finds_no_space(&mut self, path: &Path) -> bool {
        let Some((_, nth)) = self
            .sync_no_space
            .as_mut()
            .filter(|(below, _)| path.starts_with(below))
        else {
            return false;
        };
        *nth -= 1;
        let hit = *nth == 0;
        if hit {
            self.sync_no_space = None;
        }
        hit
    }

    /// How many of `bytes` a write that makes its file `growth` bytes longer may write.
    pub(super) fn admit(&mut self, path: &Path, bytes: usize, growth: u64) -> io::Result<usize> {
        let mut admitted = bytes as u64;
        if self.short_writes && bytes > 1 {
            self.random = mix(self.random, 1);
            admitted = 1 + self.random % (bytes as u64 - 1);
        }
        let growth = growth.saturating_sub(bytes as u64 - admitted);
        if let Some(space) = self.space_of(path) {
            let missing = growth.saturating_sub(space.left);
            if missing >= admitted && missing > 0 {
                return Err(space.error.into());
            }
            admitted -= missing;
            space.left -= growth - missing;
        }
        Ok(admitted as usize)
    }

    /// Takes the space for a file that is made `growth` bytes longer other than by writing.
    pub(super) fn take_space(&mut self, path: &Path, growth: u64) -> io::Result<()> {
        match self.space_of(path) {
            Some(space) if space.left < growth => Err(space.error.into()),
            Some(space) => {
                space.left -= growth;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn give_space(&mut self, path: &Path, bytes: u64) {
        if let Some(space) = self.space_of(path) {
            space.left += bytes;
        }
    }

    /// Fails if the process is taken for dead, or the medium is bad there.
    pub(super) fn read(&self, path: &Path, range: Range<u64>) -> io::Result<()> {
        self.alive()?;
        let hit = self
            .bad
            .iter()
            .any(|(bad, at)| bad == path && at.start < range.end && range.start < at.end);
        if hit { Err(Errno::IO.into()) } else { Ok(()) }
    }
}

fn count_down(left: &mut Option<u64>) -> bool {
    match left {
        Some(n) if *n <= 1 => {
            *left = None;
            true
        }
        Some(n) => {
            *n -= 1;
            false
        }
        None => false,
    }
}
