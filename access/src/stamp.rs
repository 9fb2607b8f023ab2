//! What tells one state of a file from the next, for files that are read again when they change.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How often such files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A file's state, or that there is none. Size and number are in it because two changes can come within one tick of the
/// file system's clock; the time of its attributes' change, because a file that could not be read may be given other rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp(Option<(SystemTime, (i64, i64), u64, u64)>);

impl Stamp {
    /// The state that the file is in now.
    pub fn of(path: &Path) -> Self {
        let stamp = || {
            let metadata = std::fs::metadata(path).ok()?;
            let attributes = (metadata.ctime(), metadata.ctime_nsec());
            Some((
                metadata.modified().ok()?,
                attributes,
                metadata.len(),
                metadata.ino(),
            ))
        };
        Self(stamp())
    }
}

/// Looks at files until the end of the process; `look` may block.
pub async fn look_again<T: Send + 'static>(mut files: T, what: &'static str, look: fn(T) -> T) {
    let mut time = tokio::time::interval(LOOK_EVERY);
    loop {
        time.tick().await;
        match tokio::task::spawn_blocking(move || look(files)).await {
            Ok(same) => files = same,
            // The process ends, for another reason.
            Err(error) if error.is_cancelled() => return,
            Err(error) => {
                tracing::error!(%error, "{what} are no longer read again");
                return;
            }
        }
    }
}
