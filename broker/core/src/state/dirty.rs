//! What changed since the last snapshot.

use super::shard::DirtyShards;
use super::snapshot::ShardKey;
use super::tables::Group;
use crate::ids::GroupId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Dirty {
    /// Topics and carried messages, to be looked up when they are frozen.
    pub(super) keys: BTreeSet<ShardKey>,
    pub(super) groups: BTreeMap<GroupId, Arc<Group>>,
    pub(super) shards: DirtyShards,
}

impl Dirty {
    /// Takes note of a topic, or of carried messages.
    pub(super) fn note(&mut self, key: ShardKey) {
        debug_assert!(matches!(key, ShardKey::Topic(_) | ShardKey::Carried(..)));
        self.keys.insert(key);
    }

    /// Takes note of a group as it is from now on.
    pub(super) fn note_group(&mut self, group: &Arc<Group>) {
        self.groups.insert(group.id, Arc::clone(group));
    }

    /// There is no such part any more.
    pub(super) fn forget(&mut self, key: ShardKey) {
        match key {
            ShardKey::GroupQueue(id) => self.shards.forget(id),
            ShardKey::Group(id) => drop(self.groups.remove(&id)),
            key => drop(self.keys.remove(&key)),
        }
    }
}
