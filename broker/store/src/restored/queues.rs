//! The queues as a checkpoint left them, and what is told of queue files that were mended.

use super::{Lacking, mend};
use crate::applier::spans;
use crate::io::LogIo;
use crate::queue::{Left, QueueStore};
use crate::repair::{self, Diagnosis};
use crate::store::StoreError;
use crate::survey::Known;
use sluice_core::state::State;
use std::path::Path;
use std::sync::Arc;

/// The queues as of a checkpoint. Of those before the log's start all that is left stands behind it, carried or not: as of
/// the base they have nothing.
pub(super) fn look_at(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    state: &State,
    is_base: bool,
    lacking: Lacking,
    left: &Left,
) -> Result<QueueStore, StoreError> {
    let mut spans = spans(state);
    if is_base {
        spans.iter_mut().for_each(|span| span.first = span.end);
    }
    let (io, dir) = (Arc::clone(io), dir.join("queue"));
    let queues = match lacking {
        Lacking::IsAnError => QueueStore::look_at(io, &dir, &spans)?,
        Lacking::StopsNothing => QueueStore::look_at_mended(io, &dir, &spans, left.clone())?,
    };
    for at in state.tables().carried_queues() {
        for (offset, entry) in state.tables().carried_of(at) {
            queues.carry(at, offset, entry);
        }
    }
    Ok(queues)
}

/// Finds again what queue files lack that the newest checkpoint counts on. Answers what it could not find, with what is to be done.
pub(super) fn mend(io: &Arc<dyn LogIo>, dir: &Path, newest: &Known) -> Result<Left, StoreError> {
    let mended = mend::mend(io, dir, newest)?;
    if mended.lost > 0 {
        tracing::error!(
            messages = mended.lost,
            "nobody knows where these messages of damaged queue files stand: they count as lost with what the repair gave up, and groups go on past them"
        );
    }
    if mended.left.count() == 0 {
        return Ok(mended.left);
    }
    let folder = dir.display();
    let (way_on, of_one) = match repair::diagnosis(io, dir) {
        Ok(Some(Diagnosis { damage, way_on })) => (
            format!(
                "the log itself is damaged ({damage}), and groups go on once it is repaired: stop the broker, {way_on}"
            ),
            format!(
                "no restart makes it again, for the log is damaged too: stop the broker, and `sluicectl log verify {folder}` prints the command (`sluicectl log repair`) that repairs it"
            ),
        ),
        Ok(None) => (
            "move groups past them".to_owned(),
            "no restart makes it again, for nothing tells what stood there: move groups past that message (`sluicectl group reset`)".to_owned(),
        ),
        Err(error) => (
            error.to_string(),
            format!(
                "no restart makes it again: stop the broker, and look with `sluicectl log verify {folder}`"
            ),
        ),
    };
    tracing::error!(
        messages = mended.left.count(),
        "the entries of these messages cannot be found again, and groups stop before them: {way_on}"
    );
    Ok(mended.left.with_way_on(of_one))
}
