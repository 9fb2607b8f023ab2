//! What a start says of damage that it refuses: how far it reaches, what is in it, and which command gives it up.

use super::anew::NOTHING_LEFT;
use super::way_on::{self, First};
use super::{RepairError, range};
use crate::io::{BadBlocks, LogIo, SkippingIo};
use crate::log::{self, LogDamage, LogSurvey, Lost, surviving_commands};
use crate::survey::{Checked, Findings};
use sluice_core::command::{APPEND_RECORD_AT, COMMAND_HEADER_BYTES, Kind};
use sluice_core::ids::{LogIndex, PhysicalOffset};
use std::path::Path;
use std::sync::Arc;

/// Places that are told one by one.
const TOLD_MAX: usize = 3;
/// Bytes of a command with a message at least: its record has 91 besides topic, properties and body.
const MESSAGE_BYTES_MIN: u64 = APPEND_RECORD_AT as u64 + 91;
const RESTORE_LOG: &str = "restore the log from a backup, or ";
const STATE_IS_LOST: &str = "no checkpoint can be read as a whole before that, and from none that can be read in part the log leads on, so that no command helps";
const META_IS_LOST: &str =
    "neither meta.a nor meta.b is valid, and what they said can be told from the log and the checkpoints";
/// What both files of meta alone may have said.
pub(super) const LAST_IS_NOT_MISSED: &str =
    "a last segment that is gone with both meta files cannot be noticed, nor what it held";

/// What is damaged of a log.
pub struct Diagnosis {
    /// How far it reaches and what is in it, in one line.
    pub damage: String,
    /// The command that repairs it, or what else is to be done.
    pub way_on: String,
}

/// What a start says that has changed nothing: the [`diagnosis`].
pub fn diagnose(io: &Arc<dyn LogIo>, dir: &Path) -> Result<Option<String>, RepairError> {
    let found = diagnosis(io, dir)?;
    Ok(found.map(|Diagnosis { damage, way_on }| format!("{damage}. Nothing was changed: {way_on}")))
}

/// Says what is damaged of the log in `dir`. `None` if nothing is that a repair could replace. Reads the whole log, and changes nothing.
pub fn diagnosis(shared: &Arc<dyn LogIo>, dir: &Path) -> Result<Option<Diagnosis>, RepairError> {
    let shared = &SkippingIo::but_checkpoints(shared, dir, &BadBlocks::default());
    let (known, io) = (Checked::of(shared, dir)?, shared.as_ref());
    let mut findings = Findings::default();
    let found = log::survey(io, dir, &known.ask(&[]), &mut findings, &mut |_, _| {})?;
    let Some(command) = range::way_on(dir, &found) else {
        let is_gone = found.segments.is_empty() && !findings.is_sound();
        return Ok(is_gone.then(|| Diagnosis {
            damage: "nothing of the log is left".to_owned(),
            way_on: NOTHING_LEFT.to_owned(),
        }));
    };
    let bases: Vec<PhysicalOffset> = found.segments.iter().map(|segment| segment.base).collect();
    let told = found.damage.iter().take(TOLD_MAX);
    let mut words = Vec::new();
    if found.meta_is_lost {
        words.push(META_IS_LOST.to_owned());
        words.extend(about_the_last(&found));
    }
    words.extend(found.began.map(|began| gone_before(began, found.first.physical)));
    for damage in told {
        words.push(describe(io, dir, damage, &bases)?);
    }
    let rest = found.damage.len().saturating_sub(TOLD_MAX);
    if rest > 0 {
        words.push(format!("and {rest} places more"));
    }
    let what = match found.damage.is_empty() {
        true => "make meta again",
        false => "give up what is damaged",
    };
    let is_meta_alone = found.damage.is_empty() && found.meta_is_lost;
    let first = match is_meta_alone {
        true => Ok(First::Nothing),
        false => way_on::way_on_first(shared, dir, &found),
    };
    let way_on = match first {
        Ok(First::Nothing) => format!("{RESTORE_LOG}{what}: {command}"),
        Ok(First::State(first)) => format!("{RESTORE_LOG}{first}"),
        Ok(First::Backup) => format!("{STATE_IS_LOST}: {NOTHING_LEFT}"),
        Err(error) => format!(
            "{RESTORE_LOG}give nothing up before the checkpoints can be read, on which it depends what is lost with it ({error}): start again then"
        ),
    };
    Ok(Some(Diagnosis {
        damage: words.join("; "),
        way_on,
    }))
}

/// What lost meta files leave open, unless it is known that a last segment is missing.
fn about_the_last(found: &LogSurvey) -> Option<String> {
    if found.damage.iter().any(|damage| damage.to.is_none()) {
        return None;
    }
    Some(match found.damage.is_empty() && found.began.is_none() {
        true => format!("no message is known to be lost, but {LAST_IS_NOT_MISSED}"),
        false => LAST_IS_NOT_MISSED.to_owned(),
    })
}

