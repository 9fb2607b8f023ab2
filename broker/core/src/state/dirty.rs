//! What changed since the last snapshot.

use super::shard::DirtyShards;
use super::snapshot::ShardKey;
use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(super) struct Dirty {
    /// All but groups' holds on queues.
    pub(super) keys: BTreeSet<ShardKey>,
    pub(super) shards: DirtyShards,
}

impl Dirty {
    /// Takes note of anything but a shard, which [`DirtyShards`] does itself.
    pub(super) fn note(&mut self, key: ShardKey) {
        debug_assert!(!matches!(key, ShardKey::GroupQueue(_)));
        self.keys.insert(key);
    }

    /// There is no such part any more.
    pub(super) fn forget(&mut self, key: ShardKey) {
        match key {
            ShardKey::GroupQueue(id) => self.shards.forget(id),
            key => drop(self.keys.remove(&key)),
        }
    }
}
