//! What changed since the last snapshot. A shard is remembered itself and not by name only: freezing thousands of them holds the
//! applier up, and looking each one up would be most of that.

use super::snapshot::ShardKey;
use super::tables::Shard;
use crate::ids::GroupQueueId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[derive(Debug, Default)]
pub(super) struct Dirty {
    /// All but groups' holds on queues.
    pub(super) keys: BTreeSet<ShardKey>,
    pub(super) shards: BTreeMap<GroupQueueId, Arc<Shard>>,
}

impl Dirty {
    /// Takes note of anything but a shard, which has [`Dirty::note_shard`].
    pub(super) fn note(&mut self, key: ShardKey) {
        debug_assert!(!matches!(key, ShardKey::GroupQueue(_)));
        self.keys.insert(key);
    }

    /// Takes note of a shard, at little cost when that is done already.
    pub(super) fn note_shard(&mut self, id: GroupQueueId, shard: &Arc<Shard>) {
        if !shard.dirty.swap(true, Ordering::Relaxed) {
            self.shards.insert(id, Arc::clone(shard));
        }
    }

    /// There is no such part any more.
    pub(super) fn forget(&mut self, key: ShardKey) {
        match key {
            ShardKey::GroupQueue(id) => drop(self.shards.remove(&id)),
            key => drop(self.keys.remove(&key)),
        }
    }
}
