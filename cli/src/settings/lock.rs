//! One change of the file of contexts at a time: each reads it, changes it and writes all of it.

use super::file::{folder_of, unwritable};
use crate::failure::{Failure, Kind};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long other changes are waited for; each takes milliseconds.
const WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Keeps other commands from changing the file until it is dropped, or the process ends.
#[derive(Debug)]
pub struct ContextsLock(#[expect(dead_code, reason = "it is held, not used")] Option<File>);

impl ContextsLock {
    /// Waits for other changes to end. The lock is a file of its own beside the contexts, for theirs is replaced by each
    /// change. Where there is none yet and the command does not make one (`makes`) there is nothing to change, and no lock is
    /// left behind.
    ///
    /// # Errors
    /// When the lock cannot be made, or is not given back.
    pub fn take(contexts: Option<&Path>, makes: bool) -> Result<Self, Failure> {
        // Without a place for the file saving it says so.
        let Some(contexts) = contexts.filter(|path| makes || path.exists()) else {
            return Ok(Self(None));
        };
        let path = contexts.with_added_extension("lock");
        let open = || {
            std::fs::create_dir_all(folder_of(contexts))?;
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).write(true).open(&path)
        };
        let file = open().map_err(|error| unwritable(contexts, &error))?;
        let until = Instant::now() + WITHIN;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(Some(file))),
                Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(LOOK_EVERY),
                Err(TryLockError::WouldBlock) => {
                    return Err(Failure::new(
                        Kind::Refused,
                        format!("another command has held it for {WITHIN:?}"),
                    )
                    .about(path.display().to_string())
                    .hint("end that command, or try again"));
                }
                Err(TryLockError::Error(error)) => return Err(unwritable(contexts, &error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Context, Contexts};

    #[test]
    fn changes_at_the_same_time_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sluice").join("config.yaml");
        std::thread::scope(|scope| {
            for number in 0..16 {
                let path = &path;
                scope.spawn(move || {
                    let _lock = ContextsLock::take(Some(path), true).unwrap();
                    let mut contexts = Contexts::load(Some(path)).unwrap();
                    contexts.put(&format!("c{number}"), Context::default());
                    contexts.save().unwrap();
                });
            }
        });
        assert_eq!(Contexts::load(Some(&path)).unwrap().all().count(), 16);
    }

    #[test]
    fn where_there_is_no_file_only_what_makes_one_leaves_anything_behind() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("sluice");
        let path = folder.join("config.yaml");
        drop(ContextsLock::take(Some(&path), false).unwrap());
        assert!(!folder.exists());
        std::fs::create_dir(&folder).unwrap();
        drop(ContextsLock::take(Some(&path), false).unwrap());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        drop(ContextsLock::take(Some(&path), true).unwrap());
        assert!(folder.join("config.yaml.lock").exists());
    }
}
