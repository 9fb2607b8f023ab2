//! Whether queue and index files can be made again from the log's start on.

use crate::checkpoint::CheckpointError;
use crate::io::LogIo;
use crate::log::{self, LogError, Seen};
use crate::store::StoreError;
use crate::survey::Findings;
use sluice_core::ids::PhysicalOffset;
use std::path::Path;
use std::sync::Arc;

/// Why a replay from the log's start would not come through.
pub(super) struct Impossible {
    /// In words.
    pub(super) why: String,
    /// The damage to the log, where it is that and nobody has repaired it.
    pub(super) damage: Option<LogError>,
}

/// Why a replay of the frames from `from` on and before `newest`, where a checkpoint stands, would not come through; `None` if it
/// would. Reads the log, and changes nothing.
pub(super) fn impossible(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    from: PhysicalOffset,
    newest: PhysicalOffset,
) -> Result<Option<Impossible>, StoreError> {
    let mut stops: Option<(PhysicalOffset, bool)> = None;
    let ask = log::Ask {
        reaches: newest,
        ..log::Ask::default()
    };
    let visit = &mut |seen: Seen<'_>, _: &mut Findings| {
        let stop = match seen {
            Seen::Frame(..) => return,
            Seen::Partly(frame) => (frame.start(), frame.check_commands().is_err()),
            Seen::Lost(at) => (at, false),
            Seen::Gap(at) => (at, true),
        };
        if stop.0 >= from {
            stops.get_or_insert(stop);
        }
    };
    let found = log::survey(io.as_ref(), dir, &ask, &mut Findings::default(), visit)?;
    let Some((at, is_damaged)) = stops.filter(|(at, _)| *at < newest) else {
        return Ok(None);
    };
    let what = match is_damaged {
        true => "the log is damaged",
        false => "a repair stands for what was lost",
    };
    let mut damage = found.damage.into_iter();
    let damage = damage.find(|damage| damage.from >= from && damage.from < newest);
    Ok(Some(Impossible {
        why: format!("at offset {at} of the log, before the newest checkpoint at {newest}, {what}"),
        damage: damage.map(|damage| LogError::Corruption {
            file: damage.file,
            offset: damage.file_offset,
            reason: damage.what,
        }),
    }))
}

/// Refuses to go on from `from` where the log does not lead from there to `newest`, where a damaged checkpoint stands.
pub(super) fn replays(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    from: PhysicalOffset,
    newest: PhysicalOffset,
) -> Result<(), CheckpointError> {
    let why = match impossible(io, dir, from, newest) {
        Ok(None) => return Ok(()),
        Ok(Some(impossible)) => impossible.why,
        Err(error) => error.to_string(),
    };
    Err(CheckpointError::Needed {
        folder: dir.join("checkpoint"),
        newest,
        from,
        why,
    })
}
