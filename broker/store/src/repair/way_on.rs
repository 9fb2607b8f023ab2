//! What a start that is refused for state names: the command that goes on without what is lost of it, and where none does.

use super::RepairError;
use super::range::{self, Range};
use crate::checkpoint::{self, Checkpoints, Readable};
use crate::checkpointer::Header;
use crate::io::{BadBlocks, LogIo, SkippingIo};
use crate::log::{self, LogDamage, LogPosition, LogSurvey, Lost, Seen};
use crate::restored::trial;
use crate::survey::{Checked, Findings};
use sluice_core::command::{COMMAND_HEADER_BYTES, LOST};
use std::path::Path;
use std::sync::Arc;

const OPTION: &str = " --accept-lost-state";

/// The command that goes on where a start finds no checkpoint to go on from, and what it costs in a word; `None` if none does. Reads
/// the log, and changes nothing.
pub fn way_on_without_state(io: &Arc<dyn LogIo>, dir: &Path) -> Result<Option<String>, RepairError> {
    let io = &SkippingIo::but_checkpoints(io, dir, &BadBlocks::default());
    if let Some(readable) = usable(io, dir)? {
        let (without, command) = without_what_is_lost(dir, &readable);
        return Ok(Some(format!("copy the folder, and then {without}: {command}")));
    }
    let known = Checked::of(io, dir)?;
    let (log, mut lost) = what_was_lost(io, dir, &known)?;
    let damaged = range::needed(&log.damage);
    if lost.is_empty() {
        return Ok(None);
    }
    lost.extend(&damaged);
    lost.sort_by_key(|range| range.from);
    Ok(Some(format!(
        "or go on with what the log says, without what groups did behind what was lost: {} --wider",
        range::command_with(dir, &lost, &damaged)
    )))
}

/// What comes before anything of a damaged log is given up.
pub(super) enum First {
    Nothing,
    /// State, of which a checkpoint can be read in part: behind one that is whole again only what is damaged of the log is lost. What
    /// to do, and the command.
    State(String),
    /// No command helps: state is not known before the damage, nor behind it.
    Backup,
}

/// What comes first where `log` is damaged.
pub(super) fn way_on_first(io: &Arc<dyn LogIo>, dir: &Path, log: &LogSurvey) -> Result<First, RepairError> {
    if trial::newest(io, dir, log.first).is_ok() {
        return Ok(First::Nothing);
    }
    if let Some(readable) = usable(io, dir)? {
        let (without, command) = without_what_is_lost(dir, &readable);
        return Ok(First::State(format!(
            "copy the folder, and first {without}; the start after it tells what of the log has to be given up besides, if anything: {command}"
        )));
    }
    let lost = log
        .damage
        .iter()
        .find(|damage| !matches!(damage.lost, Lost::Page { .. }));
    Ok(match lost {
        Some(damage) if !begins_before(io, dir, log.first, damage)? => First::Backup,
        _ => First::Nothing,
    })
}

/// Whether there is state to go on from before what is damaged.
fn begins_before(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    first: LogPosition,
    damage: &LogDamage,
) -> Result<bool, RepairError> {
    if first == LogPosition::default() {
        return Ok(true);
    }
    let folder = dir.join("checkpoint");
    let mut named = Checkpoints::named(io.as_ref(), &folder)?;
    named.retain(|at| *at <= damage.from);
    Ok(named
        .into_iter()
        .any(|at| checkpoint::load(io, &folder, at).is_ok()))
}

/// What it is to go on without a checkpoint's lost parts, and the command.
fn without_what_is_lost(dir: &Path, readable: &Readable) -> (String, String) {
    let (lost, parts) = (readable.lost.len(), readable.lost.len() + readable.parts.len());
    let what = format!(
        "go on without {lost} of {parts} parts of the checkpoint at {} that cannot be read: what was in them is put together from what else there is, or begins again",
        readable.position
    );
    (what, format!("{}{OPTION}", range::command(dir, &[])))
}

/// The newest checkpoint whose root can be read, if the log leads on from there.
pub(super) fn usable(io: &Arc<dyn LogIo>, dir: &Path) -> Result<Option<Readable>, RepairError> {
    let folder = dir.join("checkpoint");
    let Some(readable) = checkpoint::readable(io, &folder)? else {
        return Ok(None);
    };
    let newest = Checkpoints::newest_named(io.as_ref(), &folder)?.unwrap_or_default();
    let leads_on =
        newest <= readable.position.physical || trial::leads_on(io, dir, readable.position.physical, newest);
    let is_state = Header::decode(&readable.header).is_ok() && !readable.lost.is_empty();
    Ok(Some(readable).filter(|_| leads_on && is_state))
}

/// What repairs have left that only a checkpoint behind it knows, whole frames each.
fn what_was_lost(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    known: &Checked,
) -> Result<(LogSurvey, Vec<Range>), RepairError> {
    let mut lost = Vec::new();
    let mut visit = |seen: Seen<'_>, _: &mut Findings| {
        if let Seen::Partly(frame) = seen
            && frame
                .commands()
                .any(|(_, _, bytes)| bytes.get(COMMAND_HEADER_BYTES) == Some(&LOST))
        {
            lost.push(Range {
                from: frame.start(),
                to: Some(frame.end()),
            });
        }
    };
    let ask = known.ask(&[]);
    let log = log::survey(io.as_ref(), dir, &ask, &mut Findings::default(), &mut visit)?;
    let frames = log
        .repaired
        .iter()
        .filter(|done| !done.state_is_known && done.frames > 0);
    lost.extend(frames.map(|done| Range {
        from: done.from,
        to: Some(done.to),
    }));
    Ok((log, lost))
}
