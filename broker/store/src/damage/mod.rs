//! Messages whose records cannot be read: looked at again before anything is given up for them.
//!
//! - What the disk gives back otherwise than it was written is read once more, past every cache. Wrong twice is lost.
//! - What the disk fails to read may come back: it is lost only when it has failed a number of times over minutes.
//! - Everything else (too many files open, a record that retention has taken) says nothing about the record.

use crate::io::is_of_the_medium;
use crate::log::{LogReader, ReadError};
use bytes::Bytes;
use parking_lot::Mutex;
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{PhysicalOffset, TimeMs};
use std::collections::BTreeMap;
use std::io;
use thiserror::Error;

/// Tries that the disk has to fail before a record counts as lost.
const TRIES: u32 = 5;
/// Between two tries that count, in milliseconds.
const BETWEEN_TRIES_MS: u64 = 30_000;
/// Between the first try and the last, at least, in milliseconds.
const PATIENCE_MS: u64 = 240_000;
/// Records that are kept in mind while the disk fails to read them. With more than these the disk is gone as a whole, and
/// nothing is given up for that.
const FAILING_MAX: usize = 4096;
/// Without a try for so long a record is not kept in mind any more, in milliseconds.
const FORGET_MS: u64 = 3_600_000;

/// Between two tellings of records that could be read only again, in milliseconds.
const TELL_EVERY_MS: u64 = 60_000;

/// Why a message has no record.
#[derive(Debug, Error)]
pub enum Unread {
    /// It is lost: no later try brings it.
    #[error("{0}")]
    Lost(#[source] ReadError),
    /// A later try may bring it.
    #[error("{0}")]
    NotNow(#[source] ReadError),
}

impl Unread {
    /// Whether no later try brings it.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_))
    }
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    tries: u32,
    first: TimeMs,
    last: TimeMs,
}

/// The records that the disk fails to read. In memory only: a restart begins to count anew, and gives up later.
#[derive(Debug, Default)]
pub struct Failures {
    by_place: Mutex<BTreeMap<PhysicalOffset, Failing>>,
    second_tries: Mutex<SecondTries>,
}

/// Records that could be read only again.
#[derive(Debug, Default)]
struct SecondTries {
    /// Since it was last told of them.
    count: u64,
    /// When it may be told of the next ones.
    next: TimeMs,
}

impl Failures {
    /// Reads the record that `entry` points at, and where that fails, again from the disk. Blocks on it.
    pub fn read(&self, log: &LogReader, entry: &QueueEntry, now: TimeMs) -> Result<Bytes, Unread> {
        let first = match log.read_message(entry) {
            Ok(command) => return Ok(command),
            Err(error) => error,
        };
        if !is_of_the_disk(&first) {
            return Err(Unread::NotNow(first));
        }
        // An error of the disk says less than wrong bytes: then it takes two more reads to be sure of those.
        let (mut wrong, mut last) = (u32::from(is_wrong(&first)), first);
        for _ in 0..2 {
            match log.read_message_afresh(entry) {
                Ok(command) => {
                    self.by_place.lock().remove(&entry.physical);
                    self.tell_of_second_try(&last, now);
                    return Ok(command);
                }
                Err(error) => {
                    wrong += u32::from(is_wrong(&error));
                    last = error;
                }
            }
            if wrong >= 2 {
                self.by_place.lock().remove(&entry.physical);
                return Err(Unread::Lost(last));
            }
        }
        if is_of_the_disk(&last) && self.has_failed_for_good(entry.physical, now) {
            return Err(Unread::Lost(last));
        }
        Err(Unread::NotNow(last))
    }

    /// At most once a minute, for there may be one for each message of a file.
    fn tell_of_second_try(&self, error: &ReadError, now: TimeMs) {
        let mut told = self.second_tries.lock();
        told.count += 1;
        if told.next > now {
            return;
        }
        let records = std::mem::take(&mut told.count);
        told.next = now.saturating_add(TELL_EVERY_MS);
        tracing::warn!(
            %error,
            records,
            "records could be read at the second try only: the disk or memory is failing, or somebody has changed the file under the broker"
        );
    }

