//! Groups' holds on queues, each behind its lock, and how a snapshot freezes thousands of them at once.
//!
//! To freeze them is to begin an epoch: nothing is looked at, for each look would hold the applier up. A hold stands as it
//! was when the epoch began until the applier changes it; before its first change of an epoch the applier puts aside what
//! the snapshot has not taken yet. What must hold, under the hold's lock:
//! - `noted` is the last epoch in which the hold changed, and no snapshot of a later one asks for it;
//! - what a snapshot that ended an epoch asks for is `now` if `noted` is that epoch, and was put aside if it is a later one.

use super::group_queue::GroupQueue;
use super::snapshot::{ShardKey, ShardView};
use crate::ids::GroupQueueId;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// The time between two snapshots, counted from 1.
type Epoch = u64;

/// One group's hold on one queue, behind its lock.
#[derive(Debug)]
pub struct Shard(Mutex<Held>);

#[derive(Debug)]
struct Held {
    now: Arc<GroupQueue>,
    /// The epoch of the last change; 0 if there was none since the start.
    noted: Epoch,
    /// The epoch of the last snapshot that has taken it.
    taken: Epoch,
    /// As it was at the end of epochs whose snapshots have not taken it, in order. Rarely more than one: a second waits
    /// only where the writer is at work over the starts of two segments.
    aside: Vec<(Epoch, Arc<GroupQueue>)>,
}

impl Held {
    /// To be called before each change; tells whether it is the first of the epoch.
    fn note(&mut self, epoch: Epoch) -> bool {
        if self.noted == epoch {
            return false;
        }
        if self.noted > self.taken {
            self.aside.push((self.noted, Arc::clone(&self.now)));
        }
        self.noted = epoch;
        true
    }

    /// Nobody will ask for what stood at the end of `epoch`, nor of those before.
    fn pass_over(&mut self, epoch: Epoch) {
        self.taken = self.taken.max(epoch);
        self.aside.retain(|(of, _)| *of > epoch);
    }

    /// What stood at the end of `epoch`, once. Those of epochs before are not asked for any more.
    fn take(&mut self, epoch: Epoch) -> Arc<GroupQueue> {
        self.taken = epoch;
        let later = self.aside.iter().position(|(of, _)| *of > epoch);
        let mut due = self.aside.drain(..later.unwrap_or(self.aside.len()));
        let last = due.next_back().filter(|(of, _)| *of == epoch);
        last.map_or_else(|| Arc::clone(&self.now), |(_, then)| then)
    }
}

impl Shard {
    pub(super) fn new(queue: GroupQueue) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Held {
            now: Arc::new(queue),
            noted: 0,
            taken: 0,
            aside: Vec::new(),
        })))
    }

    /// The shard as it is now, for looks that take longer. While the view lives the applier's next change copies the
    /// shard, so do not keep it.
    pub fn view(&self) -> Arc<GroupQueue> {
        Arc::clone(&self.0.lock().now)
    }

    /// Looks at the shard under its lock: `look` must be short, for the applier waits.
    pub fn read<T>(&self, look: impl FnOnce(&GroupQueue) -> T) -> T {
        look(&self.0.lock().now)
    }
}

/// The shards that changed since the last snapshot.
#[derive(Debug)]
pub(super) struct DirtyShards {
    epoch: Epoch,
    by_id: BTreeMap<GroupQueueId, Frozen>,
}

impl Default for DirtyShards {
    fn default() -> Self {
        Self {
            epoch: 1,
            by_id: BTreeMap::new(),
        }
    }
}

impl DirtyShards {
    /// Changes a shard and takes note of it.
    pub(super) fn change<T>(
        &mut self,
        id: GroupQueueId,
        shard: &Arc<Shard>,
        change: impl FnOnce(&mut GroupQueue) -> T,
    ) -> T {
        let mut held = shard.0.lock();
        self.note(id, shard, &mut held);
        change(Arc::make_mut(&mut held.now))
    }

    /// Takes note of a new shard.
    pub(super) fn add(&mut self, id: GroupQueueId, shard: &Arc<Shard>) {
        self.note(id, shard, &mut shard.0.lock());
    }

    fn note(&mut self, id: GroupQueueId, shard: &Arc<Shard>, held: &mut Held) {
        let epoch = self.epoch;
        if held.note(epoch) {
            let shard = Arc::clone(shard);
            self.by_id.insert(id, Frozen { shard, epoch });
        }
    }

    /// There is no such shard any more.
    pub(super) fn forget(&mut self, id: GroupQueueId) {
        self.by_id.remove(&id);
    }

    /// Freezes them all, whatever their number, and begins the next epoch.
    pub(super) fn freeze(&mut self) -> FrozenShards {
        self.epoch += 1;
        FrozenShards(std::mem::take(&mut self.by_id))
    }
}

/// A shard as it was at the end of an epoch.
#[derive(Debug)]
struct Frozen {
    shard: Arc<Shard>,
    epoch: Epoch,
}

/// Shards as they were when they were frozen. Snapshots take them in the order in which they were frozen.
#[derive(Debug, Default)]
pub(super) struct FrozenShards(BTreeMap<GroupQueueId, Frozen>);

impl FrozenShards {
    /// Takes over from an older one what has not changed since, nor is `gone`.
    pub(super) fn absorb(&mut self, older: Self, gone: impl Fn(ShardKey) -> bool) {
        for (id, frozen) in older.0 {
            match self.0.entry(id) {
                Entry::Occupied(_) => frozen.shard.0.lock().pass_over(frozen.epoch),
                Entry::Vacant(_) if gone(ShardKey::GroupQueue(id)) => {}
                Entry::Vacant(entry) => drop(entry.insert(frozen)),
            }
        }
    }

    /// The views: each is a short look under the shard's lock.
    pub(super) fn take(self) -> impl Iterator<Item = (ShardKey, ShardView)> {
        self.0.into_iter().map(|(id, frozen)| {
            let view = frozen.shard.0.lock().take(frozen.epoch);
            (ShardKey::GroupQueue(id), ShardView::GroupQueue(view))
        })
    }
}
