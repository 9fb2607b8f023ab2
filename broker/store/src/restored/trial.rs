//! Whether a start would go on, without changing anything: the same decisions as [`super::newest`], with the same errors.

use super::rebuild;
use super::{base_of, is_missing, spans_of};
use crate::checkpoint::{self, CheckpointError, Checkpoints, Pick};
use crate::io::LogIo;
use crate::log::LogPosition;
use crate::queue::QueueStore;
use crate::store::StoreError;
use crate::survey::Known;
use std::path::Path;
use std::sync::Arc;

/// Where the replay of a log that begins at `first` would begin; an error if there is none. A damaged index stops no start.
pub(crate) fn newest(io: &Arc<dyn LogIo>, dir: &Path, first: LogPosition) -> Result<LogPosition, StoreError> {
    let from_the_first_frame = first == LogPosition::default();
    let folder = dir.join("checkpoint");
    let replays = |from, newest| rebuild::replays(io, dir, from, newest);
    let loaded = match checkpoint::chosen(io, &folder, Pick::Newest, &replays) {
        Err(CheckpointError::None { .. }) if from_the_first_frame => {
            if let Some(newest) = Checkpoints::newest_named(&**io, &folder)? {
                replays(first.physical, newest)?;
            }
            return Ok(first);
        }
        chosen => chosen?,
    };
    let known = Known::of(&loaded)?;
    let at = loaded.position;
    let spans = spans_of(&known.state, at.physical == first.physical);
    let queue = dir.join("queue");
    let lacking: StoreError = match QueueStore::check(io, &queue, &spans) {
        Ok(()) => return Ok(at),
        Err(error) => error.into(),
    };
    if !is_missing(&lacking) {
        return Err(lacking);
    }
    let impossible = match rebuild::impossible(io, dir, first.physical, at.physical)? {
        Some(impossible) => impossible,
        None if from_the_first_frame => return Ok(first),
        None => match checkpoint::chosen(io, &folder, Pick::Base(first.physical), &|_, _| Ok(())) {
            Ok(base) => return Ok(base.position),
            Err(error @ CheckpointError::None { .. }) => base_of(&error),
            Err(error) => return Err(error.into()),
        },
    };
    if impossible.is_loss || QueueStore::has_note(io, &queue)? {
        return Ok(at);
    }
    Err(impossible.refusal(lacking))
}
