//! Dead letters of which nothing tells yet whether they were accepted.
//!
//! Each group's in each queue stand by themselves: a log has as many moves and deliveries as it has messages, and none may walk over
//! the letters of all others.

use sluice_core::ids::{GroupQueueId, PhysicalOffset, QueueOffset};
use std::collections::{BTreeMap, HashMap};

/// As many are kept; about those that come when there are so many nothing can be told.
const KEPT_MAX: usize = 1 << 20;

/// One of them.
#[derive(Debug)]
struct Letter {
    at: PhysicalOffset,
    /// It names a delivery from before all that can be read.
    is_from_before: bool,
}

/// All of them, by message.
#[derive(Debug)]
pub(super) struct NotSure {
    letters: HashMap<GroupQueueId, BTreeMap<QueueOffset, Vec<Letter>>>,
    kept: usize,
    kept_max: usize,
}

impl Default for NotSure {
    fn default() -> Self {
        Self {
            letters: HashMap::new(),
            kept: 0,
            kept_max: KEPT_MAX,
        }
    }
}

impl NotSure {
    #[cfg(test)]
    pub(super) fn with_room_for(kept_max: usize) -> Self {
        Self {
            kept_max,
            ..Self::default()
        }
    }

    /// Takes in the letter at `at`.
    pub(super) fn add(
        &mut self,
        id: GroupQueueId,
        offset: QueueOffset,
        at: PhysicalOffset,
        is_from_before: bool,
    ) {
        if self.kept >= self.kept_max {
            return;
        }
        self.kept += 1;
        let of_queue = self.letters.entry(id).or_default();
        let letters = of_queue.entry(offset).or_default();
        letters.push(Letter { at, is_from_before });
    }

    /// Takes out those of a message that name a delivery from before, and answers where they stand.
    pub(super) fn take_from_before(&mut self, id: GroupQueueId, offset: QueueOffset) -> Vec<PhysicalOffset> {
        let of_queue = self.letters.get_mut(&id);
        let Some(letters) = of_queue.and_then(|of_queue| of_queue.get_mut(&offset)) else {
            return Vec::new();
        };
        let over = letters.extract_if(.., |letter| letter.is_from_before);
        let over: Vec<PhysicalOffset> = over.map(|letter| letter.at).collect();
        self.kept -= over.len();
        over
    }

    /// Lets go of those of a group in a queue: nothing that follows tells of them.
    pub(super) fn forget(&mut self, id: GroupQueueId) {
        let gone = self.letters.remove(&id).into_iter().flatten();
        self.kept -= gone.map(|(_, letters)| letters.len()).sum::<usize>();
    }

    /// Those of a group in a queue, with their messages.
    pub(super) fn of(&self, id: GroupQueueId) -> impl Iterator<Item = (QueueOffset, PhysicalOffset)> + '_ {
        let of_queue = self.letters.get(&id).into_iter().flatten();
        of_queue.flat_map(|(offset, letters)| letters.iter().map(|letter| (*offset, letter.at)))
    }
}
