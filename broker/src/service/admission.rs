//! A bound on the bodies that are on their way into the log. Beyond it clients are told to come again: memory is not
//! the buffer. What is refused is counted.

use super::validate::Invalid;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What a call holds beside its bodies, about: its stream, its task, its answer. Counted with them, or small messages
/// without end would fill the memory and wait longer than their senders do.
const CALL_BYTES: usize = 4 << 10;

/// Clients are told apart by a hash of their ids that nobody can foresee: there may be many more of them, and two that share a
/// place share its bound.
const PLACES: usize = 1024;
/// One client may have one of so many parts of the bound. What is left is for all others, however much it floods.
const PARTS: usize = 2;

/// The bytes on their way.
#[derive(Debug)]
pub struct Admission {
    bytes_max: usize,
    bytes: AtomicUsize,
    of_clients: Vec<AtomicUsize>,
    hasher: RandomState,
    refused: AtomicU64,
}

impl Admission {
    /// For so many bytes of bodies that have been decoded and not been answered.
    pub fn at_most(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            bytes: AtomicUsize::default(),
            of_clients: (0..PLACES).map(|_| AtomicUsize::default()).collect(),
            hasher: RandomState::new(),
            refused: AtomicU64::default(),
        }
    }

    /// Admits a call of a client with bodies of `bytes` for as long as the answer lives. One that is alone always fits.
    pub fn admit(&self, client_id: &str, bytes: usize) -> Result<Admitted<'_>, Invalid> {
        let place = self.hasher.hash_one(client_id) as usize % PLACES;
        let admitted = Admitted {
            all: &self.bytes,
            own: &self.of_clients[place],
            bytes: bytes + CALL_BYTES,
        };
        let beyond = |others: usize, max| others > 0 && others + admitted.bytes > max;
        let (max, share) = (self.bytes_max, self.bytes_max / PARTS);
        let others = admitted.all.fetch_add(admitted.bytes, Ordering::Relaxed);
        let own_others = admitted.own.fetch_add(admitted.bytes, Ordering::Relaxed);
        let refusal = if beyond(others, max) {
            Invalid::Overload(max)
        } else if beyond(own_others, share) {
            Invalid::OwnOverload(share)
        } else {
            return Ok(admitted);
        };
        self.refused.fetch_add(1, Ordering::Relaxed);
        Err(refusal)
    }

    /// Bytes that are on their way, and how many may be.
    pub fn bytes(&self) -> (usize, usize) {
        (self.bytes.load(Ordering::Relaxed), self.bytes_max)
    }

    /// Calls that were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// Bytes that were admitted.
#[derive(Debug)]
pub struct Admitted<'a> {
    all: &'a AtomicUsize,
    own: &'a AtomicUsize,
    bytes: usize,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
        self.own.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES_MAX: usize = 10 << 20;
    const HALF: usize = BYTES_MAX / PARTS - CALL_BYTES;

    #[test]
    fn beyond_the_bound_nothing_is_admitted_until_something_is_done() {
        let admission = Admission::at_most(BYTES_MAX);
        let first = admission.admit("a", HALF).unwrap();
        let second = admission.admit("b", HALF).unwrap();
        assert_eq!(admission.admit("c", 1).err(), Some(Invalid::Overload(BYTES_MAX)));
        assert_eq!(
            (admission.bytes(), admission.refused()),
            ((BYTES_MAX, BYTES_MAX), 1)
        );
        drop(first);
        admission.admit("c", HALF).unwrap();
        drop(second);
        assert_eq!(admission.bytes().0, 0);
    }

    #[test]
    fn a_client_that_floods_leaves_half_to_others() {
        let admission = Admission::at_most(BYTES_MAX);
        let flood = admission.admit("a", HALF).unwrap();
        assert_eq!(
            admission.admit("a", 0).err(),
            Some(Invalid::OwnOverload(BYTES_MAX / PARTS))
        );
        admission.admit("b", HALF).unwrap();
        drop(flood);
        admission.admit("a", HALF).unwrap();
    }

    #[test]
    fn a_call_that_is_alone_fits_whatever_the_bounds_are() {
        let admission = Admission::at_most(1 << 20);
        let alone = admission.admit("a", 8 << 20).unwrap();
        assert!(admission.admit("b", 0).is_err());
        drop(alone);
        admission.admit("b", 0).unwrap();
    }

    #[test]
    fn calls_with_small_bodies_are_bounded_too() {
        let admission = Admission::at_most(6 * CALL_BYTES);
        let calls: Vec<_> = (0..4).map(|_| admission.admit("a", 0)).collect();
        let admitted = calls.iter().filter(|call| call.is_ok()).count();
        assert_eq!((admitted, admission.refused()), (3, 1));
    }
}
