//! The maps of a sealed segment. One serves reads at a time; those that gave way to others are kept in mind for as long as
//! somebody looks at them, since the file must not be written until then.

use crate::io::MapHandle;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;

/// The maps that a segment has, or had while slices of them live.
#[derive(Default)]
pub(in crate::log) struct Maps(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    current: Option<MapHandle>,
    /// Each has a slice that lives, or a handle with which somebody may make one: as many as there are such readers.
    retired: Vec<MapHandle>,
}

impl Maps {
    /// The map that serves reads, and whether it is a new one: `make` is called where there is none.
    pub(in crate::log) fn get_or(
        &self,
        make: impl FnOnce() -> io::Result<MapHandle>,
    ) -> io::Result<(MapHandle, bool)> {
        let mut inner = self.0.lock();
        if let Some(map) = &inner.current {
            return Ok((Arc::clone(map), false));
        }
        let map = make()?;
        inner.current = Some(Arc::clone(&map));
        Ok((map, true))
    }

    /// The next read makes a map anew. Slices of the one so far live on by themselves.
    pub(in crate::log) fn let_go(&self) {
        let mut inner = self.0.lock();
        let current = inner.current.take();
        inner.retired.extend(current);
        inner.retired.retain(is_in_use);
    }

    /// Whether slices of any live, or somebody may still make one. Nobody has the segment any more to ask for a handle.
    pub(in crate::log) fn are_in_use(&self) -> bool {
        let inner = self.0.lock();
        inner.current.iter().chain(&inner.retired).any(is_in_use)
    }
}

/// Besides by the one that asks.
fn is_in_use(map: &MapHandle) -> bool {
    map.is_looked_at() || Arc::strong_count(map) > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mmap::FileMap;
    use std::fs::File;

    #[test]
    fn a_map_that_gave_way_counts_until_nobody_can_look_at_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, [7; 100]).unwrap();
        let file = Arc::new(File::open(&path).unwrap());
        let maps = Maps::default();
        let get = |maps: &Maps| {
            let made = maps.get_or(|| Ok(Arc::new(FileMap::new(&file, 100)?)));
            made.unwrap()
        };
        assert!(get(&maps).1 && !get(&maps).1, "made once");
        // A handle with which a slice is made only later.
        let (handle, _) = get(&maps);
        maps.let_go();
        assert!(get(&maps).1, "made anew");
        let slice = handle.bytes(3..9).unwrap();
        drop(handle);
        maps.let_go();
        assert_eq!(maps.0.lock().retired.len(), 1, "the second has no reader");
        assert!(maps.are_in_use());
        drop(slice);
        assert!(!maps.are_in_use());
        maps.let_go();
        assert!(maps.0.lock().retired.is_empty());
    }
}
