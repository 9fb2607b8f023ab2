//! Which files of checkpoints must be there, for those who read them beside the writer.

use super::{Checkpoints, KnownRoot, PACK_SUFFIX, ROOT_SUFFIX, position_in};
use parking_lot::Mutex;
use sluice_core::ids::PhysicalOffset;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// The roots that must be there now, each with its packs; clones share it. What the writer is going to remove it takes out of here first:
/// so what is in here, and not in the folder, somebody else has removed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected(Arc<Mutex<Roots>>);

#[derive(Debug, Default)]
struct Roots {
    packs: BTreeMap<u64, BTreeSet<u64>>,
    /// The last two: the log may have been about to begin at the one when it was decided that it begins at the other.
    held: [Option<u64>; 2],
}

impl Expected {
    /// Where roots must stand.
    pub(super) fn roots(&self) -> Vec<u64> {
        self.0.lock().packs.keys().copied().collect()
    }

    /// Whether this file must be there: a root, or a pack that one names.
    pub(crate) fn has(&self, path: &Path) -> bool {
        let Some(name) = path.file_name().map(Path::new) else {
            return false;
        };
        let roots = &self.0.lock().packs;
        let is_root = position_in(name, ROOT_SUFFIX).is_some_and(|root| roots.contains_key(&root));
        let is_named = |pack: u64| roots.values().any(|packs| packs.contains(&pack));
        is_root || position_in(name, PACK_SUFFIX).is_some_and(is_named)
    }

    /// Has the root there stay, until two others are held, for state to say that the log is going to begin there: till then the writer may
    /// be at work on a checkpoint that does not know. `false` if it is about to go already.
    pub(crate) fn hold(&self, position: PhysicalOffset) -> bool {
        let mut roots = self.0.lock();
        let stays = roots.packs.contains_key(&position.0);
        if stays && !roots.held.contains(&Some(position.0)) {
            roots.held = [roots.held[1], Some(position.0)];
        }
        stays
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
        self.expected.0.lock().packs = self.packs_of(stays);
    }

    /// As [`Checkpoints::expect`], of those that are chosen knowing which one is held; nothing is held in between.
    pub(super) fn expect_few(&self, choose: impl FnOnce([Option<u64>; 2]) -> Vec<u64>) -> Vec<u64> {
        let mut expected = self.expected.0.lock();
        let stay = choose(expected.held);
        expected.packs = self.packs_of(|root| stay.contains(&root.position.physical.0));
        stay
    }

    fn packs_of(&self, stays: impl Fn(&KnownRoot) -> bool) -> BTreeMap<u64, BTreeSet<u64>> {
        let stay = self.roots.iter().filter(|root| stays(root));
        let named = |root: &KnownRoot| (root.position.physical.0, root.packs.keys().copied().collect());
        stay.map(named).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::FaultyIo;
    use crate::log::LogPosition;
    use sluice_core::ids::{LogIndex, Term};

    fn write(checkpoints: &mut Checkpoints, at: u64) {
        let position = LogPosition {
            physical: PhysicalOffset(at),
            index: LogIndex(at),
            term: Term(1),
        };
        checkpoints.write(position, &[], &|_| true, []).unwrap();
    }

    fn stands(checkpoints: &Checkpoints, at: u64) -> bool {
        checkpoints.kept().any(|kept| kept.physical.0 == at)
    }

    #[test]
    fn a_checkpoint_stays_while_it_is_held_and_one_that_is_gone_is_not_held() {
        let io = FaultyIo::new(7);
        let mut checkpoints = Checkpoints::create(Arc::new(io), Path::new("/checkpoint")).unwrap();
        (0..5).for_each(|at| write(&mut checkpoints, at));
        let expected = checkpoints.expected();
        assert!(expected.hold(PhysicalOffset(2)));
        (100..200).for_each(|at| write(&mut checkpoints, at));
        assert!(stands(&checkpoints, 2) && !stands(&checkpoints, 3));
        assert!(
            !expected.hold(PhysicalOffset(3)),
            "it is gone, and the held one stays held"
        );
        (200..300).for_each(|at| write(&mut checkpoints, at));
        assert!(stands(&checkpoints, 2));
        // Once more is no other one.
        assert!(expected.hold(PhysicalOffset(299)) && expected.hold(PhysicalOffset(299)));
        (300..400).for_each(|at| write(&mut checkpoints, at));
        assert!(stands(&checkpoints, 299) && stands(&checkpoints, 2));
        assert!(expected.hold(PhysicalOffset(399)));
        (400..500).for_each(|at| write(&mut checkpoints, at));
        assert!(stands(&checkpoints, 299) && stands(&checkpoints, 399) && !stands(&checkpoints, 2));
    }
}
