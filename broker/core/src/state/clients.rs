//! Names of clients that hold deliveries: each kept once, as long as a delivery names it.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Client names with the number of deliveries that name them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Clients(BTreeMap<Arc<str>, u32>);

impl Clients {
    /// The shared name, counted once more.
    pub(super) fn hold(&mut self, name: &str) -> Arc<str> {
        if let Some((shared, _)) = self.0.get_key_value(name) {
            let shared = Arc::clone(shared);
            if let Some(count) = self.0.get_mut(name) {
                *count += 1;
            }
            return shared;
        }
        let shared: Arc<str> = Arc::from(name);
        self.0.insert(Arc::clone(&shared), 1);
        shared
    }

    /// Takes one count back.
    pub(super) fn release(&mut self, name: &str) {
        if let Some(count) = self.0.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(name);
            }
        }
    }

    /// The names, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.keys()
    }
}