/// What is lost where a log began before the first place of which anything is known.
pub(super) fn gone_before(began: PhysicalOffset, first: PhysicalOffset) -> String {
    format!(
        "the log began at offset {began}, and what stood there up to offset {first} is lost with all its messages: neither segments nor the checkpoint at its start are there"
    )
}

/// What is not known of a log of which the last durable slots are lost.
pub(super) fn unknown_behind(end: PhysicalOffset) -> String {
    format!(
        "whether anything followed offset {end}, where the last frame that can be read ends, is not known, since what said so stood in that page alone"
    )
}

/// One damaged place in words: what is lost there.
pub fn describe(
    io: &dyn LogIo,
    dir: &Path,
    damage: &LogDamage,
    bases: &[PhysicalOffset],
) -> Result<String, RepairError> {
    let from = damage.from;
    Ok(match (damage.lost, damage.to) {
        (
            Lost::Page {
                unknown_behind: Some(end),
                ..
            },
            _,
        ) => format!(
            "the first page of the segment at offset {from} is lost: its header stands elsewhere too, but {}",
            unknown_behind(end)
        ),
        (Lost::Page { .. }, _) => {
            format!(
                "the first page of the segment at offset {from} is lost, and nothing with it that does not stand elsewhere"
            )
        }
        (Lost::Command { index, .. }, to) => {
            let to = to.unwrap_or(from);
            let held = match may_be_a_message(damage) {
                true => "one message at most, or else what a client, a group or an administrator did",
                false => {
                    "it is too short for a message, and was what a client, a group or an administrator did"
                }
            };
            format!("one command of the frame with index {index} is lost, from offset {from} to {to}: {held}")
        }
        (Lost::Frames { at, count }, Some(to)) => {
            let (messages, all) = count_messages(io, dir, bases, from, to)?;
            let frames = frames(at.index, count);
            let they = if count == 1 { "it" } else { "they" };
            let how_many = match (messages, all) {
                (0, true) => format!("{they} held no messages"),
                (1, true) => format!("{they} held one message"),
                (messages, true) => format!("{they} held {messages} messages"),
                (0, false) => format!("nobody knows how many messages {they} held"),
                (1, false) => format!("{they} held one message at least"),
                (messages, false) => format!("{they} held {messages} messages at least"),
            };
            format!("{frames} from offset {from} to {to} cannot be read: {how_many}")
        }
        (Lost::Frames { at, .. }, None) if damage.file == dir.join("log") => format!(
            "no segment of the log is there: all messages are lost, and what came behind offset {from}, index {}, where the newest whole checkpoint stands, is unknown",
            at.index
        ),
        (Lost::Frames { at, .. }, None) => format!(
            "from offset {from}, index {}, on nothing can be read that continues the log: nobody knows how many messages are lost with that",
            at.index
        ),
    })
}

/// Whether a command that is lost is long enough for a message.
pub(super) fn may_be_a_message(damage: &LogDamage) -> bool {
    let to = damage.to.unwrap_or(damage.from);
    to.0.saturating_sub(damage.from.0) >= MESSAGE_BYTES_MIN
}

/// So many frames from an index on; 0 if nobody knows how many.
fn frames(first: LogIndex, count: u64) -> String {
    match count {
        0 => format!("frames from index {first} on"),
        1 => format!("one frame (index {first})"),
        _ => format!("{count} frames (index {first} to {})", first.0 + (count - 1)),
    }
}

/// Messages that are still whole in a damaged part, and whether these are all.
pub(super) fn count_messages(
    io: &dyn LogIo,
    dir: &Path,
    bases: &[PhysicalOffset],
    from: PhysicalOffset,
    to: PhysicalOffset,
) -> Result<(u64, bool), RepairError> {
    let mut messages = 0;
    let Some(base) = bases.iter().rev().find(|base| **base <= from) else {
        return Ok((0, false));
    };
    let all = surviving_commands(io, &log::file_of(dir, *base), *base, (from, to), &mut |command| {
        let kind = command.get(COMMAND_HEADER_BYTES);
        messages += u64::from(
            [Kind::Append, Kind::Carry]
                .iter()
                .any(|one| kind == Some(&(*one as u8))),
        );
    })?;
    Ok((messages, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_as_one_as_several_and_as_nobody_knows_how_many() {
        let told = [0, 1, 3].map(|count| frames(LogIndex(1864), count));
        assert_eq!(
            told,
            [
                "frames from index 1864 on",
                "one frame (index 1864)",
                "3 frames (index 1864 to 1866)"
            ]
        );
    }
}
