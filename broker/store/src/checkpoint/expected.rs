//! Which files of checkpoints must be there, for those who read them beside the writer.

use super::{Checkpoints, KnownRoot, PACK_SUFFIX, ROOT_SUFFIX, position_in};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// The roots that must be there now, each with its packs; clones share it. What the writer is going to remove it takes out of here first:
/// so what is in here, and not in the folder, somebody else has removed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected(Arc<Mutex<BTreeMap<u64, BTreeSet<u64>>>>);

impl Expected {
    /// Where roots must stand.
    pub(super) fn roots(&self) -> Vec<u64> {
        self.0.lock().keys().copied().collect()
    }

    /// Whether this file must be there: a root, or a pack that one names.
    pub(crate) fn has(&self, path: &Path) -> bool {
        let Some(name) = path.file_name().map(Path::new) else {
            return false;
        };
        let roots = self.0.lock();
        let is_root = position_in(name, ROOT_SUFFIX).is_some_and(|root| roots.contains_key(&root));
        let is_named = |pack: u64| roots.values().any(|packs| packs.contains(&pack));
        is_root || position_in(name, PACK_SUFFIX).is_some_and(is_named)
    }
}

impl Checkpoints {
    /// Which files must be there, as it changes.
    pub(crate) fn expected(&self) -> Expected {
        self.expected.clone()
    }

    /// From now on all of the kept ones must be there.
    pub(crate) fn expect_all(&self) {
        self.expect(|_| true);
    }

    /// From now on these of the kept ones must be there, and no others.
    pub(super) fn expect(&self, stays: impl Fn(&KnownRoot) -> bool) {
        let stay = self.roots.iter().filter(|root| stays(root));
        let named = |root: &KnownRoot| (root.position.physical.0, root.packs.keys().copied().collect());
        *self.expected.0.lock() = stay.map(named).collect();
    }
}
