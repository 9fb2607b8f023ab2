//! Whether what somebody accepts to lose is what is damaged: all of it, and no more.

use super::RepairError;
use super::anew::NOTHING_LEFT;
use super::plan::{Accepted, RESTORE};
use super::range::{self, Range, needed};
use super::spans::{Ground, Spans};
use crate::survey::{Damage, Survey, Weight};
use sluice_core::ids::PhysicalOffset;
use std::path::Path;

/// Checks ranges, and where the log is to end. Answers whether it was repaired so before. `damaged` are the ranges that count as damaged
/// without anything being accepted.
pub(super) fn check(
    dir: &Path,
    found: &Survey,
    damaged: &[Range],
    (ranges, end): (&[Range], Option<PhysicalOffset>),
    accepted: &Accepted<'_>,
) -> Result<bool, RepairError> {
    let (log, wider) = (&found.log, accepted.wider);
    let (ground, spans) = (Ground::of(found), Spans::of_ranges(ranges));
    if log.meta_is_lost && !accepted.new_meta {
        let hint = match range::way_on_with(dir, log, damaged) {
            Some(command) => format!("{RESTORE}, or go on with what the log says: {command}"),
            None => NOTHING_LEFT.to_owned(),
        };
        return Err(RepairError::refused("neither meta.a nor meta.b is valid", hint));
    }
    if log.damage.is_empty() && log.segments.is_empty() {
        return Err(RepairError::refused("the log has no segment", NOTHING_LEFT));
    }
    if log.damage.is_empty()
        && let Some(is_done) = done(found, &ground, (ranges, end), accepted)?
    {
        return Ok(is_done);
    }
    let wanted = needed(&log.damage);
    let command = || nothing_else(&wanted, range::way_on_with(dir, log, damaged));
    let before_end = |at: PhysicalOffset| end.is_none_or(|end| at < end);
    for damage in log.damage.iter().filter(|damage| before_end(damage.from)) {
        let Some(to) = damage.to else {
            let what = format!(
                "from offset {} on nothing can be read that continues the log",
                damage.from
            );
            return Err(RepairError::refused(what, command()));
        };
        if !spans.cover(damage.from, to) {
            let what = format!(
                "{} is damaged too, and not among what is accepted",
                range::of(damage)
            );
            return Err(RepairError::refused(what, command()));
        }
    }
    if let Some(odd) = ranges.iter().find(|range| !ground.is_damaged(range, wider)) {
        let what = match wider {
            true => format!("{odd} does not begin and end between frames"),
            false => format!("{odd} is not what is damaged, but more or something else"),
        };
        return Err(RepairError::refused(what, command()));
    }
    let must_end = wanted
        .last()
        .is_some_and(|last| last.to.is_none() && Some(last.from) == end);
    // Of a repair that was stopped the end may be there, and what is before it not.
    let ends_there = end == Some(log.end.physical);
    if end.is_some() && !must_end && !ends_there && !wider {
        let hint = format!("{}; with --wider it is done nevertheless", command());
        return Err(RepairError::refused(
            "more than what is damaged would be given up",
            hint,
        ));
    }
    Ok(false)
}

/// Of a log in which nothing is damaged: whether it was repaired so before; `None` if it is to be cut with leave.
fn done(
    found: &Survey,
    ground: &Ground,
    (ranges, end): (&[Range], Option<PhysicalOffset>),
    accepted: &Accepted<'_>,
) -> Result<Option<bool>, RepairError> {
    let log = &found.log;
    let asks = !ranges.is_empty() || end.is_some();
    if accepted.new_meta && !asks {
        return Ok(Some(!log.meta_is_lost));
    }
    let has_ended = end.is_none_or(|end| end == log.end.physical);
    if asks && has_ended && ranges.iter().all(|range| ground.was_repaired(range)) {
        return Ok(Some(true));
    }
    if end.is_none() || !accepted.wider {
        return Err(nothing_damaged(found));
    }
    Ok(None)
}

/// That there is nothing to give up.
pub(super) fn nothing_damaged(found: &Survey) -> RepairError {
    let is_lost = |damage: &Damage| damage.weight == Weight::Lost;
    let hint = match found.findings.damage.iter().any(is_lost) {
        true => format!("what is damaged cannot be replaced: {RESTORE}"),
        false => "start the broker; `sluicectl log verify` tells about other files".to_owned(),
    };
    RepairError::refused("no frame of the log is damaged", hint)
}

/// What the command gives up that goes on, with it.
fn nothing_else(wanted: &[Range], command: Option<String>) -> String {
    let command = command.unwrap_or_default();
    match wanted.last() {
        Some(Range { from, to: None }) => {
            format!("this gives up what is damaged, and all that follows offset {from}: {command}")
        }
        _ => format!("this gives up what is damaged, and nothing else: {command}"),
    }
}
