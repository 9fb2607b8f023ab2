//! Whether a start would go on, without changing anything: by the same choice of a checkpoint as [`super::newest`], with the same errors.

use super::rebuild;
use crate::checkpoint::{self, CheckpointError, Checkpoints, Pick};
use crate::io::LogIo;
use crate::log::LogPosition;
use crate::store::StoreError;
use crate::survey::Known;
use sluice_core::ids::PhysicalOffset;
use std::path::Path;
use std::sync::Arc;

/// Where the replay of a log that begins at `first` would begin at the latest; an error if there is none. Damaged queue files and a
/// damaged index stop no start: where they are made again from an earlier place, the log is whole from there on.
pub(crate) fn newest(io: &Arc<dyn LogIo>, dir: &Path, first: LogPosition) -> Result<LogPosition, StoreError> {
    let folder = dir.join("checkpoint");
    let replays = |from, newest| rebuild::replays(io, dir, from, newest);
    match checkpoint::chosen(io, &folder, Pick::Newest, &replays) {
        Err(CheckpointError::None { .. }) if first == LogPosition::default() => {
            if let Some(newest) = Checkpoints::newest_named(&**io, &folder)? {
                replays(first.physical, newest)?;
            }
            Ok(first)
        }
        chosen => {
            let chosen = chosen?;
            Known::of(&chosen)?;
            Ok(chosen.position)
        }
    }
}

/// Whether the log leads from `from` to `to`, of which a checkpoint knows that it was there.
pub(crate) fn leads_on(io: &Arc<dyn LogIo>, dir: &Path, from: PhysicalOffset, to: PhysicalOffset) -> bool {
    rebuild::replays(io, dir, from, to).is_ok()
}
