//! Patches: what makes a later version of a part's bytes from an earlier one. To this file they are bytes and nothing else.
//!
//! ```text
//! length varint | crc32c u32 | steps × (inserted len varint | inserted | copied len varint | skip zigzag)
//! ```
//! Length and checksum are those of the result. A step appends what it inserts; then it goes so far forth or back in the earlier version,
//! from where the step before has ended, and copies from there. The first one begins at 0. The result is complete behind what is copied, or
//! behind what is inserted: then the step ends there.

use super::PART_BYTES_MAX;
use sluice_core::codec::{Malformed, Reader, put_bytes, put_varint, put_zigzag};
use sluice_core::hash::mix;

/// A result has at most so many times the bytes of what it is made from: so damage takes no memory out of proportion.
const GROWTH_MAX: usize = 2;
/// Bytes that are looked up in what the patch is made against.
const BLOCK_BYTES: usize = 16;
/// Blocks that are looked up at most: 2 MiB. Of something long they lie apart.
const BLOCKS_MAX: usize = 1 << 18;
/// So near the first place is looked for where blocks know only a later one: of rows that are alike the right one.
const NEAR_BYTES: usize = 256;
/// So many bytes are alike for a copy to go on behind something as long in both.
const RESUMED_BYTES: usize = 8;

/// The patch that makes `new` from `base`; `None` if it has more than `max` bytes.
pub(super) fn make(base: &[u8], new: &[u8], max: usize) -> Option<Vec<u8>> {
    if new.len() > base.len().saturating_mul(GROWTH_MAX) || new.len() > PART_BYTES_MAX {
        return None;
    }
    let mut patch = Vec::new();
    put_varint(&mut patch, new.len() as u64);
    patch.extend_from_slice(&crc32c::crc32c(new).to_le_bytes());
    let blocks = Blocks::of(base);
    // What steps have brought of `new`, and where the last one has ended in `base`.
    let (mut brought, mut ended) = (0, 0);
    let mut at = 0;
    while at < new.len() {
        // What is found may begin so many bytes before.
        if patch.len() + (at - brought) > max.saturating_add(blocks.stride) {
            return None;
        }
        let resumed = ended + (at - brought);
        let found = if resumes(base, resumed, &new[at..]) {
            resumed
        } else if let Some(found) = blocks.find(base, &new[at..], ended) {
            found
        } else {
            at += 1;
            continue;
        };
        let before = alike_before(&base[..found], &new[brought..at]);
        let after = alike(&base[found..], &new[at..]);
        put_bytes(&mut patch, &new[brought..at - before]);
        put_varint(&mut patch, (before + after) as u64);
        put_zigzag(&mut patch, (found - before) as i64 - ended as i64);
        at += after;
        (brought, ended) = (at, found + after);
    }
    if brought < new.len() {
        put_bytes(&mut patch, &new[brought..]);
    }
    (patch.len() <= max).then_some(patch)
}

/// What a patch against `base` makes of it. Whatever the bytes are, it is what [`make`] was given, or an error.
pub(super) fn apply(base: &[u8], patch: &[u8]) -> Result<Vec<u8>, Malformed> {
    const LENGTH: Malformed = Malformed::Range("the length of a patch's result");
    let mut reader = Reader::new(patch);
    let len = usize::try_from(reader.varint()?).map_err(|_| LENGTH)?;
    if len > base.len().saturating_mul(GROWTH_MAX) || len > PART_BYTES_MAX {
        return Err(LENGTH);
    }
    let crc = reader.u32()?;
    let mut new = Vec::with_capacity(len);
    let put = |new: &mut Vec<u8>, bytes: &[u8]| {
        if bytes.len() > len - new.len() {
            return Err(LENGTH);
        }
        new.extend_from_slice(bytes);
        Ok(())
    };
    let mut ended = 0;
    while new.len() < len {
        put(&mut new, reader.bytes()?)?;
        if new.len() == len {
            break;
        }
        let copied = usize::try_from(reader.varint()?).ok();
        let skip = isize::try_from(reader.zigzag()?).ok();
        let start = skip.and_then(|skip| usize::checked_add_signed(ended, skip));
        let range = start.and_then(|start| Some(start..start.checked_add(copied?)?));
        let range = range.filter(|range| range.end <= base.len());
        let range = range.ok_or(Malformed::Range("what a patch copies"))?;
        ended = range.end;
        put(&mut new, &base[range])?;
    }
    reader.finish()?;
    if crc32c::crc32c(&new) != crc {
        return Err(Malformed::Range("the checksum of a patch's result"));
    }
    Ok(new)
}

/// Whether `base` goes on as `new` does.
fn resumes(base: &[u8], at: usize, new: &[u8]) -> bool {
    let base = base.get(at..).and_then(<[u8]>::first_chunk::<RESUMED_BYTES>);
    base.is_some() && base == new.first_chunk()
}

/// Bytes that both begin with.
fn alike(a: &[u8], b: &[u8]) -> usize {
    const PIECE: usize = 32;
    let pieces = a.chunks_exact(PIECE).zip(b.chunks_exact(PIECE));
    let whole = pieces.take_while(|(a, b)| a == b).count() * PIECE;
    let rest = a[whole..].iter().zip(&b[whole..]);
    whole + rest.take_while(|(a, b)| a == b).count()
}

/// Bytes that both end with.
fn alike_before(a: &[u8], b: &[u8]) -> usize {
    let pairs = a.iter().rev().zip(b.iter().rev());
    pairs.take_while(|(a, b)| a == b).count()
}

/// Where which bytes stand.
struct Blocks {
    /// Between two of them.
    stride: usize,
    /// A block's hash in the upper half and its number in the lower one, in rising order.
    sorted: Vec<u64>,
}

impl Blocks {
    fn of(base: &[u8]) -> Self {
        let stride = base.len().div_ceil(BLOCKS_MAX).max(BLOCK_BYTES);
        let blocks = base.chunks(stride).map_while(<[u8]>::first_chunk);
        let mut sorted: Vec<u64> = (0..)
            .zip(blocks)
            .map(|(number, block): (u64, _)| hash(block) | number)
            .collect();
        sorted.sort_unstable();
        Self { stride, sorted }
    }

    /// Where the bytes stand that `new` begins with: the next place from `near` on, or else the last one before. For what is alike
    /// stands in the same order in both, and may stand in many places.
    fn find(&self, base: &[u8], new: &[u8], near: usize) -> Option<usize> {
        let wanted = new.first_chunk::<BLOCK_BYTES>()?;
        let hash = hash(wanted);
        let next = self
            .sorted
            .partition_point(|block| *block < hash | near.div_ceil(self.stride) as u64);
        let place = |block: &u64| (*block & u64::from(u32::MAX)) as usize * self.stride;
        let stands = |place: &usize| base.get(*place..).and_then(<[u8]>::first_chunk) == Some(wanted);
        let after = self.sorted.get(next).map(place).filter(stands);
        if let Some(after) = after.filter(|after| after - near <= NEAR_BYTES) {
            let mut windows = base[near..after + BLOCK_BYTES].windows(BLOCK_BYTES);
            return Some(near + windows.position(|bytes| bytes == wanted)?);
        }
        let before = || self.sorted[..next].last().map(place).filter(stands);
        after.or_else(before)
    }
}

/// In the upper half.
fn hash(block: &[u8; BLOCK_BYTES]) -> u64 {
    let number = u128::from_le_bytes(*block);
    mix(mix(0, number as u64), (number >> 64) as u64) & !u64::from(u32::MAX)
}

#[cfg(test)]
mod tests;
