//! The frames of the segments, one after another, past those that cannot be read.

use super::super::error::LogError;
use super::super::frame::{FRAME_HEADER_BYTES, Frame, FrameError, FrameHeader, FrameSeed};
use super::super::meta::Meta;
use super::super::options::SegmentLimits;
use super::super::scan::{Found, Scanner};
use super::super::segment::Segment;
use super::super::sparse::SparseIndex;
use super::super::{LogPosition, cut};
use super::damage::{LogDamage, Lost, Repaired};
use super::open::Known;
use super::{Seen, SegmentState, SegmentSurvey, Visit};
use crate::io::{LogIo, read_exact_at};
use crate::survey::Findings;
use sluice_core::command;
use sluice_core::ids::PhysicalOffset;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Read at a time.
const PIECE: usize = 4 << 20;
const SPARSE_BYTES_MAX: u64 = 4 << 20;

/// Reading the frames.
pub(super) struct Reading<'a, 'v> {
    known: Known,
    end: LogPosition,
    /// Whether it is known what must follow: not behind frames that cannot be read.
    is_known: bool,
    is_whole: bool,
    /// See [`super::Ask`].
    given_up: &'a [(PhysicalOffset, PhysicalOffset)],
    stands: &'a [LogPosition],
    damage: Vec<LogDamage>,
    repaired: Vec<Repaired>,
    findings: &'a mut Findings,
    visit: &'a mut Visit<'v>,
}

impl<'a, 'v> Reading<'a, 'v> {
    pub(super) fn new(
        first: LogPosition,
        known: Known,
        ask: &super::Ask<'a>,
        damage: Vec<LogDamage>,
        findings: &'a mut Findings,
        visit: &'a mut Visit<'v>,
    ) -> Self {
        Self {
            known,
            end: first,
            is_known: true,
            is_whole: true,
            given_up: ask.given_up,
            stands: ask.stands,
            damage,
            repaired: Vec::new(),
            findings,
            visit,
        }
    }

    /// What earlier repairs have left.
    pub(super) fn take_repaired(&mut self) -> Vec<Repaired> {
        std::mem::take(&mut self.repaired)
    }

    /// What is damaged, in the order of the log.
    pub(super) fn into_damage(mut self) -> Vec<LogDamage> {
        self.damage.sort_by_key(|damage| damage.from);
        self.damage
    }

    /// Notes that the log ends where a segment is known to have gone on.
    pub(super) fn check_end(&mut self, log_dir: &Path, meta: Option<&Meta>, last: Option<&Segment>) {
        let (Some(meta), Some(last)) = (meta, last) else {
            return;
        };
        if last.base() >= meta.newest_segment {
            return;
        }
        // What is told of the end of the one before is the same loss.
        let end = self.end;
        self.damage
            .retain(|damage| damage.to.is_some() || damage.from != end.physical);
        if self.damage.iter().any(|damage| damage.to.is_none()) {
            return;
        }
        let file = log_dir.join(super::super::segment::file_name(meta.newest_segment));
        let what = "the segment is missing";
        let mut stands = self.stands.iter().rev();
        let stand = stands.find(|at| at.physical > end.physical && at.index > end.index);
        // What a checkpoint there says is kept: only what came behind it nobody knows.
        if let Some(stand) = stand {
            self.note_damage(&file, 0, end, Some(*stand), what.to_owned());
            self.end = LogPosition {
                term: end.term,
                ..*stand
            };
        }
        self.note_damage(&file, 0, self.end, None, what.to_owned());
    }

    fn note_damage(
        &mut self,
        file: &Path,
        file_offset: u64,
        at: LogPosition,
        to: Option<LogPosition>,
        what: String,
    ) {
        let count = to.map_or(0, |to| to.index.0.saturating_sub(at.index.0));
        self.damage.push(LogDamage {
            file: file.to_owned(),
            file_offset,
            from: at.physical,
            to: to.map(|to| to.physical).filter(|_| count > 0),
            what,
            lost: Lost::Frames { at, count },
        });
    }

    /// Behind the last frame that could be read.
    pub(super) fn end(&self) -> LogPosition {
        self.end
    }

