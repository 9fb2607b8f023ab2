//! A bound on what clients announced, all together: it is kept as long as they are known, and takes several times the bytes that it
//! had on its way.

use super::registry::Full;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Encoded. Settings take a few hundred bytes: for as many clients as may be known by default it is enough.
pub(super) const BYTES_MAX: usize = 32 << 20;

/// What is taken of the bound.
#[derive(Debug, Default)]
pub(super) struct Rooms(Arc<AtomicUsize>);

/// A part of the bound, given back when this is dropped.
#[derive(Debug)]
pub(super) struct Room {
    of: Arc<AtomicUsize>,
    bytes: usize,
}

impl Rooms {
    /// Takes so much, if it is there.
    pub(super) fn take(&self, bytes: usize) -> Result<Room, Full> {
        let room = Room {
            of: Arc::clone(&self.0),
            bytes,
        };
        if self.0.fetch_add(bytes, Ordering::Relaxed) + bytes > BYTES_MAX {
            return Err(Full::Settings(BYTES_MAX));
        }
        Ok(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_again_when_somebody_has_gone() {
        let rooms = Rooms::default();
        let first = rooms.take(BYTES_MAX).unwrap();
        assert_eq!(rooms.take(1).err(), Some(Full::Settings(BYTES_MAX)));
        drop(first);
        rooms.take(BYTES_MAX).unwrap();
    }
}
