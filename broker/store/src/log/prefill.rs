//! Zero-filling ahead of the writer: overwriting zero-filled blocks syncs several times faster than growing a file, and what
//! is filled is also the reserve that lets acknowledgements go on when the disk is full.
//!
//! The writer never waits for this: what it overtakes, it claims, and the helper goes on behind it.

use super::error::{Fatal, LogError};
use super::recycle;
use super::segment::{PAGE_BYTES, SPARE, Segment, Spare};
use super::shared::Shared;
use crate::io::{FileHandle, is_no_space, write_all_at};
use sluice_core::ids::PhysicalOffset;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Written and synced at a time. The log thread's sync of the same file has to wait for what is unsynced of it, so that
/// more makes the slowest groups slower: docs/adr/0001-zero-fill-in-small-syncs.md has the figures.
const CHUNK: usize = 256 << 10;
/// Zero-filling begins when less than this is left ahead of the writer.
const LOW: u64 = 24 << 20;
/// Left for everything but messages when the disk is full.
const RESERVE: u64 = 16 << 20;

/// Bytes zero-filled ahead of `written` in the active segment.
fn ahead(active: &Segment, written: PhysicalOffset) -> u64 {
    active.zeroed().0.saturating_sub(written.0)
}

fn wants_zeros(active: &Segment, written: PhysicalOffset) -> bool {
    active.zeroed() < active.limit() && ahead(active, written) < LOW
}

fn wants_spare(shared: &Shared, active: &Segment, written: PhysicalOffset) -> bool {
    let is_half = written.0 - active.base().0 > shared.limits.capacity / 2;
    is_half && shared.recycled.lock().is_none() && shared.spare.lock().is_none()
}

fn wants_cleaning(shared: &Shared, active: &Segment, written: PhysicalOffset) -> bool {
    recycle::is_due(shared, written.0 - active.base().0)
}

/// Whether there is something to do for the helper at once: what the disk has just refused it is not asked for with every
/// group.
pub(super) fn is_called(shared: &Shared, active: &Segment, written: PhysicalOffset) -> bool {
    let space = shared.inbox.space();
    let other = || wants_spare(shared, active, written) || wants_cleaning(shared, active, written);
    !space.is_bounded() && wants_zeros(active, written) || !space.is_dry() && other()
}

/// Bytes that frames can still go to without the disk giving any.
pub(super) fn reserve(shared: &Shared) -> u64 {
    let active = shared.active();
    let left = active.map_or(0, |active| ahead(&active, shared.positions.written()));
    let spare = shared.spare.lock();
    left + spare.as_ref().map_or(0, |spare| spare.filled - PAGE_BYTES)
}

/// What of that is kept from messages.
fn kept(shared: &Shared) -> u64 {
    RESERVE.min(shared.limits.capacity / 4)
}

