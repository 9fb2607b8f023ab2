//! Queue files behind a repair with a loss: what they lack is found again, as far as the log and the checkpoints tell it.
//!
//! What stands before a loss is folded from the log's start on, and what stands behind it from the next checkpoint that is kept. The
//! entries between these, which nobody knows, become entries of what was lost: the messages of groups that come to them end as those
//! do whose records the repair gave up.

use crate::applier::tails;
use crate::checkpoint::{self, Checkpoints};
use crate::io::LogIo;
use crate::log::{self, FRAME_HEADER_BYTES, Frame, Seen};
use crate::queue::{Mending, QueueError};
use crate::store::StoreError;
use crate::survey::{Findings, Known};
use sluice_core::command::{COMMAND_HEADER_BYTES, LOST};
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{GroupQueueId, LogIndex, PhysicalOffset, QueueOffset, TimeMs, TopicQueue};
use sluice_core::state::{Changed, CommandAt, Effects, State};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes within a tombstone that an entry of a lost message names.
const IN_TOMBSTONE: u32 = 8;

/// What has become of the entries that queue files lacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mended {
    /// Entries that nobody knows.
    pub(super) lost: u64,
    /// Entries that are lacking yet: behind damage that nobody has repaired, or before any checkpoint.
    pub(super) left: u64,
}

/// Mends the queue files that the checkpoint `newest` counts on.
pub(super) fn mend(io: &Arc<dyn LogIo>, dir: &Path, newest: &Known) -> Result<Mended, StoreError> {
    let folder = dir.join("checkpoint");
    let spans = crate::applier::spans(&newest.state);
    let mut fold = Fold {
        io,
        checkpoints: Checkpoints::named(io.as_ref(), &folder)?.into_iter().collect(),
        folder,
        newest,
        state: None,
        loss: None,
        lost: 0,
        mending: Mending::begin(io, &dir.join("queue"), &spans)?,
    };
    let ask = log::Ask {
        reaches: newest.position.physical,
        ..log::Ask::default()
    };
    let mut folded = Ok(());
    let visit = &mut |seen: Seen<'_>, _: &mut Findings| {
        if folded.is_ok() {
            folded = fold.see(seen);
        }
    };
    log::survey(io.as_ref(), dir, &ask, &mut Findings::default(), visit)?;
    folded?;
    fold.lose_up_to(&newest.state)?;
    fold.mending.finish()?;
    let (lost, left) = (fold.lost, fold.mending.left);
    Ok(Mended { lost, left })
}

struct Fold<'a> {
    io: &'a Arc<dyn LogIo>,
    folder: PathBuf,
    /// Where checkpoints have their names.
    checkpoints: BTreeSet<PhysicalOffset>,
    newest: &'a Known,
    /// `None` where it is not known.
    state: Option<State>,
    /// Since when it is not.
    loss: Option<Loss>,
    lost: u64,
    mending: Mending,
}

/// The place of something that was lost, and what was there.
struct Loss {
    at: PhysicalOffset,
    size: u32,
    time: TimeMs,
    ends: HashMap<TopicQueue, u64>,
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
        let at = match seen {
            Seen::Frame(frame, _) | Seen::Partly(frame) => frame.start(),
            Seen::Gap(at) | Seen::Lost(at) => at,
        };
        if at >= self.newest.position.physical {
            return Ok(());
        }
        match seen {
            Seen::Frame(frame, _) | Seen::Partly(frame) => self.frame(frame)?,
            Seen::Lost(at) => {
                self.lost_at(PhysicalOffset(at.0 + FRAME_HEADER_BYTES as u64), IN_TOMBSTONE);
            }
            // Whoever repairs it, or brings it back, may know more.
            Seen::Gap(_) => (self.state, self.loss) = (None, None),
        }
        Ok(())
    }

    /// From here on state is not known.
    fn lost_at(&mut self, at: PhysicalOffset, size: u32) {
        if let Some(state) = self.state.take() {
            self.loss = Some(Loss {
                at,
                size,
                time: state.now(),
                ends: tails(&state).into_iter().map(|(at, end)| (at, end.0)).collect(),
            });
        }
    }

    fn frame(&mut self, frame: &Frame) -> Result<(), StoreError> {
        if self.state.is_none() {
            self.resume(frame)?;
        }
        let Some(state) = &mut self.state else {
            return Ok(());
        };
        let (mut entries, mut lost) = (Entries::default(), None);
        for (place, physical, bytes) in frame.commands() {
            let is_lost = bytes.get(COMMAND_HEADER_BYTES) == Some(&LOST);
            if is_lost || sluice_core::command::check(&bytes).is_err() {
                lost = Some((physical, bytes.len() as u32, is_lost));
                break;
            }
            let at = CommandAt {
                index: frame.index(),
                place,
                physical,
            };
            // Refused or not, it is what it was.
            let _ = state.apply(at, &bytes, &mut entries);
        }
        let header = frame.header();
        state.end_frames(header.term, header.index, header.last_index());
        for (at, offset, entry) in entries.0 {
            self.mending.entry(at, offset, &entry)?;
        }
        match lost {
            Some((at, size, true)) => self.lost_at(at, size),
            Some((_, _, false)) => self.state = None,
            None => {}
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
            self.lose_up_to(&known.state)?;
            self.state = Some(known.state);
        }
        Ok(())
    }

    /// What is lacking since the last loss up to a state that is known is lost.
    fn lose_up_to(&mut self, state: &State) -> Result<(), QueueError> {
        let Some(loss) = self.loss.take() else {
            return Ok(());
        };
        let lost = QueueEntry {
            physical: loss.at,
            put_ms: loss.time,
            size: loss.size,
            ..QueueEntry::default()
        };
        for (at, end) in tails(state) {
            let from = loss.ends.get(&at).copied().unwrap_or(0);
            self.lost += self.mending.lose(at, from, end.0, lost)?;
        }
        Ok(())
    }
}
