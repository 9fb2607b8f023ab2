//! State, queues and index as a checkpoint left them: what a start replays the log onto.
//!
//! Usually the newest checkpoint that holds. Where queue or index files are missing that it counts on, the base, which
//! counts on none; and where the log still begins at its first frame the base is the empty state, whatever became of
//! its file. Where the log has lost what only a newer checkpoint counts in, or the base is lost, nothing can be made again: then
//! the index begins anew, and queue files are read as far as they can be.

mod base;
mod behind;
mod index;
mod mend;
mod queues;
mod rebuild;
pub(crate) mod trial;

use crate::checkpoint::{CheckpointError, Checkpoints, Loaded, Pick};
use crate::checkpointer::Header;
use crate::index::IndexStore;
use crate::io::LogIo;
use crate::log::{Ahead, LogPosition};
use crate::queue::{Left, QueueError, QueueStore};
use crate::store::StoreError;
use crate::survey::Known;
use index::Place;
use rebuild::Impossible;
use sluice_core::state::{RestoreError, ShardKey, State};
use std::path::Path;
use std::sync::Arc;

/// Everything as of one checkpoint.
pub(crate) struct Restored {
    pub(crate) state: State,
    pub(crate) position: LogPosition,
    pub(crate) unsettled: Unsettled,
}

/// Files as they were found, with what is not gone on from. A start that is refused leaves them so.
pub(crate) struct Unsettled {
    pub(crate) checkpoints: Checkpoints,
    pub(crate) queues: QueueStore,
    pub(crate) index: IndexStore,
    /// Where the log begins.
    first: LogPosition,
}

impl Unsettled {
    /// Takes away, or puts aside, what is not gone on from, once nothing stops the start any more and before anything is written.
    pub(crate) fn settle(&mut self) -> Result<(), StoreError> {
        // First of all, durably: newer checkpoints count on what goes then.
        self.checkpoints.settle()?;
        self.queues.settle()?;
        self.index.settle()?;
        if self.first == LogPosition::default() {
            base::put_back(&mut self.checkpoints)?;
        }
        // A stop may have come between the log's purge and this; what stays below would be taken for the base.
        Ok(self.checkpoints.remove_below(self.first.physical)?)
    }
}

/// As of the newest checkpoint that holds; of the base when queue files or index files are missing that it counts on, and can be
/// made again from there. `first` is where the log begins. A new log gets its base.
///
/// What is there changes by [`Unsettled::settle`], once nothing stops the start any more; only where something is mended before that,
/// `ahead` is asked first.
pub(crate) fn newest(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    first: LogPosition,
    ahead: &Ahead,
) -> Result<Restored, StoreError> {
    let from_the_first_frame = first == LogPosition::default();
    let folder = dir.join("checkpoint");
    let replays = |from, newest| rebuild::replays(io, dir, from, newest);
    let (checkpoints, loaded) = match Checkpoints::look_if(Arc::clone(io), &folder, Pick::Newest, &replays) {
        Err(CheckpointError::None { .. }) if from_the_first_frame => {
            if let Some(newest) = Checkpoints::newest_named(&**io, &folder)? {
                replays(first.physical, newest)?;
            }
            return base::fresh(io, dir, &folder);
        }
        opened => opened?,
    };
    let from = From {
        io,
        dir,
        first,
        ahead,
        lacking: Lacking::IsAnError,
        left: Left::default(),
    };
    let lacking = match from.of(checkpoints, &loaded) {
        Err(error) if is_missing(&error) || is_not_given(&error) => error,
        Ok(restored) => {
            if !from_the_first_frame {
                base::tell_if_lost(&restored.unsettled.checkpoints, first);
            }
            return Ok(restored);
        }
        error => return error,
    };
    // Newer checkpoints go when the base is taken, and may be all that is known of state.
    if let Some(impossible) = rebuild::impossible(io, dir, first.physical, loaded.position.physical)? {
        if is_not_given(&lacking) {
            return Err(lacking);
        }
        return from.as_they_are(lacking, impossible);
    }
    tracing::warn!(error = %lacking, "rebuilding all queue and index files from the log");
    if from_the_first_frame {
        return base::fresh(io, dir, &folder);
    }
    let any = |_, _| Ok(());
    match Checkpoints::look_if(Arc::clone(io), &folder, Pick::Base(first.physical), &any) {
        Ok((checkpoints, loaded)) => from.of(checkpoints, &loaded),
        Err(CheckpointError::None { .. }) if is_not_given(&lacking) => Err(lacking),
        Err(error @ CheckpointError::None { .. }) => {
            let impossible = Impossible {
                why: error.to_string(),
                damage: None,
            };
            from.as_they_are(lacking, impossible)
        }
        Err(error) => Err(error.into()),
    }
}

