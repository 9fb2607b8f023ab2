//! Sorted files of the index by their bytes alone: which blocks a look-up needs, told without the store's code.

use super::checkpoints::number;

/// Bytes of a block; the first one is the header.
pub const BLOCK: usize = 4096;
/// Bytes of a block before its entries.
const HEADER: usize = 8;
/// The kind of a block of items; others are of fences.
const ITEMS: u8 = 0;
/// Bytes of an item, which begins with its hash, and of a fence, which is an item and the number of a block.
const ITEM: usize = 24;
const FENCE: usize = ITEM + 4;
/// Where the header has the root's number, and the least and the greatest hash.
const ROOT: usize = 44;
const HASHES: [usize; 2] = [76, 84];

/// A whole file.
pub struct Sorted<'a>(pub &'a [u8]);

impl Sorted<'_> {
    /// Whether the header leaves room for this hash: then a look-up for it goes to the file.
    pub fn may_hold(&self, hash: u64) -> bool {
        let [least, greatest] = HASHES.map(|at| number(self.0, at, 8) as u64);
        (least..=greatest).contains(&hash)
    }

    /// The blocks that a look-up for all that has this hash reads: from the root down to the last item that is not beyond it, and
    /// back over items as long as they have it.
    pub fn needed(&self, hash: u64) -> Vec<usize> {
        let mut needed = vec![number(self.0, ROOT, 4)];
        let mut block = needed[0];
        while !self.has_items(block) {
            let upto = self.upto(block, FENCE, hash);
            let Some(fence) = upto.checked_sub(1) else {
                return needed;
            };
            block = number(self.0, entry(block, FENCE, fence) + ITEM, 4);
            needed.push(block);
        }
        let mut left = self.upto(block, ITEM, hash);
        while (0..left).all(|n| self.hash(block, ITEM, n) == hash) && block > 1 {
            block -= 1;
            needed.push(block);
            left = match self.has_items(block) {
                true => self.count(block),
                false => 0,
            };
        }
        needed
    }

    fn has_items(&self, block: usize) -> bool {
        self.0[block * BLOCK] == ITEMS
    }

    fn count(&self, block: usize) -> usize {
        number(self.0, block * BLOCK + 2, 2)
    }

    /// How many entries of a block, which rise, are not beyond the hash.
    fn upto(&self, block: usize, bytes: usize, hash: u64) -> usize {
        let rising = 0..self.count(block);
        rising.take_while(|n| self.hash(block, bytes, *n) <= hash).count()
    }

    fn hash(&self, block: usize, bytes: usize, n: usize) -> u64 {
        number(self.0, entry(block, bytes, n), 8) as u64
    }
}

/// Where an entry of a block stands in the file.
fn entry(block: usize, bytes: usize, n: usize) -> usize {
    block * BLOCK + HEADER + n * bytes
}
