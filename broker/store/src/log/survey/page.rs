//! The first page of a segment, told from what stands around it where it cannot be read.

use super::super::error::LogError;
use super::super::frame::{FRAME_HEADER_BYTES, Frame, FrameHeader};
use super::super::meta::Meta;
use super::super::options::SegmentLimits;
use super::super::scan::{Found, Scanner};
use super::super::segment::{self, PAGE_BYTES, Segment, SegmentHeader};
use super::{LogDamage, Lost};
use crate::io::{FileHandle, LogIo, read_exact_at};
use bytes::Bytes;
use sluice_core::ids::{LogIndex, PhysicalOffset};
use std::path::Path;

const PIECE: usize = 1 << 20;

/// The segment at `path` with the header that it must have had: meta knows the shard, the name the offset, and its first frame or
/// the last one of the segment `before` the index. `None` if that cannot be told.
pub(super) fn rebuilt(
    io: &dyn LogIo,
    meta: Option<&Meta>,
    path: &Path,
    before: Option<&Segment>,
    is_last: bool,
) -> Result<Option<Segment>, LogError> {
    let (Some(meta), Some(base)) = (meta, segment::parse_name(path)) else {
        return Ok(None);
    };
    let Some(limits) = SegmentLimits::of(meta.identity.segment_bytes) else {
        return Ok(None);
    };
    let file = io.open_read(path).map_err(LogError::io("open", path))?;
    let len = file.len().map_err(LogError::io("measure", path))?;
    let mut header = SegmentHeader {
        uuid: meta.identity.uuid,
        segment_bytes: meta.identity.segment_bytes,
        base,
        base_index: LogIndex(0),
    };
    let max = limits.frame_bytes();
    let first = first_index(&file, len, &header, max).map_err(LogError::io("read", path))?;
    let index = match (first, before) {
        (Some(index), _) => Some(index),
        // Its slots said how far the log was durable: nobody knows what was in it.
        (None, _) if is_last => None,
        (None, Some(before)) => {
            index_behind(before, base, max).map_err(LogError::io("read", &before.path))?
        }
        (None, None) => (base == PhysicalOffset(0) && meta.purged.is_none()).then_some(LogIndex(0)),
    };
    let Some(index) = index else { return Ok(None) };
    header.base_index = index;
    let zeroed = PhysicalOffset(base.0 + len.saturating_sub(PAGE_BYTES));
    Ok(Some(Segment::new(header, path.to_owned(), file, zeroed)))
}

/// What is to be said of it.
pub(super) fn damage(segment: &Segment, what: String) -> LogDamage {
    LogDamage {
        file: segment.path.clone(),
        file_offset: 0,
        from: segment.base(),
        to: Some(segment.base()),
        what,
        lost: Lost::Page {
            base_index: segment.header.base_index,
            unknown_behind: None,
        },
    }
}

fn first_index(
    file: &FileHandle,
    len: u64,
    header: &SegmentHeader,
    max: usize,
) -> std::io::Result<Option<LogIndex>> {
    let room = len.saturating_sub(PAGE_BYTES).min(max as u64) as usize;
    if room < FRAME_HEADER_BYTES {
        return Ok(None);
    }
    let mut bytes = vec![0; room];
    read_exact_at(file.as_ref(), &mut bytes, PAGE_BYTES)?;
    let belongs = FrameHeader::parse(&bytes, max).is_ok_and(|frame| frame.physical == header.base);
    let frame = belongs.then(|| Frame::check_or_mend(&Bytes::from(bytes), header.uuid.into(), max));
    Ok(frame.and_then(Result::ok).map(|frame| frame.index()))
}

/// The index behind the last frame of a segment, if that one ends at `end`.
fn index_behind(segment: &Segment, end: PhysicalOffset, max: usize) -> std::io::Result<Option<LogIndex>> {
    let mut scanner = Scanner::new(segment, segment.header.uuid.into(), max, segment.base(), PIECE);
    let mut index = segment.header.base_index;
    while scanner.at() < end {
        match scanner.next()? {
            Found::Frame(frame) => index = frame.header().next_index(),
            Found::Bad(_) => return Ok(None),
        }
    }
    Ok((scanner.at() == end).then_some(index))
}
