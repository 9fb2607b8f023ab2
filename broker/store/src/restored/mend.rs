//! Queue files that the log does not give as a whole, for what a repair gave up of it or what is damaged: what they lack is found
//! again, as far as the log and the checkpoints tell it.
//!
//! What stands before such a place is folded from the log's start on, what stands behind it is counted back from the next
//! checkpoint that is kept ([`Behind`]), and from there on it is folded again. The entries that nobody knows become entries of what was
//! lost: the messages of groups that come to them end as those do whose records the repair gave up. What is damaged, and nobody has
//! given up, is left as it is.

use super::behind::{Behind, Counted, Unread, What};
use crate::checkpoint::{self, Checkpoints};
use crate::io::LogIo;
use crate::log::{self, Frame, Seen};
use crate::queue::{Left, Mending, QueueError};
use crate::store::StoreError;
use crate::survey::{Findings, Known};
use sluice_core::command::{COMMAND_HEADER_BYTES, LOST};
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{GroupQueueId, LogIndex, PhysicalOffset, QueueOffset, TimeMs, TopicQueue};
use sluice_core::state::{Changed, CommandAt, Effects, State};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What has become of the entries that queue files lacked.
#[derive(Debug)]
pub(super) struct Mended {
    /// Entries that nobody knows.
    pub(super) lost: u64,
    /// Entries that are lacking yet: behind damage that nobody has repaired, or before any checkpoint.
    pub(super) left: Left,
}

/// Mends the queue files that the checkpoint `newest` counts on.
pub(super) fn mend(io: &Arc<dyn LogIo>, dir: &Path, newest: &Known) -> Result<Mended, StoreError> {
    let folder = dir.join("checkpoint");
    let spans = crate::applier::spans(&newest.state);
    let mut fold = Fold {
        io,
        checkpoints: Checkpoints::named(io.as_ref(), &folder)?.into_iter().collect(),
        folder,
        state: None,
        behind: None,
        counted: Vec::new(),
        mending: Mending::begin(io, &dir.join("queue"), &spans)?,
    };
    each(io, dir, newest, &mut |seen| fold.see(seen))?;
    fold.meet(newest.position.physical, &newest.state)?;
    let (mut counted, mut mending) = (fold.counted, fold.mending);
    if counted.iter().any(Counted::has_places) {
        each(io, dir, newest, &mut |seen| {
            if let Seen::Frame(frame, _) | Seen::Partly(frame) = seen {
                for counted in &mut counted {
                    counted.frame(frame, &mut mending)?;
                }
            }
            Ok(())
        })?;
    }
    let mut lost = 0;
    for counted in counted {
        lost += counted.lose(&mut mending)?;
    }
    mending.finish()?;
    let left = mending.into_left();
    Ok(Mended { lost, left })
}

/// Gives `visit` what stands in the log before the newest checkpoint.
fn each(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    newest: &Known,
    visit: &mut dyn FnMut(Seen<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let reaches = newest.position.physical;
    let ask = log::Ask {
        reaches,
        ..log::Ask::default()
    };
    let mut visited = Ok(());
    let visit = &mut |seen: Seen<'_>, _: &mut Findings| {
        if visited.is_ok() && seen.at() < reaches {
            visited = visit(seen);
        }
    };
    log::survey(io.as_ref(), dir, &ask, &mut Findings::default(), visit)?;
    visited
}

struct Fold<'a> {
    io: &'a Arc<dyn LogIo>,
    folder: PathBuf,
    /// Where checkpoints have their names.
    checkpoints: BTreeSet<PhysicalOffset>,
    /// `None` where it is not known.
    state: Option<State>,
    /// Since when it is not.
    behind: Option<Behind>,
    counted: Vec<Counted>,
    mending: Mending,
}

/// What the commands of a frame have put into queues.
#[derive(Default)]
struct Entries(Vec<(TopicQueue, QueueOffset, QueueEntry)>);

impl Effects for Entries {
    fn entry(&mut self, at: TopicQueue, offset: QueueOffset, entry: &QueueEntry) {
        self.0.push((at, offset, *entry));
    }

    fn ready(&mut self, _: GroupQueueId, _: TimeMs) {}

    fn unlocked(&mut self, _: GroupQueueId, _: u32) {}

    fn moved(&mut self, _: GroupQueueId) {}

    fn changed(&mut self, _: Changed) {}

    fn carried(&mut self, _: TopicQueue, _: QueueOffset, _: &QueueEntry) {}

    fn trimmed(&mut self, _: TopicQueue, _: QueueOffset) {}

    fn dropped(&mut self, _: TopicQueue, _: QueueOffset) {}
}

impl Fold<'_> {
    fn see(&mut self, seen: Seen<'_>) -> Result<(), StoreError> {
        match seen {
            Seen::Frame(frame, _) | Seen::Partly(frame) => self.frame(frame)?,
            Seen::Lost(at) => self.cannot_read(at, What::LostFrames),
            Seen::Gap(at) => self.cannot_read(at, What::Damaged),
        }
        Ok(())
    }

    /// From here on state is not known.
    fn cannot_read(&mut self, at: PhysicalOffset, what: What) {
        let unread = Unread { at, what };
        if let Some(state) = self.state.take() {
            self.behind = Some(Behind::begin(unread, state));
        } else if let Some(behind) = &mut self.behind {
            behind.again(unread);
        }
    }

    fn frame(&mut self, frame: &Frame) -> Result<(), StoreError> {
        if self.state.is_none() {
            self.resume(frame)?;
        }
        if self.state.is_none() && self.behind.is_none() {
            // The checkpoint at the log's start is lost.
            let unread = Unread {
                at: frame.start(),
                what: What::Damaged,
            };
            self.behind = Some(Behind::begin(unread, State::new()));
        }
        let mut entries = Entries::default();
        for (place, physical, bytes) in frame.commands() {
            let is_lost = bytes.get(COMMAND_HEADER_BYTES) == Some(&LOST);
            if sluice_core::command::check(&bytes).is_err() {
                self.cannot_read(physical, What::Damaged);
            } else if is_lost {
                self.cannot_read(physical, What::LostCommand(bytes.len() as u32));
            } else if let Some(state) = &mut self.state {
                let at = CommandAt {
                    index: frame.index(),
                    place,
                    physical,
                };
                // Refused or not, it is what it was.
                let _ = state.apply(at, &bytes, &mut entries);
            } else if let Some(behind) = &mut self.behind {
                behind.command(physical, &bytes, &self.mending);
            }
        }
        if let Some(state) = &mut self.state {
            let header = frame.header();
            state.end_frames(header.term, header.index, header.last_index());
        }
        for (at, offset, entry) in entries.0 {
            self.mending.entry(at, offset, &entry)?;
        }
        Ok(())
    }

    /// Takes the state before this frame from a checkpoint, if one stands there.
    fn resume(&mut self, frame: &Frame) -> Result<(), StoreError> {
        let here = frame.start();
        if frame.index() == LogIndex(0) {
            self.state = Some(State::new());
        } else if self.checkpoints.contains(&here)
            && let Ok(loaded) = checkpoint::load(self.io, &self.folder, here)
            && let Ok(known) = Known::of(&loaded)
        {
            self.meet(here, &known.state)?;
            self.state = Some(known.state);
        }
        Ok(())
    }

    /// What stands since the last place that cannot be read, up to a state that is known.
    fn meet(&mut self, to: PhysicalOffset, state: &State) -> Result<(), QueueError> {
        if let Some(behind) = self.behind.take() {
            self.counted.push(behind.meet(to, state, &self.mending)?);
        }
        Ok(())
    }
}
