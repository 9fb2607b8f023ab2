//! From what is damaged to what is to be different in each segment.

use super::RepairError;
use crate::log::{Change, LogDamage, LogPosition, Lost, Replaced, SegmentHeader, Tombstone};
use crate::log::{PAGE_BYTES, ShardUuid};
use crate::survey::Survey;
use sluice_core::command::{LOST, VOID};
use sluice_core::ids::{LogIndex, PhysicalOffset};

/// The segments that are there.
pub(super) struct Segments {
    /// By rising base.
    headers: Vec<SegmentHeader>,
    uuid: ShardUuid,
    segment_bytes: u64,
    /// Where the log begins.
    first: LogPosition,
    /// Behind the last frame that can be read.
    end: LogPosition,
    /// Where the newest segment begins that there ever was.
    newest: PhysicalOffset,
    generation: u64,
}

impl Segments {
    pub(super) fn of(found: &Survey) -> Self {
        let identity = found.log.meta.as_ref().map(|meta| &meta.identity);
        let uuid = identity.map_or_else(ShardUuid::default, |identity| identity.uuid);
        let segment_bytes = identity.map_or(0, |identity| identity.segment_bytes);
        let header = |segment: &crate::log::SegmentSurvey| SegmentHeader {
            uuid,
            segment_bytes,
            base: segment.base,
            base_index: segment.first_index,
        };
        Self {
            headers: found.log.segments.iter().map(header).collect(),
            uuid,
            segment_bytes,
            first: found.log.first,
            end: found.log.end,
            newest: found
                .log
                .meta
                .as_ref()
                .map_or(PhysicalOffset(0), |meta| meta.newest_segment),
            generation: found.log.generation,
        }
    }

    /// The base of the segment that holds `at`: at its end what comes next belongs to the one behind, if there is one.
    pub(super) fn holding(&self, at: PhysicalOffset) -> PhysicalOffset {
        let mut bases = self.headers.iter().rev().map(|header| header.base);
        bases.find(|base| *base <= at).unwrap_or_default()
    }

    /// Whether the newest segment is to be made again, for its file is gone: checkpoints and the index count on that a segment begins
    /// there.
    fn is_missing(&self, base: PhysicalOffset) -> bool {
        base == self.newest
            && self.end.physical == base
            && self.headers.iter().all(|header| header.base != base)
    }

    fn last(&self) -> PhysicalOffset {
        self.headers.last().map_or(PhysicalOffset(0), |last| last.base)
    }

    fn capacity(&self) -> u64 {
        self.segment_bytes.saturating_sub(PAGE_BYTES)
    }
}

/// The changes, by rising base.
pub(super) fn changes(
    segments: &Segments,
    damage: &[LogDamage],
    newest: Option<LogPosition>,
    unsure_from: Option<PhysicalOffset>,
    void_from: Option<PhysicalOffset>,
    end: Option<PhysicalOffset>,
) -> Result<Vec<Change>, RepairError> {
    let mut changes: Vec<Change> = segments.headers.iter().copied().map(Change::of).collect();
    for damage in damage {
        let is_unsure = unsure_from.is_some_and(|from| damage.from >= from);
        match damage.lost {
            Lost::Page { .. } => change_at(&mut changes, damage.from).new_page = true,
            Lost::Command { .. } => {
                let kind = if is_unsure { VOID } else { LOST };
                let from = damage.from;
                change_at(&mut changes, from)
                    .commands
                    .push(Replaced { from, kind });
            }
            Lost::Frames { at, count } => {
                let to = damage.to.unwrap_or(damage.from);
                let parts = parts(at, to, count, newest.filter(|_| !is_unsure));
                // Of a missing file it is told that the next one does not follow.
                let is_there = changes.iter().any(|change| change.header.base == at.physical);
                if damage.file_offset == 0 && !is_there {
                    changes.push(new_segment(segments, at.physical, at.index));
                    changes.sort_by_key(|change| change.header.base);
                }
                for (at, to, count) in parts {
                    let known = unsure_from.is_some_and(|from| at.physical >= from);
                    put(segments, &mut changes, at, to, count, known)?;
                }
            }
        }
    }
    let next_bases: Vec<_> = changes.iter().skip(1).map(|next| next.header.base).collect();
    for (at, change) in changes.iter_mut().enumerate() {
        let reaches = |from: &PhysicalOffset| next_bases.get(at).is_none_or(|next| next > from);
        change.void_from = void_from.filter(reaches);
    }
    let generation = segments.generation + 1;
    if let Some(end) = end {
        if segments.is_missing(end) && changes.iter().all(|change| change.header.base != end) {
            changes.push(new_segment(segments, end, segments.end.index));
        } else if changes.iter().all(|change| change.header.base > end) {
            // Nothing is left of a log of which the beginning is gone.
            if end != segments.first.physical {
                let what = format!("there is no segment that could end at offset {end}");
                return Err(RepairError::refused(what, super::plan::RESTORE));
            }
            changes.insert(0, new_segment(segments, end, segments.first.index));
        }
        // At the end of a segment what comes next belongs to it.
        let made = changes.iter().rev().map(|change| change.header.base);
        let last = made.filter(|base| *base <= end).max().unwrap_or_default();
        changes.retain(|change| change.header.base <= last);
        let change = change_at(&mut changes, end);
        change.end = Some(end);
        change.slot = Some((end, generation));
    } else if let Some(last) = changes
        .iter_mut()
        .find(|change| change.header.base == segments.last())
        && (last.new_page || !last.tombstones.is_empty())
    {
        last.slot = Some((segments.end.physical, generation));
    }
    Ok(changes)
}

