//! What meta must have said, and where the log must have begun, told from what stands around it.

use super::super::LogId;
use super::super::error::LogError;
use super::super::meta::{Identity, Meta};
use super::super::segment::{self, Segment};
use super::super::{LogPosition, present, sparse_file};
use super::open::{first_header, segment_files};
use super::{Ask, LogDamage, Lost};
use crate::io::LogIo;
use crate::survey::Findings;
use sluice_core::ids::{LogIndex, PhysicalOffset, Term};
use std::path::Path;

pub(super) const NO_SEGMENT: &str = "the log was in use, but no segment is there";

/// What lost meta files must have said, as far as segments tell it: nothing of names, terms and what was purged. `None` if no segment
/// has a whole first page.
pub(super) fn meta(io: &dyn LogIo, dir: &Path) -> Result<Option<Meta>, LogError> {
    let files = segment_files(io, &dir.join("log"))?;
    let Some(header) = first_header(io, &files)? else {
        return Ok(None);
    };
    let identity = Identity {
        cluster: String::new(),
        shard: String::new(),
        node: 0,
        uuid: header.uuid,
        segment_bytes: header.segment_bytes,
    };
    // Whatever a name says was a segment: a crash may have kept the last one from being born, and nobody knows.
    let newest = files.last().and_then(|path| segment::parse_name(path));
    Ok(Some(Meta {
        identity,
        term: Term(0),
        vote: None,
        purged: None,
        newest_segment: newest.unwrap_or_default(),
    }))
}

/// Where the log begins: at its first segment, or where those that are missing before it must have begun. Where meta was lost, what
/// is purged is put into it. Where the index is not known with which it began, it is to begin later: answers then where it did.
pub(super) fn first(
    meta: &mut Option<Meta>,
    meta_is_lost: bool,
    first: Option<&Segment>,
    ask: &Ask<'_>,
) -> (LogPosition, Option<PhysicalOffset>) {
    let (Some(meta), Some(segment)) = (meta, first) else {
        return (LogPosition::default(), None);
    };
    let header = segment.header;
    let purged = meta.purged;
    let here = LogPosition {
        physical: header.base,
        index: header.base_index,
        term: purged
            .filter(|purged| purged.index.0 + 1 == header.base_index.0)
            .map_or(Term(0), |purged| purged.term),
    };
    if meta_is_lost {
        let begins = first_without_meta(here, ask);
        meta.purged = purged_before(begins);
        return (begins, Some(ask.begins).filter(|began| *began < begins.physical));
    }
    (first_by_meta(meta, here, ask), None)
}

/// Puts a segment into meta that is known to have followed the last one there is, where meta does not note it: it began where the log
/// ends now, if the last one can be read to its end.
pub(super) fn newest(io: &dyn LogIo, meta: &mut Option<Meta>, last: Option<&Segment>, end: LogPosition) {
    let (Some(meta), Some(last)) = (meta, last) else {
        return;
    };
    if last.base() >= meta.newest_segment && sparse_file::says_another_followed(io, last) {
        meta.newest_segment = end.physical;
    }
}

/// Where a log begins of which the first segment that is there begins `here`, as far as checkpoints say.
fn first_without_meta(here: LogPosition, ask: &Ask<'_>) -> LogPosition {
    let stand = |at: PhysicalOffset| ask.stands.iter().find(|stand| stand.physical == at).copied();
    if here.physical <= ask.begins {
        return stand(here.physical).unwrap_or(here);
    }
    if ask.begins.0 == 0 {
        return LogPosition::default();
    }
    // The checkpoint at the log's start is always kept. Is it lost, the next one is the first place of which the index is known.
    let mut behind = ask.stands.iter().filter(|at| at.physical > ask.begins);
    let next = || behind.find(|at| at.physical <= here.physical).copied();
    stand(ask.begins).or_else(next).unwrap_or(here)
}

fn first_by_meta(meta: &Meta, here: LogPosition, ask: &Ask<'_>) -> LogPosition {
    let purged = meta.purged;
    let kept_from = purged.map_or(0, |purged| purged.index.0 + 1);
    if !present::lacks_first(here.physical, here.index, kept_from) {
        return here;
    }
    if kept_from == 0 {
        return LogPosition::default();
    }
    let known = ask.stands.iter().find(|at| at.index.0 == kept_from);
    let known = known.map(|at| at.physical).unwrap_or(ask.begins);
    if known.0 == 0 || known >= here.physical {
        return here;
    }
    LogPosition {
        physical: known,
        index: LogIndex(kept_from),
        term: purged.map_or(Term(0), |purged| purged.term),
    }
}

/// What is purged of a log that begins there.
pub(crate) fn purged_before(first: LogPosition) -> Option<LogId> {
    let index = first.index.0.checked_sub(1)?;
    Some(LogId {
        term: first.term,
        index: LogIndex(index),
    })
}

/// A log without any segment that is known to have had some: it can go on where the newest whole checkpoint stands, without all that
/// it held.
pub(super) fn empty_log(
    dir: &Path,
    meta: Option<&Meta>,
    ask: &Ask<'_>,
    findings: &mut Findings,
) -> Option<LogDamage> {
    let log_dir = dir.join("log");
    let was_used = meta.is_some_and(present::was_used) || ask.reaches.0 > 0;
    if !was_used {
        findings.note(&log_dir, "there is no segment");
        return None;
    }
    findings.truth(&log_dir, 0, NO_SEGMENT);
    let at = *ask.stands.last()?;
    Some(LogDamage {
        file: log_dir,
        file_offset: 0,
        from: at.physical,
        to: None,
        what: NO_SEGMENT.to_owned(),
        lost: Lost::Frames { at, count: 0 },
    })
}