/// What becomes of an index and of queue files that lack what the checkpoint counts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lacking {
    IsAnError,
    /// An index begins anew at the checkpoint: it serves look-ups alone. What queue files lack after they were mended is damaged, and
    /// stops the groups that come to it.
    StopsNothing,
}

/// Where a start goes on from.
struct From<'a> {
    io: &'a Arc<dyn LogIo>,
    dir: &'a Path,
    /// Where the log begins.
    first: LogPosition,
    ahead: &'a Ahead,
    lacking: Lacking,
    /// What queue files lack yet after they were mended.
    left: Left,
}

impl From<'_> {
    /// As of the newest checkpoint, where files are missing or damaged that nothing can make again as a whole, for this reason: the
    /// index begins anew, and queue files are mended.
    fn as_they_are(&self, lacking: StoreError, impossible: Impossible) -> Result<Restored, StoreError> {
        let Impossible { why, damage } = impossible;
        let folder = self.dir.join("checkpoint");
        let any = |_, _| Ok(());
        let (checkpoints, loaded) = Checkpoints::look_if(Arc::clone(self.io), &folder, Pick::Newest, &any)?;
        let known = Known::of(&loaded)?;
        // What follows changes files.
        self.ahead.look(loaded.position)?;
        let mut left = Left::default();
        if matches!(lacking, StoreError::Queue(_)) {
            tracing::error!(
                error = %lacking, %why,
                "queue files are damaged, and cannot be made again as a whole: what can be read or found again of them goes on; copy the folder now"
            );
            left = queues::mend(self.io, self.dir, &known)?;
        }
        let from = Self {
            lacking: Lacking::StopsNothing,
            left,
            ..*self
        };
        match from.of(checkpoints, &loaded) {
            // A repair of the log gives up with it what is lacking of queue files.
            Err(error) if is_missing(&error) => Err(match damage {
                Some(damage) => StoreError::Log(damage),
                None => StoreError::cannot_be_made_again(error, why),
            }),
            restored => restored,
        }
    }

    fn of(&self, mut checkpoints: Checkpoints, loaded: &Loaded) -> Result<Restored, StoreError> {
        let first = self.first;
        let header = Header::decode(&loaded.header).map_err(RestoreError::Header)?;
        let mut parts = Vec::new();
        for (key, bytes) in loaded.parts() {
            parts.push((
                ShardKey::from_numbers(key.kind, key.ids).map_err(RestoreError::Header)?,
                bytes,
            ));
        }
        let state = State::restore(header.state, parts)?;
        let is_base = loaded.position.physical == first.physical;
        let queues = queues::look_at(self.io, self.dir, &state, is_base, self.lacking, &self.left)?;
        queues.trim_again();
        let first_run = base::first_run(&checkpoints, first);
        let place = Place {
            io: self.io,
            folder: &self.dir.join("index"),
            at: loaded.position,
            time: state.tables().now(),
            position: header.index,
            first,
            ahead: self.ahead,
        };
        let index = place.index(first_run, self.lacking)?;
        if first != LogPosition::default() && !base::is_kept(&checkpoints, first) {
            checkpoints.keep_what_is_left_of(first.physical);
        }
        Ok(Restored {
            state,
            position: loaded.position,
            unsettled: Unsettled {
                checkpoints,
                queues,
                index,
                first,
            },
        })
    }
}

/// Whether the disk does not give a file that a checkpoint counts on. It may the next time: files are made again for it where that costs
/// nothing, and nothing else goes on without it.
fn is_not_given(error: &StoreError) -> bool {
    match error {
        StoreError::Queue(error) => matches!(error, QueueError::Unread { .. }),
        StoreError::Index(error) => error.is_not_given(),
        _ => false,
    }
}

/// Whether files are not there that a checkpoint counts on.
fn is_missing(error: &StoreError) -> bool {
    match error {
        StoreError::Queue(error) => matches!(error, QueueError::Missing { .. } | QueueError::Noted { .. }),
        StoreError::Index(error) => error.is_missing(),
        _ => false,
    }
}