    /// Counts a try that the disk has failed.
    fn has_failed_for_good(&self, at: PhysicalOffset, now: TimeMs) -> bool {
        let mut by_place = self.by_place.lock();
        if by_place.len() >= FAILING_MAX && !by_place.contains_key(&at) {
            by_place.retain(|_, failing| now.saturating_sub(failing.last) < FORGET_MS);
            if by_place.len() >= FAILING_MAX {
                return false;
            }
        }
        let new = Failing {
            tries: 0,
            first: now,
            last: 0,
        };
        let failing = by_place.entry(at).or_insert(new);
        if failing.tries == 0 || now.saturating_sub(failing.last) >= BETWEEN_TRIES_MS {
            failing.tries += 1;
            failing.last = now;
        }
        failing.tries >= TRIES && now.saturating_sub(failing.first) >= PATIENCE_MS
    }
}

/// Whether the disk has lost the record, whatever memory still has of it: it gives other bytes than were written, twice. Blocks on it.
pub fn is_lost_on_disk(log: &LogReader, entry: &QueueEntry) -> bool {
    (0..2).all(|_| {
        log.read_message_afresh(entry)
            .is_err_and(|error| is_wrong(&error))
    })
}

/// Whether the bytes are not those that were written, or are not there: a file does not become longer by waiting.
fn is_wrong(error: &ReadError) -> bool {
    match error {
        ReadError::Damaged { .. } => true,
        ReadError::Io { source, .. } => source.kind() == io::ErrorKind::UnexpectedEof,
        ReadError::Gone { .. } | ReadError::Beyond { .. } => false,
    }
}

/// Whether it is about what the disk holds, and not about how the system is.
fn is_of_the_disk(error: &ReadError) -> bool {
    is_wrong(error) || matches!(error, ReadError::Io { source, .. } if is_of_the_medium(source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn a_record_is_given_up_after_five_failures_over_four_minutes_and_no_sooner() {
        let (failures, at) = (Failures::default(), PhysicalOffset(7));
        let tries = [0, 1, 60_000, 60_001, 120_000, 180_000, 239_999, 240_000];
        let lost = tries.map(|now| failures.has_failed_for_good(at, 1_000_000 + now));
        // 239,999 is the fifth that counts.
        assert_eq!(lost, [false, false, false, false, false, false, false, true]);
        assert!(!failures.has_failed_for_good(PhysicalOffset(8), 2_000_000));
    }

    #[test]
    fn a_disk_that_fails_everywhere_has_lost_nothing() {
        let failures = Failures::default();
        for n in 0..FAILING_MAX as u64 {
            failures.has_failed_for_good(PhysicalOffset(n), 0);
        }
        let beyond = PhysicalOffset(FAILING_MAX as u64);
        let lost = (0..20).any(|minute| failures.has_failed_for_good(beyond, minute * 60_000));
        assert!(!lost);
        assert_eq!(failures.by_place.lock().len(), FAILING_MAX);
        failures.has_failed_for_good(beyond, FORGET_MS);
        assert_eq!(failures.by_place.lock().len(), 1);
    }

    #[test]
    fn what_says_nothing_about_the_record_is_no_failure_of_the_disk() {
        let of = |source: io::Error| ReadError::Io {
            file: "a".into(),
            at: 0,
            source,
        };
        for (source, expected) in [
            (Errno::IO.into(), true),
            (io::ErrorKind::UnexpectedEof.into(), true),
            (Errno::MFILE.into(), false),
            (Errno::NOMEM.into(), false),
        ] {
            let error = of(source);
            assert_eq!(is_of_the_disk(&error), expected, "{error}");
        }
    }
}
