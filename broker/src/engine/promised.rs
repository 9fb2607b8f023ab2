//! Topics and groups that are to be there and that a full disk has kept from being made. Who uses one first has it made as it was
//! specified: made as anything is on first use it would stay so.

use super::Engine;
use parking_lot::RwLock;
use sluice_core::command::{GroupSpec, TopicSpec};
use std::collections::HashMap;

/// By their names.
#[derive(Default)]
pub(super) struct Promised(RwLock<Specs>);

#[derive(Default)]
struct Specs {
    topics: HashMap<String, TopicSpec>,
    groups: HashMap<String, GroupSpec>,
}

impl Promised {
    pub(super) fn topic(&self, name: &str) -> Option<TopicSpec> {
        self.0.read().topics.get(name).cloned()
    }

    pub(super) fn group(&self, name: &str) -> Option<GroupSpec> {
        self.0.read().groups.get(name).cloned()
    }
}

impl Engine {
    /// From now on these, and no others, are made on first use as they are specified.
    pub fn promise(&self, topics: &[TopicSpec], groups: &[GroupSpec]) {
        *self.promised.0.write() = Specs {
            topics: topics
                .iter()
                .map(|spec| (spec.name.clone(), spec.clone()))
                .collect(),
            groups: groups
                .iter()
                .map(|spec| (spec.name.clone(), spec.clone()))
                .collect(),
        };
    }
}
