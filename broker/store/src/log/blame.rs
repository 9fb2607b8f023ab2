//! Why the log gets nothing of the system, in the system's own words: a disk that is full is told from a folder that is closed to the
//! broker and from files that it may not open, for each asks for something else.

use crate::io::{Scarce, scarce};
use parking_lot::Mutex;
use sluice_core::log::NotProposed;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// For so long a write that was refused says that the next one would be: nothing is written to find out.
const LASTS: Duration = Duration::from_secs(60);

/// Why messages are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What proposers are told.
    pub why: NotProposed,
    /// What was tried, and what the system said; empty where it was not asked.
    pub says: String,
}

/// What the system refused last.
#[derive(Default)]
pub(super) struct Blame {
    last: Mutex<Option<Last>>,
    /// The last write of a group was refused.
    unwritable: AtomicBool,
}

struct Last {
    scarce: Scarce,
    says: String,
    at: Instant,
}

impl Blame {
    /// The system refused what was to be done, if the error says no more than that.
    pub(super) fn note(&self, error: &io::Error, says: impl FnOnce() -> String) {
        let Some(scarce) = scarce(error) else { return };
        let (says, at) = (says(), Instant::now());
        *self.last.lock() = Some(Last { scarce, says, at });
    }

    /// It refused to have a group written to the file.
    pub(super) fn note_write(&self, error: &io::Error, file: &Path) {
        self.note(error, || format!("cannot write {}: {error}", file.display()));
        if !self.unwritable.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, file = %file.display(), "the log cannot be written: what comes is refused until it can");
        }
    }

    /// A group was written.
    pub(super) fn written(&self) {
        if self.unwritable.load(Ordering::Relaxed) && self.unwritable.swap(false, Ordering::Relaxed) {
            *self.last.lock() = None;
            tracing::info!("the log is written again");
        }
    }

    /// The system gives what it is asked for.
    pub(super) fn clear(&self) {
        if !self.unwritable.load(Ordering::Relaxed) {
            *self.last.lock() = None;
        }
    }

    /// What those are told who get nothing.
    pub(super) fn not_proposed(&self) -> NotProposed {
        let last = self.last.lock();
        match last.as_ref().map(|last| last.scarce) {
            Some(Scarce::Permission) => NotProposed::NotPermitted,
            Some(Scarce::Descriptors) => NotProposed::NoDescriptors,
            Some(Scarce::Room) | None => NotProposed::NoSpace,
        }
    }

    /// The same with what the system says.
    pub(super) fn refusal(&self) -> Refusal {
        let why = self.not_proposed();
        let says = self.last.lock().as_ref().map(|last| last.says.clone());
        Refusal {
            why,
            says: says.unwrap_or_default(),
        }
    }

    /// Whether the last group could not be written, and lately.
    pub(super) fn is_unwritable(&self) -> bool {
        let lately = |last: &Last| last.at.elapsed() < LASTS;
        self.unwritable.load(Ordering::Relaxed) && self.last.lock().as_ref().is_some_and(lately)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn what_the_system_refuses_is_told_by_its_reason_and_for_as_long_as_it_holds() {
        let blame = Blame::default();
        assert_eq!(blame.not_proposed(), NotProposed::NoSpace);
        for (errno, why) in [
            (Errno::NOSPC, NotProposed::NoSpace),
            (Errno::DQUOT, NotProposed::NoSpace),
            (Errno::PERM, NotProposed::NotPermitted),
            (Errno::ACCESS, NotProposed::NotPermitted),
            (Errno::MFILE, NotProposed::NoDescriptors),
            (Errno::NFILE, NotProposed::NoDescriptors),
        ] {
            let error = io::Error::from(errno);
            blame.note(&error, || error.to_string());
            let says = error.to_string();
            assert_eq!(blame.refusal(), Refusal { why, says });
        }
        assert!(!blame.is_unwritable());
        blame.note_write(&Errno::PERM.into(), Path::new("log/a.seg"));
        blame.clear();
        let refusal = blame.refusal();
        assert_eq!(
            refusal.why,
            NotProposed::NotPermitted,
            "files may be made, and not written"
        );
        assert!(
            refusal.says.contains("log/a.seg: Operation not permitted"),
            "{refusal:?}"
        );
        assert!(blame.is_unwritable());
        blame.written();
        assert!(!blame.is_unwritable());
        assert_eq!(blame.refusal().says, "");
    }
}
