//! Where the log ends when that cannot be read: checkpoints know places where it was.

use super::Reading;
use crate::log::LogPosition;
use crate::log::meta::Meta;
use crate::log::segment::{self, Segment};
use crate::log::survey::Lost;
use std::path::Path;

impl Reading<'_, '_> {
    /// Notes of a last segment without its durable slots that nobody knows whether it held more than what can be read.
    pub(in crate::log::survey) fn note_unknown_end(&mut self) {
        let end = self.end.physical;
        let is_open = self.damage.iter().any(|damage| damage.to.is_none());
        if !self.known.slot_is_lost || is_open {
            return;
        }
        let last = self.damage.iter_mut().rev();
        for damage in last {
            if let Lost::Page { unknown_behind, .. } = &mut damage.lost {
                *unknown_behind = Some(end);
                return;
            }
        }
    }

    /// Notes that the log ends where a segment is known to have gone on.
    pub(in crate::log::survey) fn check_end(
        &mut self,
        log_dir: &Path,
        meta: Option<&Meta>,
        last: Option<&Segment>,
    ) {
        let (Some(meta), Some(last)) = (meta, last) else {
            return;
        };
        if last.base() >= meta.newest_segment {
            return;
        }
        // What is told of the end of the one before is the same loss.
        let end = self.end;
        self.damage
            .retain(|damage| damage.to.is_some() || damage.from != end.physical);
        if self.damage.iter().any(|damage| damage.to.is_none()) {
            return;
        }
        let file = log_dir.join(segment::file_name(meta.newest_segment));
        let what = "the segment is missing";
        let mut stands = self.stands.iter().rev();
        let stand = stands.find(|at| at.physical > end.physical && at.index > end.index);
        // What a checkpoint there says is kept: only what came behind it nobody knows.
        if let Some(stand) = stand {
            self.note_damage(&file, 0, end, Some(*stand), what.to_owned());
            self.end = LogPosition {
                term: end.term,
                ..*stand
            };
        }
        self.note_damage(&file, 0, self.end, None, what.to_owned());
    }

    /// The last place in a segment of which a checkpoint says that a frame begins there, behind frames that cannot be read.
    pub(super) fn stand_behind(&self, segment: &Segment, before: LogPosition) -> Option<LogPosition> {
        let stands = self.stands.iter().rev();
        let mut fits = stands.filter(|at| at.physical <= segment.limit() && at.index > before.index);
        let stand = fits.find(|at| at.physical > before.physical)?;
        Some(LogPosition {
            term: before.term,
            ..*stand
        })
    }

    /// The log goes on where a checkpoint stands, and nothing can be read there.
    pub(super) fn end_at(&mut self, segment: &Segment, stand: LogPosition) {
        self.end = stand;
        if self.known.durable > stand.physical || self.end_is_unsure(segment) {
            let place = segment.file_offset(stand.physical);
            let what = "nothing can be read there".to_owned();
            self.note_damage(&segment.path, place, stand, None, what);
        }
    }
}