/// Bytes of records that retention may write again now: on a disk that gives nothing only what leaves half of the reserve to
/// everything else, and to the commands that then give the space back.
pub(super) fn carry_max(shared: &Shared) -> u64 {
    if shared.inbox.space().is_bounded() {
        reserve(shared).saturating_sub(kept(shared) / 2)
    } else {
        u64::MAX
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefilled {
    /// Filled a part; there may be more to do.
    Worked,
    /// Nothing to do until the log has grown.
    Idle,
    /// The disk is full, or too many files are open: try again after a while.
    NoSpace,
}

/// The helper beside the log thread. One thread calls [`Prefill::step`]; so does a simulator, or nobody.
pub struct Prefill {
    pub(super) shared: Arc<Shared>,
    /// The active segment through a handle of our own, so that the log thread sees every error of its own syncs.
    file: Option<(Weak<Segment>, FileHandle)>,
}

impl Prefill {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, file: None }
    }

    /// Fills and syncs the next part, if one is wanted. An error is a failed write or sync: the log fails too.
    pub fn step(&mut self) -> Result<Prefilled, Fatal> {
        let result = self.advance();
        let space = self.shared.inbox.space();
        space.set_dry(matches!(result, Ok(Prefilled::NoSpace)));
        match &result {
            Ok(Prefilled::NoSpace) => self.bound_messages(),
            Ok(_) => space.lift(),
            Err(fatal) => {
                self.shared.positions.set_failed();
                *self.shared.poison.lock() = Some(fatal.clone());
            }
        }
        result
    }

    /// Gives the disk back what is due of the files that the log has given up; tells how long it is until there is more.
    pub fn give_back(&self, now: Instant) -> Option<Duration> {
        let shared = &self.shared;
        let space = shared.inbox.space();
        let in_haste = shared.inbox.refuses() || space.is_dry() || self.is_held();
        shared.given_up.give_back(now, in_haste)
    }

    fn advance(&mut self) -> Result<Prefilled, Fatal> {
        if self.is_held() {
            return Ok(Prefilled::NoSpace);
        }
        let Some(active) = self.shared.active() else {
            return Ok(Prefilled::Idle);
        };
        // Right behind a roll the new segment's base is ahead.
        let written = self.shared.positions.written().max(active.base());
        let result = if wants_zeros(&active, written) {
            self.fill_active(&active)
        } else if wants_cleaning(&self.shared, &active, written) {
            recycle::clean(&self.shared, &vec![0; CHUNK])
        } else if wants_spare(&self.shared, &active, written) {
            self.prepare_spare()
        } else {
            return Ok(Prefilled::Idle);
        };
        match result {
            Ok(()) => Ok(Prefilled::Worked),
            Err(error) if error.is_no_space() => {
                error.blame(&self.shared.inbox.space().blame);
                if !self.shared.inbox.space().is_dry() {
                    tracing::warn!(%error, "the log gets no space ahead of what it writes, and tries again until it does");
                }
                Ok(Prefilled::NoSpace)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn fill_active(&mut self, active: &Arc<Segment>) -> Result<(), LogError> {
        let Some(file) = self.file_of(active)? else {
            return Ok(());
        };
        let zeros = vec![0; CHUNK];
        active
            .zero_fill(&file, &zeros)
            .map_err(LogError::io("zero-fill", &active.path))?;
        file.sync_data().map_err(Fatal::new("sync", &active.path))?;
        Ok(())
    }

    /// The handle for this very segment; `None` if a truncation has taken the segment back meanwhile. Another one may
    /// stand at its base and under its name by then, whose frames the zeros would destroy.
    fn file_of(&mut self, active: &Arc<Segment>) -> Result<Option<FileHandle>, LogError> {
        if let Some((of, file)) = &self.file
            && std::ptr::eq(of.as_ptr(), Arc::as_ptr(active))
        {
            return Ok(Some(file.clone()));
        }
        self.file = None;
        let opened = self.shared.io.open(&active.path);
        // A segment leaves the list before its name goes: what is still active now was opened under that name.
        let still_active = self.shared.active();
        if still_active.is_none_or(|still| !Arc::ptr_eq(&still, active)) {
            return Ok(None);
        }
        let file = opened.map_err(LogError::io("open", &active.path))?;
        self.file = Some((Arc::downgrade(active), file.clone()));
        Ok(Some(file))
    }

    fn prepare_spare(&self) -> Result<(), LogError> {
        let io = &self.shared.io;
        let path = self.shared.log_dir.join(SPARE);
        let file = {
            let _name = self.shared.spare_name.lock();
            io.remove(&path).map_err(LogError::io("remove", &path))?;
            io.create(&path).map_err(LogError::io("create", &path))?
        };
        let wanted = self.shared.limits.prefill_bytes;
        let zeros = vec![0; CHUNK];
        let mut filled = 0;
        while filled < wanted {
            if self.is_held() {
                // A checkpoint is to make room, and has just been given the space for it.
                io.remove(&path).map_err(LogError::io("remove", &path))?;
                return Err(LogError::NoSpace);
            }
            let n = (wanted - filled).min(zeros.len() as u64);
            if let Err(source) = write_all_at(file.as_ref(), &zeros[..n as usize], filled) {
                if is_no_space(&source) {
                    // What was filled so far would only take space from others.
                    io.remove(&path).map_err(LogError::io("remove", &path))?;
                }
                return Err(LogError::Io {
                    doing: "zero-fill",
                    path,
                    source,
                });
            }
            file.sync_data().map_err(Fatal::new("sync", &path))?;
            filled += n;
        }
        *self.shared.spare.lock() = Some(Spare { file, filled });
        Ok(())
    }

    /// Leaves messages what is filled, but for the reserve. Where it was a spare segment that found no space, the active one may
    /// get more yet.
    fn bound_messages(&self) {
        let (shared, space) = (&self.shared, self.shared.inbox.space());
        let grows = |active: Arc<Segment>| {
            let written = shared.positions.written().max(active.base());
            active.zeroed() < active.limit() && !wants_zeros(&active, written)
        };
        if !self.is_held() && shared.active().is_some_and(grows) {
            space.lift();
        } else {
            space.bound(|| {
                // Before the reserve: a group that is written meanwhile is counted twice, and not left out.
                let queued = shared.inbox.depth().0.in_frames();
                reserve(shared).saturating_sub(kept(shared) + queued)
            });
        }
    }

    fn is_held(&self) -> bool {
        self.shared.holds_prefill.load(Ordering::Acquire)
    }
}
