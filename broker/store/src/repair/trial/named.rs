//! Topics or groups that were made behind the first loss, and are named by what follows.

use std::collections::{BTreeMap, BTreeSet};

/// They get their ids one after another: if one was made or deleted in what is lost, each that was made behind may have the id of another.
#[derive(Debug)]
pub(in crate::repair) struct Named<Id> {
    /// What they are called in the fold.
    named: BTreeMap<Id, String>,
    /// Of which messages carry the name.
    told: BTreeSet<Id>,
    /// Those with ids from here on may be others even if none was made or deleted in what is lost.
    shifted_from: Option<Id>,
}

impl<Id> Default for Named<Id> {
    fn default() -> Self {
        Self {
            named: BTreeMap::new(),
            told: BTreeSet::new(),
            shifted_from: None,
        }
    }
}

impl<Id: Ord + Copy> Named<Id> {
    /// A command names it by its id alone.
    pub(super) fn name(&mut self, id: Id, name: Option<String>) {
        if let Some(name) = name {
            self.named.entry(id).or_insert(name);
        }
    }

    /// A message was sent to it under its name.
    pub(super) fn told(&mut self, id: Id) {
        self.told.insert(id);
    }

    /// From the next id on another one may have each.
    pub(super) fn may_shift(&mut self, next: Id) {
        self.shifted_from.get_or_insert(next);
    }

    /// The names of those of which nobody can tell whether they are the ones that were named.
    pub(in crate::repair) fn unsure(&self, loss_may_shift: bool) -> Vec<&str> {
        let may_shift = |id: &Id| loss_may_shift || self.shifted_from.is_some_and(|from| *id >= from);
        let unsure = self
            .named
            .iter()
            .filter(|(id, _)| may_shift(id) && !self.told.contains(id));
        unsure.map(|(_, name)| name.as_str()).collect()
    }
}
