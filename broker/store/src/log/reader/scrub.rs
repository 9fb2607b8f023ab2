//! Reading sealed segments again, whether or not anybody wants them.

use super::LogReader;
use crate::io::{LogFile, read_exact_aside};
use crate::log::LogPosition;
use crate::log::scan::{Found, Scanner};
use crate::log::segment::{PAGE_BYTES, Segment, decode_page};
use crate::log::survey::Frames;
use sluice_core::ids::{LogIndex, PhysicalOffset};
use std::io;
use std::path::PathBuf;

/// Read at a time.
const PIECE: usize = 256 << 10;
/// What is passed over where the disk fails to read.
const FAILING: u64 = 1 << 20;

/// A part of a sealed segment that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadStretch {
    /// The segment's file.
    pub file: PathBuf,
    /// Where in the file.
    pub offset: u64,
    /// Records that begin from here on,
    pub from: PhysicalOffset,
    /// and before this, may be damaged.
    pub to: PhysicalOffset,
    /// What is wrong.
    pub reason: String,
    /// Whether only the file's name is gone: who has it open reads it as before.
    pub is_gone: bool,
}

/// The header of a command that is not what was written, and can be told from the rest of its frame: who reads it gets it as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadHeader {
    /// The segment's file.
    pub file: PathBuf,
    /// Where in the file.
    pub offset: u64,
}

/// How far a part of a segment was read.
#[derive(Debug, Default)]
pub struct Scrubbed {
    /// Bytes read.
    pub bytes: u64,
    /// What is wrong.
    pub bad: Vec<BadStretch>,
    /// What is wrong and costs nothing.
    pub headers: Vec<BadHeader>,
    /// Where to go on; `None` at the segment's end.
    pub next: Option<PhysicalOffset>,
}

impl LogReader {
    /// Where sealed segments begin.
    pub fn sealed_segments(&self) -> Vec<PhysicalOffset> {
        let segments = self.shared.segments.read();
        let sealed = segments.iter().filter(|segment| segment.sealed_end().is_some());
        sealed.map(|segment| segment.base()).collect()
    }

    /// Reads the sealed segment that holds `from`, where a frame begins, from there on: about so many bytes, past maps and
    /// the system's cache as far as that has nothing of it. `None` if it is not there any more, or not sealed. Blocks on the
    /// disk.
    pub fn scrub(&self, from: PhysicalOffset, bytes: u64) -> io::Result<Option<Scrubbed>> {
        let segment = self.shared.segment_of(from);
        let Some((segment, end)) = segment.and_then(|segment| {
            let end = segment.sealed_end()?;
            (from < end).then_some((segment, end))
        }) else {
            return Ok(None);
        };
        let file = match self.shared.io.open_read(&segment.path) {
            // Retention was here since.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && self.shared.segment_of(from).is_none() =>
            {
                return Ok(None);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Some(Scrubbed {
                    bad: vec![gone(&segment, end)],
                    ..Scrubbed::default()
                }));
            }
            file => file?,
        };
        let mut done = Scrubbed::default();
        if from == segment.base() {
            done.bytes += PAGE_BYTES;
            done.bad.extend(bad_page(&segment, &*file));
        }
        let frames = Frames {
            segment: &segment,
            seed: self.shared.seed,
            max: self.shared.limits.frame_bytes(),
        };
        let scanner = |at| Scanner::new(&segment, frames.seed, frames.max, at, PIECE).aside(&*file);
        let mut scanning = scanner(from);
        // What follows a frame that cannot be read has a higher index than the last one that could.
        let mut before = LogPosition {
            index: LogIndex(segment.header.base_index.0.saturating_sub(1)),
            ..LogPosition::default()
        };
        let next = |bad, before| {
            let found = frames.after(bad, before).ok().flatten();
            found.map_or(end, |found| found.physical.min(end))
        };
        while scanning.at() < end && scanning.at().0 - from.0 < bytes {
            let at = scanning.at();
            let (reason, to) = match scanning.next() {
                Ok(Found::Frame(frame)) => {
                    (before.index, before.term) = (frame.index(), frame.header().term);
                    let file = || segment.path.clone();
                    let header = |offset| BadHeader { file: file(), offset };
                    done.headers.extend(segment.mended_at(&frame).map(header));
                    match frame.check_commands() {
                        Ok(()) => continue,
                        Err(error) => (error.to_string(), frame.end()),
                    }
                }
                Ok(Found::Bad(error)) => (error.to_string(), next(at, before)),
                // Whoever looks for the next frame must not read there again.
                Err(error) => (error.to_string(), next(PhysicalOffset(at.0 + FAILING), before)),
            };
            done.bad.push(BadStretch {
                file: segment.path.clone(),
                offset: segment.file_offset(at),
                from: at,
                to,
                reason,
                is_gone: false,
            });
            scanning = scanner(to);
        }
        done.bytes += scanning.at().0 - from.0;
        done.next = (scanning.at() < end).then_some(scanning.at());
        Ok(Some(done))
    }
}

/// What is wrong with a segment's page 0.
fn bad_page(segment: &Segment, file: &dyn LogFile) -> Option<BadStretch> {
    let mut page = vec![0; PAGE_BYTES as usize];
    let reason = match read_exact_aside(file, &mut page, 0) {
        Err(error) => error.to_string(),
        Ok(()) => match decode_page(&page) {
            Ok((header, _)) if header == segment.header => return None,
            Ok(_) => "it is another segment's header".to_owned(),
            Err(error) => error.to_string(),
        },
    };
    let base = segment.base();
    Some(BadStretch {
        file: segment.path.clone(),
        offset: 0,
        from: base,
        to: base,
        reason,
        is_gone: false,
    })
}

/// A whole segment whose file somebody has taken away.
fn gone(segment: &Segment, end: PhysicalOffset) -> BadStretch {
    BadStretch {
        file: segment.path.clone(),
        offset: 0,
        from: segment.base(),
        to: end,
        reason: "somebody has removed it, or given it another name".to_owned(),
        is_gone: true,
    }
}
