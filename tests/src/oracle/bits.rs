//! A set of small numbers.

/// One bit a number.
#[derive(Debug, Clone, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn has(&self, number: u32) -> bool {
        let word = self.0.get(number as usize / 64);
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Adds a number; tells whether it was there already.
    pub(super) fn set(&mut self, number: u32) -> bool {
        let index = number as usize / 64;
        if self.0.len() <= index {
            self.0.resize(index + 1, 0);
        }
        let bit = 1 << (number % 64);
        let was_there = self.0[index] & bit != 0;
        self.0[index] |= bit;
        was_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_there_once_it_was_added() {
        let mut bits = Bits::default();
        for number in [0, 63, 64, 1000] {
            assert!(!bits.has(number));
            assert!(!bits.set(number));
            assert!(bits.has(number) && bits.set(number));
        }
        assert!(!bits.has(65));
    }
}
