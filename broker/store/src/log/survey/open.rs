//! Which segments there are, from meta and the segments' first pages.

use super::super::cut;
use super::super::error::LogError;
use super::super::files::of_another_name;
use super::super::meta::{self, Meta};
use super::super::present;
use super::super::segment::{self, DurableSlot, PAGE_BYTES, Segment, SegmentHeader};
use super::damage::with_the_disk;
use super::{LogDamage, LogRefusal, page};
use crate::io::{LogIo, read_exact_at};
use crate::survey::Findings;
use sluice_core::ids::{PhysicalOffset, Term};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the newest valid meta file says.
pub(super) fn read_meta(
    io: &dyn LogIo,
    dir: &Path,
    findings: &mut Findings,
) -> Result<Option<Meta>, LogError> {
    let read = meta::read_all(io, dir)?;
    for (path, what) in read.damage {
        findings.truth(&path, 0, what);
    }
    Ok(read.meta)
}

/// Up to where the log is known to have been durable.
#[derive(Clone, Copy, Default)]
pub(super) struct Known {
    /// What the newest durable slot says.
    pub(super) durable: PhysicalOffset,
    /// The last segment's slots are lost: it may have been durable further.
    pub(super) slot_is_lost: bool,
    /// The generation of the newest slot.
    pub(super) generation: u64,
}

/// What there is of segments.
#[derive(Default)]
pub(super) struct Pages {
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) known: Known,
    /// See [`super::LogSurvey::unreadable`].
    pub(super) unreadable: Vec<PhysicalOffset>,
    /// See [`super::LogSurvey::refused`].
    pub(super) refused: Option<LogRefusal>,
}

/// The files that are segments by name, by rising base.
pub(super) fn segment_files(io: &dyn LogIo, log_dir: &Path) -> Result<Vec<PathBuf>, LogError> {
    let names = match io.list(log_dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        names => names.map_err(LogError::io("list", log_dir))?,
    };
    let paths = names.into_iter().map(|name| log_dir.join(name));
    Ok(paths.filter(|path| segment::parse_name(path).is_some()).collect())
}

/// The segments whose first page can be read, or can be told from what stands around it; those below the purge marker left out.
pub(super) fn open_segments(
    io: &dyn LogIo,
    log_dir: &Path,
    meta: Option<&Meta>,
    findings: &mut Findings,
    damage: &mut Vec<LogDamage>,
) -> Result<Pages, LogError> {
    let Pages {
        mut segments,
        mut known,
        mut unreadable,
        mut refused,
    } = Pages::default();
    let mut durable: Option<DurableSlot> = None;
    let files = segment_files(io, log_dir)?;
    for (at, path) in files.iter().enumerate() {
        let uuid = meta.map(|meta| meta.identity.uuid);
        let page = open_segment(io, path, findings)?;
        match page {
            Ok((segment, _)) if uuid.is_some_and(|uuid| uuid != segment.header.uuid) => {
                findings.truth(path, 16, format!("it belongs to shard {}", segment.header.uuid));
            }
            Ok((segment, slot)) => {
                if durable.is_none_or(|before| slot.generation > before.generation) {
                    durable = Some(slot);
                }
                known.slot_is_lost = false;
                segments.push(Arc::new(segment));
            }
            Err(_) if at + 1 == files.len() && is_unborn(io, meta, path)? => {
                findings.note(
                    path,
                    "a crash has kept this segment from being born; the next start removes it",
                );
            }
            Err(reason) => {
                findings.truth(path, 0, reason.as_str());
                refused.get_or_insert_with(|| LogRefusal {
                    file: path.clone(),
                    offset: 0,
                    reason: reason.clone(),
                });
                let before = segments.last().map(Arc::as_ref);
                if let Some(segment) = page::rebuilt(io, meta, path, before, at + 1 == files.len())? {
                    damage.push(page::damage(&segment, reason));
                    known.slot_is_lost = true;
                    segments.push(Arc::new(segment));
                } else {
                    unreadable.extend(segment::parse_name(path));
                }
            }
        }
    }
    let pages = |segments, known, refused| Pages {
        segments,
        known,
        unreadable,
        refused,
    };
    let (Some(durable), Some(meta)) = (durable, meta) else {
        return Ok(pages(segments, known, refused));
    };
    (known.durable, known.generation) = (durable.offset, durable.generation);
    let purged = meta.purged.map_or(0, |purged| purged.index.0 + 1);
    let keep = segments.partition_point(|segment| segment.header.base_index.0 <= purged);
    segments.drain(..keep.saturating_sub(1));
    if let Some(lacks) = LogRefusal::of(present::check(io, log_dir, meta, &segments, durable))? {
        findings.truth(&lacks.file, lacks.offset, lacks.reason.as_str());
        refused.get_or_insert(lacks);
    }
    Ok(pages(segments, known, refused))
}

/// The inner error says why the first page is not one.
type Opened = Result<(Segment, DurableSlot), String>;

/// The header of the first of these files whose first page is whole.
pub(super) fn first_header(io: &dyn LogIo, files: &[PathBuf]) -> Result<Option<SegmentHeader>, LogError> {
    for path in files {
        if let Ok((segment, _)) = open_segment(io, path, &mut Findings::default())? {
            return Ok(Some(segment.header));
        }
    }
    Ok(None)
}

fn open_segment(io: &dyn LogIo, path: &Path, findings: &mut Findings) -> Result<Opened, LogError> {
    let file = io.open_read(path).map_err(LogError::io("open", path))?;
    let len = file.len().map_err(LogError::io("measure", path))?;
    let mut page = vec![0; PAGE_BYTES.min(len) as usize];
    read_exact_at(file.as_ref(), &mut page, 0).map_err(LogError::io("read", path))?;
    let (header, slot) = match segment::decode_page(&page) {
        Ok(page) => page,
        Err(error) => {
            let what = format!("its first page is not valid: {error}");
            return Ok(Err(with_the_disk(what, file.as_ref(), 0..PAGE_BYTES)));
        }
    };
    if Some(header.base) != segment::parse_name(path) {
        return Ok(Err(of_another_name(io, path, header.base)));
    }
    if let Some(at) = segment::stray_byte(&page, &header) {
        findings.truth(
            path,
            at as u64,
            "the first page has bytes there that are neither its header nor a durable slot",
        );
    }
    let zeroed = PhysicalOffset(header.base.0 + len.saturating_sub(PAGE_BYTES));
    Ok(Ok((Segment::new(header, path.to_owned(), file, zeroed), slot)))
}

fn is_unborn(io: &dyn LogIo, meta: Option<&Meta>, path: &Path) -> Result<bool, LogError> {
    let is_known = match (meta, segment::parse_name(path)) {
        (Some(meta), Some(base)) => base <= meta.newest_segment && (base.0 > 0 || meta.term != Term(0)),
        _ => true,
    };
    if is_known {
        return Ok(false);
    }
    let file = io.open_read(path).map_err(LogError::io("open", path))?;
    cut::is_zero_from(&file, PAGE_BYTES).map_err(LogError::io("read", path))
}
