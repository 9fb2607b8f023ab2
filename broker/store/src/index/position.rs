//! How far the index is, and the bytes in which a checkpoint says so.

use super::RUN_ITEMS;
use sluice_core::codec::{Malformed, Reader};

/// How far the index is: what a checkpoint remembers of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexPosition {
    /// The open run.
    pub run: u64,
    /// Items in it.
    pub items: u32,
    /// Their CRC; 0 in a covered run.
    pub crc: u32,
    /// The hour of the run's items, counted from the epoch; 0 before the first item.
    pub slice: u64,
    /// The first run of that hour.
    pub slice_start: u64,
    /// Whether a sorted file holds the run already, from before a restart.
    pub covered: bool,
}

impl IndexPosition {
    /// The position at the start of a segment: the open run ends, and what follows is merged by itself.
    pub fn at_segment_start(self) -> Self {
        let run = self.run + u64::from(self.items > 0);
        Self {
            run,
            items: 0,
            crc: 0,
            slice_start: run,
            covered: self.covered && self.items == 0,
            ..self
        }
    }

    /// The position in 33 bytes, little-endian, fields in order.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.run.to_le_bytes().to_vec();
        out.extend_from_slice(&self.items.to_le_bytes());
        out.extend_from_slice(&self.crc.to_le_bytes());
        out.extend_from_slice(&self.slice.to_le_bytes());
        out.extend_from_slice(&self.slice_start.to_le_bytes());
        out.push(u8::from(self.covered));
        out
    }

    /// Reads what [`IndexPosition::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let position = Self {
            run: reader.u64()?,
            items: reader.u32()?,
            crc: reader.u32()?,
            slice: reader.u64()?,
            slice_start: reader.u64()?,
            covered: reader.u8()? != 0,
        };
        reader.finish()?;
        if position.items >= RUN_ITEMS {
            return Err(Malformed::Range("items of a run"));
        }
        Ok(position)
    }
}

#[cfg(test)]
mod layout {
    use super::*;
    use crate::tests::{u32_at, u64_at};

    #[test]
    fn a_position_is_33_bytes_as_the_format_says() {
        let position = IndexPosition {
            run: 1,
            items: 2,
            crc: 3,
            slice: 4,
            slice_start: 5,
            covered: true,
        };
        let bytes = position.encode();
        assert_eq!([0, 16, 24].map(|at| u64_at(&bytes, at)), [1, 4, 5]);
        assert_eq!([8, 12].map(|at| u32_at(&bytes, at)), [2, 3]);
        assert_eq!((bytes[32], bytes.len()), (1, 33));
        assert_eq!(IndexPosition::decode(&bytes), Ok(position));
    }
}
