//! A bound on bytes that are held for clients, one for each kind of holding. Beyond it a client is told to come again: memory is
//! not the buffer. What is refused is counted.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What a call holds beside its bytes, about: its stream, its task, its answer. Counted with them, or small messages
/// without end would fill the memory and wait longer than their senders do.
pub const CALL_BYTES: usize = 4 << 10;

/// Clients are told apart by a hash of their ids that nobody can foresee: there may be many more of them, and two that share a
/// place share its bound.
const PLACES: usize = 1024;
/// One client may have one of so many parts of the bound. What is left is for all others, however much it floods.
const PARTS: usize = 2;
/// So much a client may have even where all bytes are held: some that hold as much as they may keep out no one with little. With
/// every place taken that is 32 MiB.
const ALWAYS_BYTES: usize = 32 << 10;

/// The bytes that are held, and how many may be.
#[derive(Debug)]
pub struct Budget {
    bytes_max: usize,
    bytes: AtomicUsize,
    of_clients: Vec<AtomicUsize>,
    hasher: RandomState,
    refused: AtomicU64,
}

/// Why nothing more is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// All clients together hold so much already.
    All(usize),
    /// This client does: all that one may.
    Own(usize),
}

impl Budget {
    /// For so many bytes.
    pub fn of(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes_max,
            bytes: AtomicUsize::default(),
            of_clients: (0..PLACES).map(|_| AtomicUsize::default()).collect(),
            hasher: RandomState::new(),
            refused: AtomicU64::default(),
        })
    }

    /// Holds `bytes` and what a call takes beside them for a client, until the share is dropped. One that is alone always fits.
    pub fn admit(self: &Arc<Self>, client: &str, bytes: usize) -> Result<Share, Exceeded> {
        let mut share = Share {
            place: self.place_of(client),
            budget: Arc::clone(self),
            bytes: 0,
        };
        share.grow(bytes + CALL_BYTES)?;
        Ok(share)
    }

    fn place_of(&self, client: &str) -> usize {
        self.hasher.hash_one(client) as usize % PLACES
    }

    /// Bytes that are held, and how many may be.
    pub fn bytes(&self) -> (usize, usize) {
        (self.bytes.load(Ordering::Relaxed), self.bytes_max)
    }

    /// How often something was refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// Bytes that are held for a client.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    place: usize,
    bytes: usize,
}

impl Share {
    /// Holds so many more. Where that is too much it holds as many as before.
    pub fn grow(&mut self, more: usize) -> Result<(), Exceeded> {
        let (budget, own) = (&*self.budget, &self.budget.of_clients[self.place]);
        let (max, own_max) = (budget.bytes_max, budget.bytes_max / PARTS);
        let all_before = budget.bytes.fetch_add(more, Ordering::Relaxed);
        let own_before = own.fetch_add(more, Ordering::Relaxed);
        // Alone it fits whatever the bounds are.
        let is_beyond = |before: usize, max| before > self.bytes && before + more > max;
        let exceeded = if is_beyond(all_before, max) && own_before + more > ALWAYS_BYTES {
            Exceeded::All(max)
        } else if is_beyond(own_before, own_max) {
            Exceeded::Own(own_max)
        } else {
            self.bytes += more;
            return Ok(());
        };
        budget.bytes.fetch_sub(more, Ordering::Relaxed);
        own.fetch_sub(more, Ordering::Relaxed);
        budget.refused.fetch_add(1, Ordering::Relaxed);
        Err(exceeded)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.budget.of_clients[self.place].fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES_MAX: usize = 10 << 20;
    const HALF: usize = BYTES_MAX / PARTS - CALL_BYTES;

    /// Clients of which no two share a place.
    fn three(budget: &Budget) -> [String; 3] {
        let mut places = Vec::new();
        let names = (0..).map(|number: u32| number.to_string());
        let mut apart = names.filter(|name| {
            let place = budget.place_of(name);
            let is_new = !places.contains(&place);
            places.push(place);
            is_new
        });
        [(); 3].map(|()| apart.next().unwrap())
    }

    #[test]
    fn beyond_the_bound_nothing_is_admitted_until_something_is_done() {
        let budget = Budget::of(BYTES_MAX);
        let [a, b, c] = &three(&budget);
        let first = budget.admit(a, HALF).unwrap();
        let second = budget.admit(b, HALF).unwrap();
        let exceeded = Some(Exceeded::All(BYTES_MAX));
        assert_eq!(budget.admit(c, ALWAYS_BYTES).err(), exceeded);
        assert_eq!((budget.bytes(), budget.refused()), ((BYTES_MAX, BYTES_MAX), 1));
        drop(first);
        budget.admit(c, HALF).unwrap();
        drop(second);
        assert_eq!(budget.bytes().0, 0);
    }

    #[test]
    fn a_client_that_floods_leaves_half_to_others() {
        let budget = Budget::of(BYTES_MAX);
        let [a, b, _] = &three(&budget);
        let flood = budget.admit(a, HALF).unwrap();
        assert_eq!(budget.admit(a, 0).err(), Some(Exceeded::Own(BYTES_MAX / PARTS)));
        budget.admit(b, HALF).unwrap();
        drop(flood);
        budget.admit(a, HALF).unwrap();
    }

    #[test]
    fn a_little_is_admitted_of_each_client_whatever_others_hold() {
        let budget = Budget::of(BYTES_MAX);
        let [a, b, c] = &three(&budget);
        let _full = [a, b].map(|client| budget.admit(client, HALF).unwrap());
        let little = ALWAYS_BYTES - 2 * CALL_BYTES;
        let first = budget.admit(c, little).unwrap();
        let second = budget.admit(c, 0).unwrap();
        assert!(budget.admit(c, 0).is_err());
        drop((first, second));
        budget.admit(c, little).unwrap();
    }

    #[test]
    fn a_call_that_is_alone_fits_whatever_the_bounds_are() {
        let budget = Budget::of(1 << 20);
        let [a, b, _] = &three(&budget);
        let mut alone = budget.admit(a, 8 << 20).unwrap();
        alone.grow(1 << 20).unwrap();
        assert!(budget.admit(b, ALWAYS_BYTES).is_err());
        drop(alone);
        budget.admit(b, 0).unwrap();
    }

    #[test]
    fn calls_with_small_bodies_are_bounded_too() {
        let budget = Budget::of(6 * CALL_BYTES);
        let calls: Vec<_> = (0..4).map(|_| budget.admit("a", 0)).collect();
        let admitted = calls.iter().filter(|call| call.is_ok()).count();
        assert_eq!((admitted, budget.refused()), (3, 1));
    }

    #[test]
    fn a_share_that_cannot_grow_is_what_it_was() {
        let budget = Budget::of(BYTES_MAX);
        let [a, b, _] = &three(&budget);
        let other = budget.admit(b, HALF).unwrap();
        let mut share = budget.admit(a, 0).unwrap();
        share.grow(HALF - CALL_BYTES).unwrap();
        let before = budget.bytes();
        assert_eq!(share.grow(CALL_BYTES + 1), Err(Exceeded::All(BYTES_MAX)));
        assert_eq!(budget.bytes(), before);
        drop((share, other));
        assert_eq!(budget.bytes().0, 0);
    }
}
