//! Waiting for a condition with a deadline; nothing in the suites sleeps and hopes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How often a condition is looked at.
const EVERY: Duration = Duration::from_millis(5);

/// Looks until the probe gives a value. What it says on the way to one is an error only if it is the last word.
///
/// # Errors
/// When the deadline passes first: the error names what was waited for and, if the probe failed, how.
pub fn until<T>(what: &str, within: Duration, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let started = Instant::now();
    loop {
        let outcome = probe();
        if let Ok(Some(value)) = outcome {
            return Ok(value);
        }
        if started.elapsed() >= within {
            return Err(too_late(what, within, outcome.err()));
        }
        std::thread::sleep(EVERY);
    }
}

/// As [`until`], for conditions that are tested without a value.
///
/// # Errors
/// When the deadline passes first.
pub fn until_true(what: &str, within: Duration, mut holds: impl FnMut() -> bool) -> Result<()> {
    until(what, within, || Ok(holds().then_some(())))
}

/// As [`until`], without keeping a thread of the runtime.
///
/// # Errors
/// When the deadline passes first; the probe's last error is its cause.
pub async fn until_async<T>(
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        let outcome = probe().await;
        if let Ok(Some(value)) = outcome {
            return Ok(value);
        }
        if started.elapsed() >= within {
            return Err(too_late(what, within, outcome.err()));
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// As [`until_true`], without keeping a thread of the runtime.
///
/// # Errors
/// When the deadline passes first.
pub async fn until_true_async(what: &str, within: Duration, mut holds: impl FnMut() -> bool) -> Result<()> {
    let started = Instant::now();
    while !holds() {
        if started.elapsed() >= within {
            return Err(too_late(what, within, None));
        }
        tokio::time::sleep(EVERY).await;
    }
    Ok(())
}

/// Gives a future a deadline whose passing says what was waited for.
///
/// # Errors
/// The future's own, or that it did not end in time.
pub async fn within<T>(what: &str, within: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(within, work).await {
        Ok(result) => result.with_context(|| what.to_owned()),
        Err(_) => bail!("{what}: not within {within:?}"),
    }
}

fn too_late(what: &str, within: Duration, last: Option<anyhow::Error>) -> anyhow::Error {
    let late = format!("{what}: not within {within:?}");
    match last {
        Some(error) => error.context(late),
        None => anyhow::Error::msg(late),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_comes_true_is_seen() {
        let mut looks = 0;
        let value = until("third look", Duration::from_secs(5), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(value.unwrap(), 3);
    }

    #[test]
    fn a_deadline_names_what_was_waited_for_and_the_last_error() {
        let error = until::<()>("the moon", Duration::ZERO, || bail!("clouds")).unwrap_err();
        assert_eq!(format!("{error:#}"), "the moon: not within 0ns: clouds");
        let error = until_true("the sun", Duration::ZERO, || false).unwrap_err();
        assert_eq!(format!("{error:#}"), "the sun: not within 0ns");
    }
}
