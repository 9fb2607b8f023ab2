//! Groups of which nobody can tell whether what follows a loss is about them.
//!
//! Groups get their ids one after another, and are named by these alone. If one was made in what is lost, each that was made behind has the
//! id of the one before it.

use super::RepairError;
use super::loss::Place;
use super::plan::{Planner, RESTORE};
use super::range::{self, MAKE_META};
use super::trial::Trial;
use crate::log::{self, LogDamage, Lost};
use sluice_core::command::{COMMAND_HEADER_BYTES, Kind};

/// Bytes of a command that makes a group at least: kind, time, a name of one letter, and five fields more.
const BYTES_MIN: u64 = COMMAND_HEADER_BYTES as u64 + 9;

impl Planner<'_> {
    /// Refuses what would have groups take the place of others, if a group was made in what is lost. Nobody can tell that it was not: with
    /// leave it is done, and told.
    pub(super) fn unsure_groups(
        &self,
        trial: &Trial,
        unsure: &[LogDamage],
    ) -> Result<Option<Place>, RepairError> {
        let mut may_have = None;
        for damage in unsure {
            if self.may_have_made_groups(damage)? {
                may_have = Some(damage);
                break;
            }
        }
        let (Some(damage), false) = (may_have, trial.unsure_groups.is_empty()) else {
            return Ok(None);
        };
        let tables = trial.state().tables();
        let groups = trial.unsure_groups.iter();
        let names: Vec<String> = groups
            .filter_map(|group| tables.group_by_id(*group))
            .map(|group| group.spec.name.clone())
            .collect();
        let what = format!(
            "nobody can tell whether a group was made in what is lost from offset {} on; if one was, it is gone, and what follows of it goes to a group that was made later (one of: {})",
            damage.from,
            names.join(", ")
        );
        if self.accepted.wider {
            return Ok(Some(Place {
                range: None,
                file: damage.file.clone(),
                file_offset: damage.file_offset,
                what: format!("{what}: make it again, and look at where these groups stand"),
            }));
        }
        let end = self.give_up_the_end(damage.from);
        let meta = if self.accepted.new_meta { MAKE_META } else { "" };
        let ranges = range::command(self.dir, self.accepted.ranges);
        let hint = format!(
            "{RESTORE}, or give up more: {end}; or keep what follows, and make groups again that are missing then: {ranges}{meta} --wider"
        );
        Err(RepairError::refused(what, hint))
    }

    /// Whether a group may have been made in a damaged place.
    fn may_have_made_groups(&self, damage: &LogDamage) -> Result<bool, RepairError> {
        let bases = self.found.log.segments.iter().rev().map(|segment| segment.base);
        let base = bases.clone().find(|base| *base <= damage.from);
        let (Some(to), Some(base)) = (damage.to, base) else {
            return Ok(true);
        };
        let path = log::file_of(self.dir, base);
        let range = (damage.from, to);
        match damage.lost {
            Lost::Page { .. } => Ok(false),
            Lost::Command { .. } if to.0 - damage.from.0 < BYTES_MIN => Ok(false),
            Lost::Command { .. } => Ok(!log::was_message(self.io.as_ref(), &path, base, range)?),
            Lost::Frames { .. } => {
                let mut makes_groups = false;
                let visit = &mut |command: &[u8]| {
                    let kind = command.get(COMMAND_HEADER_BYTES);
                    let kinds = [Kind::CreateGroup, Kind::PutGroup].map(|kind| kind as u8);
                    makes_groups |= kind.is_some_and(|kind| kinds.contains(kind));
                };
                let all = log::surviving_commands(self.io.as_ref(), &path, base, range, visit)?;
                Ok(!all || makes_groups)
            }
        }
    }
}
