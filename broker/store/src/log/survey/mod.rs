//! The log as it stands in its files, read from its first frame to its last. Nothing is written.

mod damage;
mod frames;
mod open;
mod page;
mod read;
mod told;

pub use damage::{LogDamage, Lost, Repaired};

use super::LogPosition;
use super::error::LogError;
use super::frame::Frame;
use super::meta::Meta;
use super::present;
use crate::io::LogIo;
use crate::survey::Findings;
pub(super) use frames::Frames;
use read::Reading;
use sluice_core::command::{COMMAND_HEADER_BYTES, Command};
use sluice_core::ids::{LogIndex, PhysicalOffset, Term, TimeMs};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
pub(crate) use told::purged_before;

/// The log.
#[derive(Debug)]
pub struct LogSurvey {
    /// What the newest valid meta file says; where none is valid what it must have said, without names and term. `None` if nothing
    /// tells it.
    pub meta: Option<Meta>,
    /// Whether there is no valid meta file.
    pub meta_is_lost: bool,
    /// The segments that are kept, in order.
    pub segments: Vec<SegmentSurvey>,
    /// Where it begins.
    pub first: LogPosition,
    /// Where it began, if that is before; what stood there is gone, and nothing tells its indexes.
    pub began: Option<PhysicalOffset>,
    /// Where it ends: behind the last frame that can be read.
    pub end: LogPosition,
    /// Up to here it was synced for sure.
    pub durable: PhysicalOffset,
    /// The generation of the durable slot that says so.
    pub generation: u64,
    /// Whether every frame from the first to the end can be read.
    pub is_whole: bool,
    /// What is damaged of it, in the order of the log, as far as a repair can tell what takes its place.
    pub damage: Vec<LogDamage>,
    /// What repairs have left.
    pub repaired: Vec<Repaired>,
    /// What stops a start before it looks for a checkpoint.
    pub refused: Option<LogRefusal>,
    /// Segments by name of which nobody can tell what their first page was: they count as missing.
    pub unreadable: Vec<PhysicalOffset>,
}

/// Why a log is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRefusal {
    /// The file.
    pub file: PathBuf,
    /// Where in it, in bytes.
    pub offset: u64,
    /// What is wrong.
    pub reason: String,
}

impl LogRefusal {
    /// Of what a check answers that a start does too.
    fn of(checked: Result<(), LogError>) -> Result<Option<Self>, LogError> {
        match checked {
            Ok(()) => Ok(None),
            Err(LogError::Corruption { file, offset, reason }) => Ok(Some(Self { file, offset, reason })),
            Err(error) => Err(error),
        }
    }
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

/// What stands next in the log.
#[derive(Clone, Copy)]
pub(crate) enum Seen<'a> {
    /// A whole frame, and whether a segment starts with it.
    Frame(&'a Frame, bool),
    /// A whole frame with commands that are not, or that were lost before.
    Partly(&'a Frame),
    /// Frames that cannot be read, where they begin.
    Gap(PhysicalOffset),
    /// What a repair has left of frames that were lost while a checkpoint behind them counts them in.
    Lost(PhysicalOffset),
}

impl Seen<'_> {
    /// Where it begins.
    pub(crate) fn at(&self) -> PhysicalOffset {
        match self {
            Self::Frame(frame, _) | Self::Partly(frame) => frame.start(),
            Self::Gap(at) | Self::Lost(at) => *at,
        }
    }
}

/// Is called with what stands in the log, in order.
pub(crate) type Visit<'a> = dyn FnMut(Seen<'_>, &mut Findings) + 'a;

/// How the log is read.
#[derive(Default)]
pub(crate) struct Ask<'a> {
    /// The log is known to have been durable up to here, besides what its segments say: a checkpoint stands there.
    pub(crate) reaches: PhysicalOffset,
    /// Ranges that count as damaged though they may be whole, each within a segment, in the order of the log.
    pub(crate) given_up: &'a [(PhysicalOffset, PhysicalOffset)],
    /// Where checkpoints stand whose roots can be read, in rising order; of a log without segments the last one is whole.
    pub(crate) stands: &'a [LogPosition],
    /// Where the log begins by what the newest of them says: what stands before is of no use any more.
    pub(crate) begins: PhysicalOffset,
}

/// Where segments begin by the names of the files in the folder of a broker, in rising order.
pub(crate) fn segment_names(io: &dyn LogIo, dir: &Path) -> Result<Vec<PhysicalOffset>, LogError> {
    let files = open::segment_files(io, &dir.join("log"))?;
    Ok(files
        .iter()
        .filter_map(|path| super::segment::parse_name(path))
        .collect())
}

/// Whether the folder of a broker has a segment or a valid meta file.
pub(crate) fn has_any(io: &dyn LogIo, dir: &Path) -> Result<bool, LogError> {
    let meta = open::read_meta(io, dir, &mut Findings::default())?;
    Ok(meta.is_some() || !segment_names(io, dir)?.is_empty())
}

/// Reads the log in the folder of a broker.
pub(crate) fn survey(
    io: &dyn LogIo,
    dir: &Path,
    ask: &Ask<'_>,
    findings: &mut Findings,
    visit: &mut Visit<'_>,
) -> Result<LogSurvey, LogError> {
    let mut meta = open::read_meta(io, dir, findings)?;
    let meta_is_lost = meta.is_none();
    let log_dir = dir.join("log");
    if meta_is_lost {
        meta = told::meta(io, dir)?;
    }
    let mut damage = Vec::new();
    let open::Pages {
        segments,
        mut known,
        unreadable,
        mut refused,
    } = open::open_segments(io, &log_dir, meta.as_ref(), findings, &mut damage)?;
    if segments.is_empty() {
        damage.extend(told::empty_log(dir, meta.as_ref(), ask, findings));
    } else if meta_is_lost {
        let what = "there are segments, but neither meta.a nor meta.b is valid";
        let file = dir.join("meta.a");
        findings.truth(&file, 0, what);
        refused = Some(LogRefusal {
            file,
            offset: 0,
            reason: what.to_owned(),
        });
    }
    if refused.is_none() {
        refused = LogRefusal::of(present::check_checkpoint(&segments, ask.reaches))?;
    }
    if refused.is_none() && segments.is_empty() && !findings.is_sound() {
        refused = Some(LogRefusal {
            file: log_dir.clone(),
            offset: 0,
            reason: told::NO_SEGMENT.to_owned(),
        });
    }
    let slot = known.durable;
    known.durable = slot.max(ask.reaches);
    let (first, began) = told::first(&mut meta, meta_is_lost, segments.first().map(Arc::as_ref), ask);
    let mut reading = Reading::new(first, known, ask, damage, findings, visit);
    let mut surveyed = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        surveyed.push(reading.segment(io, segment, segments.get(at + 1).map(Arc::as_ref))?);
    }
    reading.check_end(&log_dir, meta.as_ref(), segments.last().map(Arc::as_ref));
    Ok(LogSurvey {
        meta,
        meta_is_lost,
        unreadable,
        refused,
        segments: surveyed,
        first,
        began,
        end: reading.end(),
        durable: slot,
        generation: known.generation,
        is_whole: reading.is_whole(),
        repaired: reading.take_repaired(),
        damage: reading.into_damage(),
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
