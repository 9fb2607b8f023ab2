//! How a target runs. The engine is bolero's for `cargo test`: it makes inputs by chance for as long as
//! `BOLERO_RANDOM_TEST_TIME_MS` says, a second unless it is set, makes one that fails smaller, and shows it with its seed.

use anyhow::bail;
use bolero::ValueGenerator;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a target runs unless it is told.
const USUAL_TIME: Duration = Duration::from_secs(1);
/// How long an input that fails is made smaller for.
const SHRINK_TIME: Duration = Duration::from_secs(5);
/// Chance that one input may use up, in bytes: beyond it is all zeros.
const CHANCE_BYTES_MAX: usize = 64 << 10;
/// A planted fault is found within so many inputs.
const ATTEMPTS_MAX: usize = 200_000;
/// So many inputs that are all taken, or all refused, come from a target that tests half of what it should.
const INPUTS_FOR_BOTH: u64 = 2000;

/// What became of an input about which nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was decoded.
    Taken,
    /// It was not, with an error that says why.
    Refused,
}

/// An error is a finding.
pub type Checked = anyhow::Result<Verdict>;

/// Checks input after input, and fails with the first of which something is wrong.
pub fn holds<G>(target: &'static str, generator: G, check: fn(&G::Output) -> Checked)
where
    G: ValueGenerator,
    G::Output: Debug,
{
    let tally = Tally::default();
    let begun = Instant::now();
    bolero::check!(name = target)
        .with_test_time(USUAL_TIME)
        .with_max_len(CHANCE_BYTES_MAX)
        .with_shrink_time(SHRINK_TIME)
        .with_generator(generator)
        .for_each(|case| tally.count(check(case)));
    tally.judge(target, begun.elapsed()).unwrap();
}

/// Checks until something is wrong, which must be soon, and answers what: `check` has a fault planted in it.
pub fn finds<G>(generator: G, check: fn(&G::Output) -> Checked) -> String
where
    G: ValueGenerator,
    G::Output: Debug,
{
    let found = OnceLock::new();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        bolero::check!(name = "planted")
            .with_iterations(ATTEMPTS_MAX)
            .with_max_len(CHANCE_BYTES_MAX)
            .with_shrink_time(Duration::ZERO)
            .with_generator(generator)
            .for_each(|case| {
                check(case).inspect_err(|error| {
                    let _ = found.set(format!("{error:#}"));
                })
            });
    }));
    assert!(
        ended.is_err(),
        "the planted fault is not found in {ATTEMPTS_MAX} inputs"
    );
    found
        .into_inner()
        .expect("the fault is found by the check, and is no panic")
}

#[derive(Debug, Default)]
struct Tally {
    taken: AtomicU64,
    refused: AtomicU64,
}

impl Tally {
    fn count(&self, checked: Checked) -> anyhow::Result<()> {
        let counter = match checked? {
            Verdict::Taken => &self.taken,
            Verdict::Refused => &self.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn judge(&self, target: &str, took: Duration) -> anyhow::Result<()> {
        let (taken, refused) = (
            self.taken.load(Ordering::Relaxed),
            self.refused.load(Ordering::Relaxed),
        );
        let all = taken + refused;
        let rate = all as f64 / took.as_secs_f64();
        println!("{target}: {all} inputs, {rate:.0} a second: {taken} taken, {refused} refused");
        if all >= INPUTS_FOR_BOTH && (taken == 0 || refused == 0) {
            bail!("{target}: of {all} inputs {taken} were taken and {refused} refused: it is to have both");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_whose_inputs_all_end_alike_fails() {
        for (taken, refused, fine) in [(2000, 0, false), (0, 2000, false), (1, 1999, true), (5, 0, true)] {
            let tally = Tally {
                taken: taken.into(),
                refused: refused.into(),
            };
            let judged = tally.judge("some", Duration::from_secs(1));
            assert_eq!(judged.is_ok(), fine, "{taken} {refused}");
        }
    }
}
