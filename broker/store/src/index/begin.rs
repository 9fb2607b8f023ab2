//! Where an index begins that nothing could make again from the log's start on.
//!
//! The start that found it so has begun it anew, empty, at the checkpoint that it went on from, as if the log began there. A file
//! without content says so by its name, for no checkpoint at the log's start does:
//!
//! ```text
//! index/<12-digit run>-<20-digit offset>-<13-digit time>.begin      the first run, where the checkpoint stands, and its time in ms
//! ```
//! What checkpoints before that place say of the index is about runs that are gone. The one there is right but for its open run,
//! which has ended. Once the log begins there or later, the file means nothing any more.

use super::files::Files;
use super::{IndexError, IndexPosition, IndexStore};
use crate::io::LogIo;
use sluice_core::ids::{PhysicalOffset, TimeMs};
use std::path::Path;
use std::sync::Arc;

pub(super) const SUFFIX: &str = ".begin";

/// The beginning of an index that was begun anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begin {
    /// The place in the log.
    pub(crate) physical: PhysicalOffset,
    /// The run that begins there.
    pub(crate) run: u64,
    /// What was put before stands before it; `None` in a name of an earlier build.
    pub(crate) time: Option<TimeMs>,
}

/// Where the index in this folder begins, unless it is where the log does.
pub(crate) fn begin(io: &Arc<dyn LogIo>, dir: &Path) -> Result<Option<Begin>, IndexError> {
    let names = Files::new(Arc::clone(io), dir).list()?;
    Ok(names
        .iter()
        .filter_map(|name| parse(name))
        .max_by_key(|begin| begin.physical))
}

impl IndexStore {
    /// An empty index that begins at a checkpoint, which has the index at `position`, stands at `physical` and has come to `time`.
    pub(crate) fn begin_anew(
        io: Arc<dyn LogIo>,
        dir: &Path,
        position: &IndexPosition,
        (physical, time): (PhysicalOffset, TimeMs),
        run_items: u32,
    ) -> Result<Self, IndexError> {
        io.create_dir(dir)
            .map_err(|source| IndexError::io("create", dir, source))?;
        let at = position.at_segment_start();
        let files = Files::new(Arc::clone(&io), dir);
        // First of all, durably: what is left would be taken for what replay comes to.
        files.remove_all()?;
        files.sync_names()?;
        let path = dir.join(format!("{:012}-{:020}-{time:013}{SUFFIX}", at.run, physical.0));
        io.create(&path)
            .map_err(|source| IndexError::io("create", &path, source))?;
        files.sync_names()?;
        Self::restore_from(io, dir, &at, Some(at.run), run_items)
    }
}

fn parse(name: &Path) -> Option<Begin> {
    let mut parts = name.to_str()?.strip_suffix(SUFFIX)?.split('-');
    let (run, physical, time) = (parts.next()?, parts.next()?, parts.next());
    Some(Begin {
        physical: PhysicalOffset(physical.parse().ok()?),
        run: run.parse().ok()?,
        time: time.map(str::parse).transpose().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_its_files_name_with_a_time_or_without() {
        let begin = |time| Begin {
            physical: PhysicalOffset(4711),
            run: 3,
            time,
        };
        for (name, parsed) in [
            (
                "000000000003-00000000000000004711-1700000000000.begin",
                Some(begin(Some(1_700_000_000_000))),
            ),
            ("000000000003-00000000000000004711.begin", Some(begin(None))),
            ("000000000003-00000000000000004711-x.begin", None),
            ("000000000003.begin", None),
            ("000000000003-00000000000000004711.run", None),
        ] {
            assert_eq!(parse(Path::new(name)), parsed, "{name}");
        }
    }
}
