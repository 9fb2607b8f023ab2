//! A bound on the bodies that are on their way into the log. Beyond it clients are told to come again: memory is not
//! the buffer. What is refused is counted.

use super::validate::Invalid;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Bytes of bodies that have been decoded and not been answered.
const BYTES_MAX: usize = 128 << 20;

/// The bytes on their way.
#[derive(Debug, Default)]
pub struct Admission {
    bytes: AtomicUsize,
    refused: AtomicU64,
}

impl Admission {
    /// Admits `bytes` for as long as the answer lives.
    pub fn admit(&self, bytes: usize) -> Result<Admitted<'_>, Invalid> {
        let admitted = Admitted {
            admission: self,
            bytes,
        };
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > BYTES_MAX {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Invalid::Overload(BYTES_MAX));
        }
        Ok(admitted)
    }

    /// Bytes that are on their way, and how many may be.
    pub fn bytes(&self) -> (usize, usize) {
        (self.bytes.load(Ordering::Relaxed), BYTES_MAX)
    }

    /// Calls that were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// Bytes that were admitted.
#[derive(Debug)]
pub struct Admitted<'a> {
    admission: &'a Admission,
    bytes: usize,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.admission.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_bound_nothing_is_admitted_until_something_is_done() {
        let admission = Admission::default();
        let first = admission.admit(BYTES_MAX).unwrap();
        assert_eq!(admission.admit(1).err(), Some(Invalid::Overload(BYTES_MAX)));
        assert_eq!(
            (admission.bytes(), admission.refused()),
            ((BYTES_MAX, BYTES_MAX), 1)
        );
        drop(first);
        admission.admit(BYTES_MAX).unwrap();
        assert_eq!(admission.bytes.load(Ordering::Relaxed), 0);
    }
}
