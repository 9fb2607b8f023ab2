//! Whether all is there that is known to have been: every segment, and of each as much as was durable.
//!
//! Known are: where each segment began that a later one follows, for it was durable up to there before that one was
//! born; the newest segment, which meta notes, and that one followed where the one before it has a sparse index; what was purged, which
//! meta notes too; the durable slot; and where the newest checkpoint stands. What a segment holds is not looked at here: behind the checkpoint replay does that, and
//! before it whoever reads a frame.

use super::error::LogError;
use super::frame::ALIGN;
use super::meta::Meta;
use super::segment::{self, DurableSlot, PAGE_BYTES, Segment};
use super::sparse_file;
use crate::io::LogIo;
use sluice_core::ids::{LogIndex, PhysicalOffset, Term};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const ANOTHER_FOLLOWED: &str = "the segment behind it is missing: it has a sparse index, which it got when the log went on in another one";

/// Checks the segments that are kept, which are not empty, in the order of their bases. Changes nothing.
pub(super) fn check(
    io: &dyn LogIo,
    log_dir: &Path,
    meta: &Meta,
    segments: &[Arc<Segment>],
    durable: DurableSlot,
) -> Result<(), LogError> {
    let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
        return Ok(());
    };
    check_first(log_dir, meta, first)?;
    for pair in segments.windows(2) {
        if let [before, after] = pair {
            check_neighbours(before, after)?;
        }
    }
    if last.base() < meta.newest_segment {
        let reason = format!(
            "the segment is missing: the log went on in it, but now ends in that at offset {}",
            last.base()
        );
        return Err(missing(log_dir, meta.newest_segment, reason));
    }
    if sparse_file::says_another_followed(io, last) {
        return Err(LogError::Corruption {
            file: last.path.clone(),
            offset: 0,
            reason: ANOTHER_FOLLOWED.to_owned(),
        });
    }
    check_reaches(last, durable.offset, "the log was durable up to")
}

/// Checks that the log reaches up to where a checkpoint stands: it was durable up to there.
pub(super) fn check_checkpoint(segments: &[Arc<Segment>], at: PhysicalOffset) -> Result<(), LogError> {
    segments
        .last()
        .map_or(Ok(()), |last| check_reaches(last, at, "a checkpoint stands at"))
}

/// Whether segments are missing before the first one there is, which begins there, of a log that is kept from an index on.
pub(super) fn lacks_first(base: PhysicalOffset, index: LogIndex, kept_from: u64) -> bool {
    // An empty log that goes on at a later index does so in the segment at offset 0.
    base != PhysicalOffset(0) && index.0 > kept_from
}

/// Whether a log of this meta had a segment at least.
pub(super) fn was_used(meta: &Meta) -> bool {
    meta.term != Term(0) || meta.vote.is_some() || meta.purged.is_some()
}

fn check_first(log_dir: &Path, meta: &Meta, first: &Segment) -> Result<(), LogError> {
    let kept_from = meta.purged.map_or(0, |purged| purged.index.0 + 1);
    if !lacks_first(first.base(), first.header.base_index, kept_from) {
        return Ok(());
    }
    let reason = format!(
        "the frames from index {kept_from} on are missing: the first segment there is, {}, begins with index {}",
        first.path.display(),
        first.header.base_index
    );
    if kept_from == 0 {
        return Err(missing(log_dir, PhysicalOffset(0), reason));
    }
    // Where the missing segment began nobody knows, but that it ended here.
    Err(LogError::Corruption {
        file: log_dir.join(segment::file_name(first.base())),
        offset: 0,
        reason: format!("the segment before it is missing, and so {reason}"),
    })
}

/// Checks that a segment follows the one before it, and that this one is as long as it was when it was sealed.
fn check_neighbours(before: &Segment, after: &Segment) -> Result<(), LogError> {
    let fits = after.base() <= before.limit() && after.header.base_index >= before.header.base_index;
    if !fits {
        let reason = format!(
            "a segment is missing between offset {} and {}",
            before.base(),
            after.base()
        );
        return Err(LogError::Corruption {
            file: after.path.clone(),
            offset: 0,
            reason,
        });
    }
    check_reaches(before, after.base(), "the next segment begins at")
}

/// Checks that a segment's file is long enough to hold everything below `end`; `because` says how that is known.
fn check_reaches(segment: &Segment, end: PhysicalOffset, because: &str) -> Result<(), LogError> {
    let Some(wanted) = end.0.checked_sub(segment.base().0) else {
        return Ok(());
    };
    let len = segment
        .file
        .len()
        .map_err(LogError::io("measure", &segment.path))?;
    let missing = (PAGE_BYTES + wanted).saturating_sub(len);
    if missing == 0 {
        return Ok(());
    }
    let mut reason = format!("the file ends there, and {missing} bytes are missing: {because} offset {end}");
    if missing < ALIGN as u64 {
        // Then every frame may be whole, and a repair has nothing to replace.
        let (len, path) = (len + missing, segment.path.display());
        reason.push_str(&format!(
            "; so few may be the zeros behind its last frame: `truncate -s {len} {path}` puts zeros there, and the next start tells if it was more"
        ));
    }
    Err(LogError::Corruption {
        file: segment.path.clone(),
        offset: len,
        reason,
    })
}

fn missing(log_dir: &Path, base: PhysicalOffset, reason: String) -> LogError {
    let file: PathBuf = log_dir.join(segment::file_name(base));
    LogError::Corruption {
        file,
        offset: 0,
        reason,
    }
}
