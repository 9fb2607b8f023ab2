//! The base: the checkpoint at the log's start, which counts on no files. Before the first frame it is the empty state.

use super::{Restored, Unsettled};
use crate::checkpoint::Checkpoints;
use crate::checkpointer::Header;
use crate::index::{IndexPosition, IndexStore};
use crate::io::LogIo;
use crate::log::LogPosition;
use crate::queue::QueueStore;
use crate::store::StoreError;
use sluice_core::state::State;
use std::path::Path;
use std::sync::Arc;

/// Before the log's first frame: the base is the empty state, and no other checkpoint is left once it is settled, for they count on
/// files which are made again.
pub(super) fn fresh(io: &Arc<dyn LogIo>, dir: &Path, folder: &Path) -> Result<Restored, StoreError> {
    let (state, _) = empty();
    let unsettled = Unsettled {
        checkpoints: Checkpoints::look_at_nothing(Arc::clone(io), folder)?,
        queues: QueueStore::look_at(Arc::clone(io), &dir.join("queue"), &[])?,
        index: IndexStore::look_at_nothing(Arc::clone(io), &dir.join("index"), &IndexPosition::default())?,
        first: LogPosition::default(),
    };
    Ok(Restored {
        state,
        position: LogPosition::default(),
        unsettled,
    })
}

/// A base that was damaged is put aside when the checkpoints are settled; it is needed when queue or index files are lost.
pub(super) fn put_back(checkpoints: &mut Checkpoints) -> Result<(), StoreError> {
    let position = LogPosition::default();
    if checkpoints.kept().next() == Some(position) {
        return Ok(());
    }
    let header = empty().1;
    if checkpoints.kept().next().is_none() {
        checkpoints.write(position, &header, &|_| true, std::iter::empty())?;
        return Ok(());
    }
    match checkpoints.put_base_back(position, &header) {
        Err(error) if error.is_full_disk() => {
            tracing::warn!(%error, "the checkpoint at the log's start is lost; the next start puts it back");
            Ok(())
        }
        other => Ok(other?),
    }
}

/// The state before the first frame, and what a checkpoint of it says.
fn empty() -> (State, Vec<u8>) {
    let mut state = State::new();
    let header = Header {
        state: &state.snapshot().header,
        index: IndexPosition::default(),
    }
    .encode();
    (state, header)
}

/// Nothing needs the checkpoint at the log's start until queue or index files are lost: then it is too late to hear of it.
pub(super) fn tell_if_lost(checkpoints: &Checkpoints, first: LogPosition) {
    if !is_kept(checkpoints, first) {
        tracing::error!(
            start = first.physical.0,
            "the checkpoint at the log's start is lost: until retention moves the log's start, queue files and index cannot be made again, so copy the folder now, and delete nothing of it"
        );
    }
}

pub(super) fn is_kept(checkpoints: &Checkpoints, first: LogPosition) -> bool {
    let mut kept = checkpoints.kept();
    kept.any(|position| position.physical == first.physical)
}

/// The index's first run, where it is known: what the checkpoint at the log's start says.
pub(super) fn first_run(checkpoints: &Checkpoints, first: LogPosition) -> Option<u64> {
    if first == LogPosition::default() {
        return Some(0);
    }
    let mut headers = checkpoints.headers();
    let (_, header) = headers.find(|(position, _)| position.physical == first.physical)?;
    let header = Header::decode(header).ok()?;
    Some(header.index.at_segment_start().run)
}
