//! Whether what somebody accepts to lose is what is damaged: all of it, and no more.

use super::RepairError;
use super::anew::NOTHING_LEFT;
use super::plan::{Accepted, RESTORE};
use super::range::{self, Range, needed};
use crate::survey::Survey;
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
    if log.damage.is_empty() {
        let asks = !ranges.is_empty() || end.is_some();
        if accepted.new_meta && !asks {
            return Ok(!log.meta_is_lost);
        }
        if was_repaired(found, ranges, end) {
            return Ok(true);
        }
        if end.is_none() || !wider {
            return Err(nothing_damaged(found));
        }
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
        if !cover(ranges, damage.from, to) {
            let what = format!(
                "{} is damaged too, and not among what is accepted",
                range::of(damage)
            );
            return Err(RepairError::refused(what, command()));
        }
    }
    if let Some(odd) = ranges.iter().find(|range| !is_damaged(found, range, wider)) {
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

/// That there is nothing to give up.
pub(super) fn nothing_damaged(found: &Survey) -> RepairError {
    let hint = match found.findings.damage.iter().any(|damage| !damage.derived) {
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

/// Whether these ranges, one after another, cover all from `from` to `to`.
fn cover(ranges: &[Range], from: PhysicalOffset, to: PhysicalOffset) -> bool {
    let mut at = from;
    let mut covered = false;
    let mut ranges = ranges.to_vec();
    ranges.sort_by_key(|range| range.from);
    for range in ranges {
        if let Some(end) = range.to
            && range.from <= at
            && end >= at
        {
            covered |= range.from <= from && end >= from;
            at = end;
        }
    }
    covered && at >= to
}

/// Whether a repair has left just this, in a log in which nothing is damaged any more.
fn was_repaired(found: &Survey, ranges: &[Range], end: Option<PhysicalOffset>) -> bool {
    let log = &found.log;
    let was_repaired = |range: &Range| is_page(found, range) || stands_for(found, range);
    let has_ended = end.is_none_or(|end| end == log.end.physical);
    let asks = !ranges.is_empty() || end.is_some();
    asks && has_ended && ranges.iter().all(was_repaired)
}

/// Whether a range is that of a segment's first page. Nothing else that is empty is ever lost; and a page that was made again looks like one
/// that never was damaged. Of a repair that was stopped the segment may be gone, and then what is damaged begins there.
fn is_page(found: &Survey, range: &Range) -> bool {
    let bases = found.log.segments.iter().map(|segment| segment.base);
    let mut begins = bases.chain(found.log.damage.iter().map(|damage| damage.from));
    range.to == Some(range.from) && begins.any(|begin| begin == range.from)
}

/// Whether what repairs have left stands for all of a range: of one that was longer than a segment there are several.
fn stands_for(found: &Survey, range: &Range) -> bool {
    let mut at = range.from;
    for repaired in &found.log.repaired {
        if repaired.from <= at && repaired.to > at {
            at = repaired.to;
        }
    }
    range.to.is_some_and(|to| at > range.from && to <= at)
}

/// Whether a range is one damaged place, or was; or with leave begins and ends with damaged places.
fn is_damaged(found: &Survey, range: &Range, wider: bool) -> bool {
    let log = &found.log;
    let mut damage = log.damage.iter();
    // What is left of a repair that was stopped may be one place where there were several.
    let is_part = log.damage.iter().any(|damage| {
        let ends = damage.to.zip(range.to).is_some_and(|(damaged, to)| to <= damaged);
        ends && range.from >= damage.from && damage.from < range.to.unwrap_or_default()
    });
    if is_part || is_page(found, range) {
        return true;
    }
    let begins_there = || log.repaired.iter().any(|done| done.from == range.from);
    if damage.any(|damage| range::of(damage) == *range) || (begins_there() && stands_for(found, range)) {
        return true;
    }
    let begins = log.damage.iter().any(|damage| damage.from == range.from);
    let ends = log.damage.iter().any(|damage| damage.to == range.to);
    wider && begins && ends
}
