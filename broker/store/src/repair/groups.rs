//! What the log tells of groups whose parts of a checkpoint are lost: whoever made them stands there, where it begins early enough.

use super::RepairError;
use crate::checkpoint::{self, PartKey, Readable};
use crate::checkpointer::Header;
use crate::io::LogIo;
use crate::log::LogPosition;
use sluice_core::ids::{GroupId, PhysicalOffset};
use sluice_core::state::{CommandAt, Group, GroupFold, ShardKey, State};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Folds over the log from each place from which one can begin. The first that counts is taken: it knows of the most groups.
#[derive(Default)]
pub(super) struct Groups {
    /// From the earliest place on; none if no group is lost.
    folds: Vec<(PhysicalOffset, GroupFold)>,
    /// Where the last gap begins, until something is read behind it.
    gap: Option<PhysicalOffset>,
    /// Where the checkpoint stands.
    end: PhysicalOffset,
    /// State's header there.
    header: Vec<u8>,
    /// Which groups it has, and the names of those that can be read there or in an earlier one.
    stay: BTreeSet<GroupId>,
    names: BTreeMap<GroupId, String>,
}

impl Groups {
    /// For a checkpoint of which not all can be read, with the header `state`, and a log that begins at `first`.
    pub(super) fn of(
        io: &Arc<dyn LogIo>,
        dir: &Path,
        readable: &Readable,
        state: &[u8],
        first: LogPosition,
    ) -> Result<Self, RepairError> {
        let end = readable.position.physical;
        if !readable.lost.iter().any(|(key, _)| group(key).is_some()) {
            return Ok(Self::default());
        }
        let mut groups = Self {
            end,
            header: state.to_vec(),
            ..Self::default()
        };
        let whole = readable.parts.iter().map(|(key, bytes)| (key, Some(bytes)));
        let lost = readable.lost.iter();
        let lost = lost.map(|(key, earlier)| (key, earlier.as_ref().map(|earlier| &earlier.bytes)));
        for (key, bytes) in whole.chain(lost) {
            let Some(id) = group(key) else { continue };
            groups.stay.insert(id);
            let known = bytes.and_then(|bytes| State::group_in(id, bytes));
            groups.names.extend(known.map(|known| (id, known.spec.name)));
        }
        if first == LogPosition::default() {
            groups.folds.push((first.physical, GroupFold::default()));
        }
        let folder = dir.join("checkpoint");
        for at in checkpoint::stands(io, &folder, false)?.0 {
            if (first.physical..end).contains(&at.physical) {
                let earlier = checkpoint::readable_at(io, &folder, at, &|key| group(key).is_some())?;
                let parts = earlier.parts.iter();
                let parts = parts.filter_map(|(key, bytes)| Some((group(key)?, bytes.as_slice())));
                let header = Header::decode(&earlier.header).ok();
                let fold = header.and_then(|header| GroupFold::from_checkpoint(header.state, parts));
                groups.folds.extend(fold.map(|fold| (at.physical, fold)));
            }
        }
        Ok(groups)
    }

    /// Takes in what stands next in the log.
    pub(super) fn command(&mut self, at: CommandAt, bytes: &[u8]) {
        if at.physical >= self.end {
            return;
        }
        let gap = self.gap.take();
        for (from, fold) in self.folds.iter_mut().filter(|(from, _)| *from <= at.physical) {
            // It may reach beyond the place at which a fold begins: nothing was read between both.
            if gap.is_some_and(|gap| gap < *from) {
                fold.gap();
            }
            fold.command(at, bytes, |id| self.stay.contains(&id));
        }
    }

    /// Something cannot be read there.
    pub(super) fn gap(&mut self, at: PhysicalOffset) {
        if at < self.end {
            self.gap.get_or_insert(at);
            let begun = self.folds.iter_mut().filter(|(from, _)| *from <= at);
            begun.for_each(|(_, fold)| fold.gap());
        }
    }

    /// What it tells of groups; none if no fold counts.
    pub(super) fn finish(self) -> BTreeMap<GroupId, Arc<Group>> {
        let mut folds = self.folds.iter();
        let found = folds.find_map(|(_, fold)| fold.finish(&self.header, &self.names));
        found.unwrap_or_default()
    }
}

/// The group whose part it is.
fn group(key: &PartKey) -> Option<GroupId> {
    match ShardKey::from_numbers(key.kind, key.ids) {
        Ok(ShardKey::Group(id)) => Some(id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::command::{EncodedCommand, GroupSpec, PutGroup, Terms, encode_level};
    use sluice_core::ids::LogIndex;

    fn at(physical: u64) -> CommandAt {
        CommandAt {
            index: LogIndex(physical),
            place: 0,
            physical: PhysicalOffset(physical),
        }
    }

    /// How many groups a fold from offset 100 on tells of, with something unreadable from 50 on and a command that can be read at `readable`.
    fn told(readable: Option<u64>) -> usize {
        let put = PutGroup {
            spec: GroupSpec::on_first_use("readers"),
            terms: Terms::default(),
        };
        let log: [EncodedCommand; 3] = [encode_level(1, 1), encode_level(1, 2), put.encode(1)];
        let mut later = State::new();
        let mut groups = Groups {
            folds: vec![(PhysicalOffset(100), GroupFold::default())],
            end: PhysicalOffset(1000),
            ..Groups::default()
        };
        groups.gap(PhysicalOffset(50));
        if let Some(readable) = readable {
            groups.command(at(readable), log[0].as_bytes());
        }
        for (physical, command) in (150..).zip(&log) {
            later.apply(at(physical), command.as_bytes(), &mut ()).unwrap();
            groups.command(at(physical), command.as_bytes());
        }
        groups.header = later.snapshot().header;
        groups.finish().len()
    }

    #[test]
    fn a_gap_that_reaches_beyond_the_place_where_a_fold_begins_counts_for_it_and_one_that_ends_before_does_not()
     {
        assert_eq!(told(None), 0, "the group may have been made in it");
        assert_eq!(told(Some(80)), 1);
    }
}
