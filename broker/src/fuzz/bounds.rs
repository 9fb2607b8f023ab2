//! What holds of every decoder: the memory that it takes, the texts of its errors, and how often a checksum may fit by chance.

use anyhow::{bail, ensure};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of an error's text. It goes to a client in a header or a status, and into a line of the log: what is quoted in it is
/// cut, however long it is.
const TEXT_BYTES_MAX: usize = 1024;

/// Does the work, and tells how many bytes it had allocated at one time.
pub fn measured<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let mut done = None;
    // A panic goes on once the count has ended, or the next one would be within this.
    let counted = allocation_counter::measure(|| done = Some(catch_unwind(AssertUnwindSafe(work))));
    match done.expect("the work is done once") {
        Ok(value) => (value, counted.bytes_max),
        Err(panic) => resume_unwind(panic),
    }
}

/// Decoding `input` bytes took no more than `least` bytes and `each` for every byte of the input.
pub fn bounded(took: u64, input: usize, least: usize, each: usize) -> anyhow::Result<()> {
    let most = least + each * input;
    ensure!(
        took <= most as u64,
        "{input} bytes took {took} bytes of memory to decode, more than {most}"
    );
    Ok(())
}

/// An error says something, and not at any length.
pub fn worded(error: &impl Display) -> anyhow::Result<()> {
    let text = error.to_string();
    ensure!(!text.trim().is_empty(), "an error without a text");
    if text.len() > TEXT_BYTES_MAX {
        let start: String = text.chars().take(80).collect();
        bail!("an error's text has {} bytes: {start}…", text.len());
    }
    Ok(())
}

/// How many bits differ, of inputs that are equally long.
pub fn bits_apart(one: &[u8], other: &[u8]) -> Option<u32> {
    let apart = |(one, other): (&u8, &u8)| (one ^ other).count_ones();
    (one.len() == other.len()).then(|| one.iter().zip(other).map(apart).sum())
}

/// Damage of so few bits a CRC-32C always shows, whatever the length.
pub const BITS_ALWAYS_SEEN: u32 = 3;

/// A checksum of 32 bits fits one damaged input in 2^32 by chance. One such input is no finding; a second one is.
#[derive(Debug)]
pub struct Luck(AtomicU32);

impl Luck {
    /// Nothing has fitted by chance so far.
    pub const fn none_yet() -> Self {
        Self(AtomicU32::new(0))
    }

    /// `what` has passed that was never made.
    pub fn passes(&self, what: &str) -> anyhow::Result<()> {
        if self.0.fetch_add(1, Ordering::Relaxed) > 0 {
            bail!("{what}, and it is not the first: chance does not do that");
        }
        println!("{what}: once in four thousand million inputs chance does that");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn memory_that_is_held_and_memory_that_was_is_counted() {
        let (_, took) = measured(|| (black_box(vec![0_u8; 1000]), drop(black_box(vec![0_u8; 50_000]))));
        assert!((51_000..60_000).contains(&took), "{took}");
        assert!(bounded(took, 10, 1000, 10).is_err());
        assert!(bounded(took, 10, 1000, 6000).is_ok());
    }

    #[test]
    fn a_panic_while_it_is_counted_does_not_upset_the_next_count() {
        for _ in 0..100 {
            let ended = catch_unwind(|| measured(|| resume_unwind(Box::new("on purpose"))));
            assert!(ended.is_err());
        }
        assert_eq!(measured(|| ()).1, 0);
    }

    #[test]
    fn a_text_is_there_and_short() {
        assert!(worded(&"the tag is blank").is_ok());
        for text in ["", " ", &"x".repeat(TEXT_BYTES_MAX + 1)] {
            assert!(worded(&text).is_err(), "{} bytes", text.len());
        }
    }

    #[test]
    fn chance_is_let_pass_once() {
        let luck = Luck::none_yet();
        assert!(luck.passes("a frame was never made").is_ok());
        assert!(luck.passes("a frame was never made").is_err());
    }
}
