//! Messages of a FIFO group that were looked at and must wait for their message group.
//!
//! What must hold: a message group with parked messages is either locked (a message of it is held or offered), so that
//! the end of that lock [unlocks](Parked::unlock) it here, or it is queued to be looked at. Then nothing is forgotten,
//! and nothing is looked at for nothing: other message groups flow on, however long one waits.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

/// Parked messages of one queue: 2 to 3 MiB of memory.
const PARKED_MAX: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Parked {
    by_group: HashMap<u32, BTreeSet<u64>>,
    len: usize,
    /// Message groups to look at, the longest queued first.
    unlocked: VecDeque<u32>,
    is_unlocked: HashSet<u32>,
}

impl Parked {
    /// Whether messages of this message group are parked.
    pub(super) fn has(&self, group_hash: u32) -> bool {
        self.by_group.contains_key(&group_hash)
    }

    /// Whether no more messages can be parked.
    pub(super) fn is_full(&self) -> bool {
        self.len >= PARKED_MAX
    }

    pub(super) fn park(&mut self, group_hash: u32, offset: u64) {
        if self.by_group.entry(group_hash).or_default().insert(offset) {
            self.len += 1;
        }
    }

    pub(super) fn unpark(&mut self, group_hash: u32, offset: u64) {
        let Some(offsets) = self.by_group.get_mut(&group_hash) else {
            return;
        };
        if offsets.remove(&offset) {
            self.len -= 1;
        }
        if offsets.is_empty() {
            self.by_group.remove(&group_hash);
        }
    }

    /// Forgets all that is parked from `offset` on.
    pub(super) fn unpark_from(&mut self, offset: u64) {
        self.by_group.retain(|_, offsets| {
            self.len -= offsets.split_off(&offset).len();
            !offsets.is_empty()
        });
    }

    /// The parked messages of a message group from `from` on, in order.
    pub(super) fn offsets(&self, group_hash: u32, from: u64) -> impl Iterator<Item = u64> + '_ {
        self.by_group
            .get(&group_hash)
            .into_iter()
            .flat_map(move |offsets| offsets.range(from..))
            .copied()
    }

    /// The message group may go on: it is to be looked at.
    pub(super) fn unlock(&mut self, group_hash: u32) {
        if self.is_unlocked.insert(group_hash) {
            self.unlocked.push_back(group_hash);
        }
    }

    /// All message groups with parked messages are to be looked at.
    pub(super) fn unlock_all(&mut self) {
        let mut groups: Vec<u32> = self.by_group.keys().copied().collect();
        groups.sort_unstable();
        groups.into_iter().for_each(|group_hash| self.unlock(group_hash));
    }

    /// The next message group to look at.
    pub(super) fn next_unlocked(&mut self) -> Option<u32> {
        let group_hash = self.unlocked.pop_front()?;
        self.is_unlocked.remove(&group_hash);
        Some(group_hash)
    }

    /// How many message groups are to be looked at.
    pub(super) fn unlocked_len(&self) -> usize {
        self.unlocked.len()
    }

    /// The lowest parked message of those to look at.
    pub(super) fn lowest_unlocked(&self) -> Option<u64> {
        self.unlocked
            .iter()
            .filter_map(|group_hash| self.offsets(*group_hash, 0).next())
            .min()
    }
}
