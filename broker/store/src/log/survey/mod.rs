//! The log as it stands in its files, read from its first frame to its last. Nothing is written.

mod open;
mod read;

use super::LogPosition;
use super::error::LogError;
use super::frame::Frame;
use super::meta::Meta;
use crate::io::LogIo;
use crate::survey::Findings;
pub(super) use read::Frames;
use read::Reading;
use sluice_core::command::{COMMAND_HEADER_BYTES, Command};
use sluice_core::ids::{LogIndex, PhysicalOffset, Term, TimeMs};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The log.
#[derive(Debug)]
pub struct LogSurvey {
    /// What the newest valid meta file says.
    pub meta: Option<Meta>,
    /// The segments that are kept, in order.
    pub segments: Vec<SegmentSurvey>,
    /// Where it begins.
    pub first: LogPosition,
    /// Where it ends: behind the last frame that can be read.
    pub end: LogPosition,
    /// Up to here it was synced for sure.
    pub durable: PhysicalOffset,
    /// Whether every frame from the first to the end can be read.
    pub is_whole: bool,
}

/// Whether a segment is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentState {
    /// Another one follows.
    Sealed,
    /// It is the last one.
    Active,
}

/// A segment.
#[derive(Clone, Debug)]
pub struct SegmentSurvey {
    /// Its file.
    pub file: PathBuf,
    /// The file's length.
    pub file_bytes: u64,
    /// Whether it is written to.
    pub state: SegmentState,
    /// Where its first frame begins.
    pub base: PhysicalOffset,
    /// Where its last frame ends.
    pub end: PhysicalOffset,
    /// The index of its first frame.
    pub first_index: LogIndex,
    /// Frames in it that can be read.
    pub frames: u64,
    /// Commands in these, by the number of their kind.
    pub commands: BTreeMap<u8, u64>,
    /// The terms of its first and last frame.
    pub terms: Option<(Term, Term)>,
    /// The times of its first and last command.
    pub times: Option<(TimeMs, TimeMs)>,
}

/// Is called with each frame in order, and whether a segment starts with it; with `None` where there is one that cannot be
/// read.
pub(crate) type Visit<'a> = dyn FnMut(Option<(&Frame, bool)>, &mut Findings) + 'a;

/// Reads the log in the folder of a broker.
pub(crate) fn survey(
    io: &dyn LogIo,
    dir: &Path,
    findings: &mut Findings,
    visit: &mut Visit<'_>,
) -> Result<LogSurvey, LogError> {
    let meta = open::read_meta(io, dir, findings)?;
    let log_dir = dir.join("log");
    let (segments, durable) = open::open_segments(io, &log_dir, meta.as_ref(), findings)?;
    let base = segments.first().map(|first| first.header);
    let first = base.map_or_else(LogPosition::default, |header| LogPosition {
        physical: header.base,
        index: header.base_index,
        term: Term(0),
    });
    let mut reading = Reading::new(first, durable, findings, visit);
    let mut surveyed = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        surveyed.push(reading.segment(io, segment, segments.get(at + 1).map(Arc::as_ref))?);
    }
    Ok(LogSurvey {
        meta,
        segments: surveyed,
        first,
        end: reading.end(),
        durable,
        is_whole: reading.is_whole(),
    })
}

impl SegmentSurvey {
    fn count(&mut self, frame: &Frame) {
        let term = frame.header().term;
        self.frames += 1;
        self.end = frame.end();
        self.terms = Some((self.terms.map_or(term, |(first, _)| first), term));
        for (_, _, bytes) in frame.commands() {
            let kind = bytes.get(COMMAND_HEADER_BYTES).copied().unwrap_or(0);
            *self.commands.entry(kind).or_default() += 1;
            if let Ok((time, _)) = Command::decode(&bytes) {
                self.times = Some((self.times.map_or(time, |(first, _)| first), time));
            }
        }
    }
}