    /// Whether every frame so far could be read.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Reads a segment; `next` is the one behind it.
    pub(super) fn segment(
        &mut self,
        io: &dyn LogIo,
        segment: &Arc<Segment>,
        next: Option<&Segment>,
    ) -> Result<SegmentSurvey, LogError> {
        let mut survey = SegmentSurvey {
            file: segment.path.clone(),
            file_bytes: segment
                .file
                .len()
                .map_err(LogError::io("measure", &segment.path))?,
            state: if next.is_some() {
                SegmentState::Sealed
            } else {
                SegmentState::Active
            },
            base: segment.base(),
            end: segment.base(),
            first_index: segment.header.base_index,
            frames: 0,
            commands: BTreeMap::new(),
            terms: None,
            times: None,
        };
        self.begin(segment);
        let Some(limits) = SegmentLimits::of(segment.header.segment_bytes) else {
            let what = format!(
                "segments of {} bytes are not supported",
                segment.header.segment_bytes
            );
            self.gap(&segment.path, 32, what);
            return Ok(survey);
        };
        let frames = Frames {
            segment,
            seed: segment.header.uuid.into(),
            max: limits.frame_bytes(),
        };
        let mut sparse = SparseIndex::new(segment.base(), segment.header.base_index);
        self.frames(&frames, next, &mut sparse, &mut survey)?;
        self.behind(segment, next.is_some(), survey.end)?;
        if next.is_some() {
            self.sparse(io, segment, &sparse)?;
        }
        Ok(survey)
    }

    fn begin(&mut self, segment: &Segment) {
        let (base, index) = (segment.base(), segment.header.base_index);
        if (base, index) == (self.end.physical, self.end.index) {
            return;
        }
        let here = LogPosition {
            physical: base,
            index,
            term: self.end.term,
        };
        // Behind a gap that was told already this follows from it.
        if self.is_known {
            let what = format!("it begins with index {index}, but {} is next", self.end);
            let follows = base > self.end.physical;
            self.note_damage(&segment.path, 0, self.end, follows.then_some(here), what.clone());
            self.gap(&segment.path, 0, what);
        }
        (self.end.physical, self.end.index) = (base, index);
    }

    fn frames(
        &mut self,
        frames: &Frames<'_>,
        next: Option<&Segment>,
        sparse: &mut SparseIndex,
        survey: &mut SegmentSurvey,
    ) -> Result<(), LogError> {
        let segment = frames.segment;
        let unreadable = || LogError::io("read", &segment.path);
        let mut scanner = frames.from(segment.base());
        loop {
            let at = scanner.at();
            if next.is_some_and(|next| at == next.base()) {
                return Ok(());
            }
            let given_up = self.given_up.iter().find(|(from, _)| *from == at);
            let found = match given_up {
                Some(_) => Found::Bad(FrameError::Shape("it is given up")),
                None => scanner.next().map_err(unreadable())?,
            };
            let is_last = next.is_none() && at >= self.known.durable && given_up.is_none();
            let bad = match found {
                // A start takes it for a torn write as any other, and ends the log before it.
                Found::Frame(frame)
                    if is_last && !self.known.slot_is_lost && frame.check_commands().is_err() =>
                {
                    return Ok(());
                }
                Found::Frame(frame) => {
                    if !scanner.last_padding_is_zero() {
                        let last = segment.file_offset(frame.end()) - 1;
                        self.findings
                            .truth(&segment.path, last, "the bytes between two frames are not zero");
                    }
                    sparse.note(frame.index(), frame.start());
                    self.frame(segment, &frame, survey);
                    continue;
                }
                Found::Bad(error) => error,
            };
            let before = LogPosition {
                physical: at,
                ..self.end
            };
            // Whatever whole frame stands behind was durable, if no slot says how far that was.
            let goes_on = || Ok(self.known.slot_is_lost && frames.after(at, before)?.is_some());
            if is_last && !goes_on().map_err(unreadable())? {
                return Ok(());
            }
            let what = format!("the frame that begins there: {bad}");
            self.gap(&segment.path, segment.file_offset(at), what);
            self.is_known = false;
            let search_from = given_up.map_or(at, |(_, to)| PhysicalOffset(to.0 - 8));
            let found = frames.after(search_from, before).map_err(unreadable())?;
            let next_begins = next.map(|next| LogPosition {
                physical: next.base(),
                index: next.header.base_index,
                term: before.term,
            });
            let stand = self.stand_behind(segment, before).filter(|_| next.is_none());
            let to = found.or(next_begins).or(stand);
            let place = segment.file_offset(at);
            self.note_damage(&segment.path, place, before, to, bad.to_string());
            match (found, stand) {
                (Some(found), _) => scanner = frames.from(found.physical),
                (None, Some(stand)) => return self.end_at(segment, stand),
                (None, None) => return Ok(()),
            }
        }
    }

