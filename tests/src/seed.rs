//! Chance that can be repeated: every suite that uses it prints its seed and takes one back.

use std::hash::{BuildHasher as _, Hasher as _};

use anyhow::{Context as _, Result};

/// Names the seed to repeat a run with.
pub const VARIABLE: &str = "SLUICE_SEED";

/// The seed from the environment, or a new one; printed either way.
///
/// # Errors
/// When the variable holds no number.
pub fn from_environment() -> Result<u64> {
    let seed = match std::env::var(VARIABLE) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("{VARIABLE}={text} is no number"))?,
        Err(_) => entropy(),
    };
    println!("seed: {VARIABLE}={seed}");
    Ok(seed)
}

/// A number that differs from run to run.
#[must_use]
pub fn entropy() -> u64 {
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}

/// A stream of numbers that follows from its seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below the bound, which must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// A number from one bound to the other, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }
}

/// Spreads a number's bits; equal numbers give equal results.
#[must_use]
pub fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_streams_within_their_bounds() {
        let (mut one, mut two) = (Chance::new(7), Chance::new(7));
        for _ in 0..1000 {
            let number = one.between(10, 20);
            assert_eq!(number, two.between(10, 20));
            assert!((10..=20).contains(&number));
        }
        assert_ne!(Chance::new(8).number(), Chance::new(7).number());
    }
}
