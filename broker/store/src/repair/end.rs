//! The command that ends the log before what nobody can go on behind, and what an end takes with it.

use super::loss::Loss;
use super::plan::Planner;
use super::range::{self, MAKE_META, Range, needed};
use super::trial::Trial;
use crate::log::Lost;
use sluice_core::ids::PhysicalOffset;

impl Planner<'_> {
    /// Ends it before the first damage from here on.
    pub(super) fn give_up_the_end(&self, from: PhysicalOffset) -> String {
        let frame = self
            .damage
            .iter()
            .find(|damage| damage.from >= from)
            .map(|damage| match damage.lost {
                Lost::Command { frame, .. } => frame,
                _ => damage.from,
            });
        self.end_at(frame.unwrap_or(from))
    }

    /// Says at the log's new end, which stands last among the places, what stands behind it.
    pub(super) fn add_cut(&self, trial: &Trial, loss: &mut Loss) {
        let (Some(end), Some(place)) = (self.end, loss.places.last_mut()) else {
            return;
        };
        if place.range == Some(Range { from: end, to: None }) {
            let mut damage = self.found.log.damage.iter();
            let is_damaged = damage.any(|damage| damage.to.is_none_or(|to| to > end));
            place.what.push_str(&trial.cut_in_words(is_damaged));
        }
    }

    pub(super) fn end_at(&self, from: PhysicalOffset) -> String {
        let mut ranges = needed(&self.damage);
        // A checkpoint can stand in the midst of what is damaged, which is given up as a whole.
        let amid = ranges
            .iter()
            .find(|range| range.from < from && range.to.is_none_or(|to| to > from));
        let end = Range {
            from: amid.map_or(from, |range| range.from),
            to: None,
        };
        ranges.retain(|range| range.to.is_some_and(|to| to <= end.from));
        ranges.push(end);
        let meta = if self.accepted.new_meta { MAKE_META } else { "" };
        format!(
            "{}{meta} --wider",
            range::command_with(self.dir, &ranges, self.damaged)
        )
    }
}
