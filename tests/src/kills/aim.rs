//! When to kill, seen from the broker's files, and what the files say afterwards.

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::time::sleep;

use crate::seed::Chance;

const LOOK_EVERY: Duration = Duration::from_micros(200);
/// With small segments and checkpoints all the time, both happen about once a second.
const HAPPENS_WITHIN: Duration = Duration::from_secs(3);
/// A segment is being begun for as long.
const FRESH: Duration = Duration::from_millis(25);

/// What a kill is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Any moment.
    Anywhen,
    /// A checkpoint being written.
    Checkpoint,
    /// The log's change to a new segment.
    Roll,
}

/// What the watcher saw.
#[derive(Default)]
pub(super) struct Moment {
    /// When a segment newer than the one at the beginning was first seen.
    segment_seen: Option<Instant>,
}

/// What a kill left behind.
pub(super) struct Evidence {
    pub(super) unfinished_checkpoint: bool,
    pub(super) fresh_segment: bool,
}

impl Aim {
    pub(super) fn of(kill: u32) -> Self {
        [Self::Anywhen, Self::Checkpoint, Self::Roll][kill as usize % 3]
    }

    /// Waits for the moment to kill.
    pub(super) async fn wait(self, shard: &Path, chance: &mut Chance) -> Result<Moment> {
        let before = newest(&shard.join("log"), "seg")?;
        let checkpoint = shard.join("checkpoint");
        let mut moment = Moment::default();
        match self {
            Self::Anywhen => sleep(Duration::from_micros(chance.below(150_000))).await,
            Self::Checkpoint => {
                watch(|| is_unfinished(&checkpoint).unwrap_or(false));
                std::thread::sleep(Duration::from_micros(chance.below(2_000)));
            }
            Self::Roll => {
                let log = shard.join("log");
                watch(|| newest(&log, "seg").is_ok_and(|newest| newest != before));
                moment.segment_seen = Some(Instant::now());
                std::thread::sleep(Duration::from_micros(chance.below(2_000)));
            }
        }
        Ok(moment)
    }
}

/// Looks at the files of a broker that was killed then.
pub(super) fn evidence(shard: &Path, moment: &Moment, killed: Instant) -> Result<Evidence> {
    Ok(Evidence {
        unfinished_checkpoint: is_unfinished(&shard.join("checkpoint"))?,
        fresh_segment: moment.segment_seen.is_some_and(|seen| killed - seen < FRESH),
    })
}

/// Looks until it holds, or until a moment like any other has to do. Keeps its thread: the moments are short.
fn watch(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + HAPPENS_WITHIN;
    while !holds() && Instant::now() < deadline {
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A checkpoint's parts are written before its root.
fn is_unfinished(checkpoint: &Path) -> Result<bool> {
    let (pack, root) = (newest(checkpoint, "pack")?, newest(checkpoint, "root")?);
    Ok(pack > root)
}

/// The highest number among the names of files of one kind; 0 where there are none.
fn newest(folder: &Path, extension: &str) -> Result<u64> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", folder.display())),
    };
    let mut newest = 0;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            let number = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .and_then(|stem| stem.parse().ok());
            newest = newest.max(number.unwrap_or(0));
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_without_its_root_is_unfinished() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str| std::fs::write(folder.path().join(name), "").unwrap();
        assert!(!is_unfinished(&folder.path().join("absent")).unwrap());
        make("00000000000000000010.pack");
        make("00000000000000000010.root");
        assert!(!is_unfinished(folder.path()).unwrap());
        make("00000000000000000020.pack");
        make("notes.txt");
        assert!(is_unfinished(folder.path()).unwrap());
    }
}