    /// The last place in a segment of which a checkpoint says that a frame begins there, behind frames that cannot be read.
    fn stand_behind(&self, segment: &Segment, before: LogPosition) -> Option<LogPosition> {
        let stands = self.stands.iter().rev();
        let mut fits = stands.filter(|at| at.physical <= segment.limit() && at.index > before.index);
        let stand = fits.find(|at| at.physical > before.physical)?;
        Some(LogPosition {
            term: before.term,
            ..*stand
        })
    }

    /// The log goes on where a checkpoint stands, and nothing can be read there.
    fn end_at(&mut self, segment: &Segment, stand: LogPosition) -> Result<(), LogError> {
        self.end = stand;
        if self.known.durable > stand.physical || self.known.slot_is_lost {
            let place = segment.file_offset(stand.physical);
            let what = "nothing can be read there".to_owned();
            self.note_damage(&segment.path, place, stand, None, what);
        }
        Ok(())
    }

    fn gap(&mut self, file: &Path, offset: u64, what: String) {
        self.findings.truth(file, offset, what);
        self.is_whole = false;
        (self.visit)(Seen::Gap(self.end.physical), self.findings);
    }

    fn frame(&mut self, segment: &Segment, frame: &Frame, survey: &mut SegmentSurvey) {
        let header = frame.header();
        let at = segment.file_offset(header.physical);
        if self.is_known && (header.index != self.end.index || header.term < self.end.term) {
            let what = format!(
                "the frame has index {} and term {}, but {} is next",
                header.index, header.term, self.end
            );
            self.note_damage(&segment.path, at, self.end, None, what.clone());
            self.gap(&segment.path, at, what);
        }
        if !self.commands(segment, frame) {
            (self.visit)(Seen::Partly(frame), self.findings);
        } else if !header.state_is_known {
            (self.visit)(Seen::Lost(frame.start()), self.findings);
        } else {
            let starts_segment = frame.start() == segment.base();
            (self.visit)(Seen::Frame(frame, starts_segment), self.findings);
        }
        survey.count(frame);
        self.is_known = true;
        self.end = LogPosition {
            physical: frame.end(),
            index: header.next_index(),
            term: header.term,
        };
    }

    /// Looks at each command of a frame, and at what an earlier repair has left. Answers whether each can be applied.
    fn commands(&mut self, segment: &Segment, frame: &Frame) -> bool {
        let header = frame.header();
        if header.is_tombstone() {
            let (at, last) = (segment.file_offset(header.physical), header.last_index());
            let what = format!(
                "the frames with index {} to {last} were lost at file offset {at}, and were repaired",
                header.index
            );
            self.findings.note(&segment.path, what);
            self.repaired.push(Repaired {
                from: header.physical,
                to: header.end(),
                frames: u64::from(header.stands_for),
                state_is_known: header.state_is_known,
            });
        }
        let mut whole = true;
        for (place, physical, bytes) in frame.commands() {
            let to = PhysicalOffset(physical.0 + bytes.len() as u64);
            let is_replaced = |kind| bytes.get(command::COMMAND_HEADER_BYTES) == Some(&kind);
            let at = segment.file_offset(physical);
            if let Err(source) = command::check(&bytes) {
                let error = FrameError::Command { place, source };
                self.is_whole = false;
                let what = format!("the command that begins there: {error}");
                self.findings.truth(&segment.path, at, what);
                whole = false;
                if header.physical >= self.known.durable && !self.known.slot_is_lost {
                    // A start takes it for a write that a crash has torn, and ends the log there.
                    continue;
                }
                self.damage.push(LogDamage {
                    file: segment.path.clone(),
                    file_offset: at,
                    from: physical,
                    to: Some(to),
                    what: error.to_string(),
                    lost: Lost::Command {
                        frame: header.physical,
                        index: header.index,
                    },
                });
            } else if is_replaced(command::LOST) || (is_replaced(command::VOID) && holds_nothing(&bytes)) {
                let state_is_known = is_replaced(command::VOID);
                whole &= state_is_known;
                self.findings.note(
                    &segment.path,
                    format!("a command was lost at file offset {at}, and was repaired"),
                );
                self.repaired.push(Repaired {
                    from: physical,
                    to,
                    frames: 0,
                    state_is_known,
                });
            }
        }
        whole
    }

