//! What was opened lately, kept open: bounds descriptors and maps however many files there are.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;

/// At most `capacity` values; the least recently used leave, a quarter at a time, so that making room is cheap.
pub(crate) struct Recent<K, V> {
    capacity: usize,
    kept: Mutex<Kept<K, V>>,
}

struct Kept<K, V> {
    clock: u64,
    values: HashMap<K, (u64, V)>,
}

impl<K: Clone + Eq + Hash, V: Clone> Recent<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        let kept = Kept {
            clock: 0,
            values: HashMap::new(),
        };
        Self {
            capacity: capacity.max(4),
            kept: Mutex::new(kept),
        }
    }

    /// The value of `key`, opened if it is not there. Nothing is locked while `open` runs; of two opened at once one
    /// is kept.
    pub(crate) fn get<E>(&self, key: &K, open: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        {
            let mut kept = self.kept.lock();
            kept.clock += 1;
            let now = kept.clock;
            if let Some((used, value)) = kept.values.get_mut(key) {
                *used = now;
                return Ok(value.clone());
            }
        }
        let value = open()?;
        let mut kept = self.kept.lock();
        if kept.values.len() >= self.capacity {
            kept.make_room(self.capacity / 4);
        }
        let now = kept.clock;
        Ok(kept.values.entry(key.clone()).or_insert((now, value)).1.clone())
    }

    /// Forgets what `which` names.
    pub(crate) fn forget(&self, which: impl Fn(&K) -> bool) {
        self.kept.lock().values.retain(|key, _| !which(key));
    }
}

impl<K: Eq + Hash, V> Kept<K, V> {
    fn make_room(&mut self, leave: usize) {
        let mut used: Vec<u64> = self.values.values().map(|(used, _)| *used).collect();
        let (_, oldest_kept, _) = used.select_nth_unstable(leave.min(self.values.len() - 1));
        let oldest_kept = *oldest_kept;
        self.values.retain(|_, (used, _)| *used >= oldest_kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_leave() {
        let recent = Recent::new(8);
        let opened = Mutex::new(Vec::new());
        let get = |key: u32| {
            let open = || {
                opened.lock().push(key);
                Ok::<_, ()>(key)
            };
            assert_eq!(recent.get(&key, open), Ok(key));
        };
        (0..8).for_each(get);
        get(0);
        get(8); // 1 and 2 leave.
        [0, 3, 8, 1].into_iter().for_each(get);
        assert_eq!(*opened.lock(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 1]);
        recent.forget(|key| *key == 0);
        get(0);
        assert_eq!(opened.lock().last(), Some(&0));
    }
}
