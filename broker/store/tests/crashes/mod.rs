//! How far the tests of crashes go: a part of the way, or all of it with `SLUICE_LONG`, which `cargo xtask test --long` sets.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::atomic::{AtomicU64, Ordering};

/// Whether everything is to be tried.
pub fn is_long() -> bool {
    std::env::var_os("SLUICE_LONG").is_some()
}

/// The first value, or the second in the long form.
pub fn or_long<T>(short: T, long: T) -> T {
    if is_long() { long } else { short }
}

/// Starts over what a crash has left that were really made, and checked.
#[derive(Default)]
pub struct Recoveries(AtomicU64);

impl Recoveries {
    /// Another one was right.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Prints how many there were, which must be so many at least.
    pub fn at_least(&self, least: u64) {
        let made = self.0.load(Ordering::Relaxed);
        println!("{made} recoveries");
        assert!(made >= least, "only {made} recoveries of {least}");
    }
}