    /// What stands behind the last frame of a segment.
    fn behind(&mut self, segment: &Segment, sealed: bool, end: PhysicalOffset) -> Result<(), LogError> {
        let from = segment.file_offset(end);
        let pieces = cut::non_zero(&segment.file, from).map_err(LogError::io("read", &segment.path))?;
        // With a gap at its end nobody knows where the last frame ended.
        let Some((at, _)) = pieces.first().filter(|_| self.is_whole) else {
            return Ok(());
        };
        let what = "the bytes behind the last frame are not all zero";
        if sealed {
            self.findings.truth(&segment.path, *at, what);
        } else {
            self.findings.note(&segment.path, format!("{what} (from file offset {at} on): a crash has left writes that nobody was told of, and the next start cuts them off"));
        }
        Ok(())
    }

    fn sparse(&mut self, io: &dyn LogIo, segment: &Segment, expected: &SparseIndex) -> Result<(), LogError> {
        let path = segment.path.with_extension("sparse");
        let file = match io.open_read(&path) {
            // It is made when it is needed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            file => file.map_err(LogError::io("open", &path))?,
        };
        let len = file.len().map_err(LogError::io("measure", &path))?;
        let mut bytes = vec![0; len.min(SPARSE_BYTES_MAX) as usize];
        read_exact_at(file.as_ref(), &mut bytes, 0).map_err(LogError::io("read", &path))?;
        let found = SparseIndex::decode(&bytes, segment.base(), segment.header.base_index);
        if found.is_none() || (self.is_whole && found.as_ref() != Some(expected)) {
            self.findings
                .derived(&path, 0, "it is not what the segment's frames give");
        }
        Ok(())
    }
}

/// Whether a command has nothing behind its kind: one that takes another's place, and not one that was given up.
fn holds_nothing(command: &[u8]) -> bool {
    let mut rest = command.iter().skip(command::COMMAND_HEADER_BYTES + 1);
    rest.all(|byte| *byte == 0)
}

/// Where frames of a segment are.
pub(in crate::log) struct Frames<'a> {
    pub(in crate::log) segment: &'a Segment,
    pub(in crate::log) seed: FrameSeed,
    pub(in crate::log) max: usize,
}

impl<'a> Frames<'a> {
    fn from(&self, at: PhysicalOffset) -> Scanner<'a> {
        Scanner::new(self.segment, self.seed, self.max, at, PIECE)
    }

    /// The nearest whole frame behind `bad` that can follow `before`: frames begin at multiples of 8, and know where they
    /// stand.
    pub(in crate::log) fn after(
        &self,
        bad: PhysicalOffset,
        before: LogPosition,
    ) -> std::io::Result<Option<LogPosition>> {
        let len = self.segment.file.len()?;
        let mut from = bad.0 + 8;
        loop {
            let at = self
                .segment
                .file_offset(PhysicalOffset(from).min(self.segment.limit()));
            if at + FRAME_HEADER_BYTES as u64 > len {
                return Ok(None);
            }
            let mut piece = vec![0; PIECE.min((len - at) as usize)];
            read_exact_at(self.segment.file.as_ref(), &mut piece, at)?;
            let step = (piece.len() - FRAME_HEADER_BYTES) / 8 * 8 + 8;
            for place in (0..step).step_by(8) {
                let physical = PhysicalOffset(from + place as u64);
                let begins = FrameHeader::parse(&piece[place..], self.max).is_ok_and(|header| {
                    header.physical == physical && header.index > before.index && header.term >= before.term
                });
                if begins && let Found::Frame(frame) = self.from(physical).next()? {
                    return Ok(Some(LogPosition {
                        physical,
                        index: frame.index(),
                        term: before.term,
                    }));
                }
            }
            from += step as u64;
        }
    }
}
