//! Items of the index, and their order.

use sluice_core::codec::{Malformed, Reader};
use sluice_core::ids::{PhysicalOffset, TimeMs};

/// Bytes of an item: `hash u64 | physical offset u64 | time ms u64`, little-endian.
pub(super) const ITEM_BYTES: usize = 24;

/// One key of one message. The order is that of sorted files: by hash, then by place in the log. Time follows the
/// place: it never falls along the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    pub(super) hash: u64,
    pub(super) physical: PhysicalOffset,
    pub(super) time: TimeMs,
}

impl Item {
    pub(super) fn encode(&self) -> [u8; ITEM_BYTES] {
        let mut out = [0; ITEM_BYTES];
        out[0..8].copy_from_slice(&self.hash.to_le_bytes());
        out[8..16].copy_from_slice(&self.physical.0.to_le_bytes());
        out[16..24].copy_from_slice(&self.time.to_le_bytes());
        out
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            hash: reader.u64()?,
            physical: PhysicalOffset(reader.u64()?),
            time: reader.u64()?,
        })
    }
}

/// What a look-up wants: items of one hash, from `from` on (time), and before both `until` (time) and `before` (place).
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) hash: u64,
    pub(super) from: TimeMs,
    pub(super) until: TimeMs,
    pub(super) before: PhysicalOffset,
}

impl Wanted {
    /// Whether the item sorts before the end of what is wanted: true up to some place of a sorted file, then false.
    pub(super) fn is_before_end(&self, item: &Item) -> bool {
        item.hash < self.hash
            || (item.hash == self.hash && item.physical < self.before && item.time < self.until)
    }

    pub(super) fn takes(&self, item: &Item) -> bool {
        item.hash == self.hash && item.time >= self.from && self.is_before_end(item)
    }
}
