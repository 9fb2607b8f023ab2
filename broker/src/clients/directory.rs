//! From a client's id to its figures, for calls that need nothing else of the table: they share a lock only with those
//! whose ids fall into the same part, and wait for nobody but when a client comes or goes.

use super::figures::Figures;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;

const PARTS: usize = 16;

/// The figures of all clients in the table.
#[derive(Debug, Default)]
pub struct Directory([RwLock<HashMap<Arc<str>, Arc<Figures>>>; PARTS]);

impl Directory {
    /// Does `work` with the figures of a client; nothing if it is not known.
    pub fn with(&self, id: &str, work: impl FnOnce(&Figures)) {
        if let Some(figures) = self.part(id).read().get(id) {
            work(figures);
        }
    }

    pub(super) fn insert(&self, id: &Arc<str>, figures: &Arc<Figures>) {
        self.part(id).write().insert(Arc::clone(id), Arc::clone(figures));
    }

    pub(super) fn remove(&self, id: &str) {
        self.part(id).write().remove(id);
    }

    fn part(&self, id: &str) -> &RwLock<HashMap<Arc<str>, Arc<Figures>>> {
        &self.0[crc32c::crc32c(id.as_bytes()) as usize % PARTS]
    }
}