/// The change of the segment that holds `at`. There is one: a survey without segments has no damage.
fn change_at(changes: &mut [Change], at: PhysicalOffset) -> &mut Change {
    let found = changes.partition_point(|change| change.header.base <= at);
    &mut changes[found.saturating_sub(1)]
}

/// One loss, or two where a checkpoint stands within: before it everything is known, and behind it nothing.
fn parts(
    at: LogPosition,
    to: PhysicalOffset,
    count: u64,
    newest: Option<LogPosition>,
) -> Vec<(LogPosition, PhysicalOffset, u64)> {
    match newest {
        Some(newest) if newest.physical > at.physical && newest.physical < to => {
            let before = newest.index.0.saturating_sub(at.index.0);
            let middle = LogPosition {
                term: at.term,
                ..newest
            };
            vec![
                (at, newest.physical, before),
                (middle, to, count.saturating_sub(before)),
            ]
        }
        _ => vec![(at, to, count)],
    }
}

/// Puts a tombstone in; one for each segment that it needs, where segments are missing.
fn put(
    segments: &Segments,
    changes: &mut Vec<Change>,
    at: LogPosition,
    to: PhysicalOffset,
    count: u64,
    state_is_known: bool,
) -> Result<(), RepairError> {
    let (mut from, mut index, mut left) = (at.physical, at.index, count);
    while from < to {
        let base = change_at(changes, from).header.base;
        let mut room = base.0 + segments.capacity() - from.0;
        let fits = |room: u64| room >= crate::log::FRAME_HEADER_BYTES as u64;
        if !fits(room)
            || (room < to.0 - from.0 && from == at.physical && to.0 - from.0 <= segments.capacity())
        {
            changes.push(new_segment(segments, from, index));
            changes.sort_by_key(|change| change.header.base);
            room = segments.capacity();
        }
        let span = room.min(to.0 - from.0);
        let is_last = span == to.0 - from.0;
        let stands_for = if is_last { left } else { 1 };
        let numbers = u32::try_from(span).ok().zip(u32::try_from(stands_for).ok());
        let Some((span, stands_for)) = numbers.filter(|(_, stands_for)| *stands_for > 0) else {
            return Err(RepairError::refused(
                format!("what is missing from offset {from} to {to} cannot have been {count} frames"),
                super::plan::RESTORE,
            ));
        };
        change_at(changes, from).tombstones.push(Tombstone {
            physical: from,
            span,
            term: at.term,
            index,
            stands_for,
            state_is_known,
        });
        from = PhysicalOffset(from.0 + u64::from(span));
        index = LogIndex(index.0 + u64::from(stands_for));
        left -= u64::from(stands_for);
    }
    Ok(())
}

/// The only segment of a log that begins and ends with it.
pub(super) fn first_segment(header: SegmentHeader, generation: u64) -> Change {
    let mut change = Change::of(header);
    change.is_new = true;
    change.slot = Some((header.base, generation));
    change
}

fn new_segment(segments: &Segments, base: PhysicalOffset, base_index: LogIndex) -> Change {
    let mut change = Change::of(SegmentHeader {
        uuid: segments.uuid,
        segment_bytes: segments.segment_bytes,
        base,
        base_index,
    });
    change.is_new = true;
    change
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::ids::Term;

    fn position(physical: u64, index: u64) -> LogPosition {
        LogPosition {
            physical: PhysicalOffset(physical),
            index: LogIndex(index),
            term: Term(1),
        }
    }

    #[test]
    fn a_loss_around_a_checkpoint_is_two() {
        let to = PhysicalOffset(300);
        let whole = parts(position(100, 5), to, 4, None);
        assert_eq!(whole, [(position(100, 5), to, 4)]);
        let middle = position(200, 6);
        let two = parts(position(100, 5), to, 4, Some(middle));
        assert_eq!(two, [(position(100, 5), middle.physical, 1), (middle, to, 3)]);
        for edge in [position(100, 5), position(300, 9)] {
            assert_eq!(parts(position(100, 5), to, 4, Some(edge)).len(), 1);
        }
    }
}
