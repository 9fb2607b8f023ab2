//! Which groups there were, as the log has it from a checkpoint, or its first frame, on.
//!
//! Groups get their ids one after another, so that a command that makes one tells its id if nothing that gave an id is missing before it.
//! Only what makes, changes and deletes groups is applied, over what is known of groups alone. The fold counts if it comes to the same next id
//! as the later checkpoint, and to the same names wherever that one knows them.
//!
//! Behind a gap there is one more doubt: a change that does not say whether it is to make its group makes one here that was made in the gap, and
//! with it as many ids are given as were, but in another order. Then only groups of before the gap are told.

use super::super::snapshot::ShardKey;
use super::super::tables::Group;
use super::super::{CommandAt, State};
use crate::command::Command;
use crate::ids::GroupId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A fold over groups alone.
#[derive(Debug, Default)]
pub struct GroupFold {
    state: State,
    /// The next id at the first gap.
    gap: Option<GroupId>,
    /// Whether something behind a gap made a group that may have been made in it.
    is_shifted: bool,
}

impl GroupFold {
    /// From a checkpoint's header and those of its groups that can be read; `None` if they cannot be understood.
    pub fn from_checkpoint<'a>(
        header: &[u8],
        groups: impl IntoIterator<Item = (GroupId, &'a [u8])>,
    ) -> Option<Self> {
        let parts = groups.into_iter().map(|(id, bytes)| (ShardKey::Group(id), bytes));
        let state = State::restore(header, parts).ok()?;
        Some(Self {
            state,
            ..Self::default()
        })
    }

    /// Something cannot be read here.
    pub fn gap(&mut self) {
        self.gap.get_or_insert_with(|| self.state.next_ids().1);
    }

    /// Takes in what stands next in the log; `stays` says which groups the later checkpoint has.
    pub fn command(&mut self, at: CommandAt, bytes: &[u8], stays: impl Fn(GroupId) -> bool) {
        let Ok((_, command)) = Command::decode(bytes) else {
            return;
        };
        let says_new = match &command {
            // Ids are not given again: it was refused.
            Command::DeleteGroup(delete) if stays(delete.group) => return,
            Command::PutGroup(put) => put.terms.expected_generation == Some(0),
            Command::CreateGroup(_) | Command::DeleteGroup(_) | Command::Fence(_) | Command::Level(_) => true,
            _ => return,
        };
        let next = self.state.next_ids();
        // Refused or not, it is what it was.
        let _ = self.state.apply(at, bytes, &mut ());
        self.is_shifted |= self.gap.is_some() && !says_new && self.state.next_ids() != next;
    }

    /// The groups, by id; `None` if the later checkpoint, with what it `knows` of groups' names and the header `header`, does not agree:
    /// then something that gave an id, or took a name, is missing.
    pub fn finish(
        &self,
        header: &[u8],
        knows: &BTreeMap<GroupId, String>,
    ) -> Option<BTreeMap<GroupId, Arc<Group>>> {
        let mut later = State::new();
        later.decode_header(header).ok()?;
        if later.next_ids().1 != self.state.next_ids().1 {
            return None;
        }
        let groups = self.state.tables().all_groups().into_iter();
        let mut groups: BTreeMap<GroupId, Arc<Group>> = groups.map(|group| (group.id, group)).collect();
        let named = |name: &str| self.state.tables().group(name).map(|group| group.id);
        let agrees = knows.iter().all(|(id, name)| {
            groups.get(id).is_none_or(|group| group.spec.name == *name)
                && named(name).is_none_or(|found| found == *id)
        });
        if let Some(first) = self.gap.filter(|_| self.is_shifted) {
            groups.split_off(&first);
        }
        agrees.then_some(groups)
    }
}
