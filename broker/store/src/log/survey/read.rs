//! The frames of the segments, one after another, past those that cannot be read.

mod beside;
mod commands;
mod end;

use super::super::LogPosition;
use super::super::error::LogError;
use super::super::frame::{Frame, FrameError};
use super::super::options::SegmentLimits;
use super::super::scan::Found;
use super::super::segment::Segment;
use super::super::sparse::SparseIndex;
use super::damage::{LogDamage, Lost, Repaired, with_the_disk};
use super::frames::Frames;
use super::open::Known;
use super::{Seen, SegmentState, SegmentSurvey, Visit};
use crate::io::LogIo;
use crate::survey::Findings;
use beside::is_not_given_behind;
use sluice_core::ids::PhysicalOffset;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

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
        if next.is_none() {
            self.look_for_not_given(segment)?;
        }
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
                    if is_last && frame.check_commands().is_err() && !self.end_is_unsure(segment) =>
                {
                    return Ok(());
                }
                Found::Frame(frame) => {
                    if !scanner.last_padding_is_zero() {
                        let last = segment.file_offset(frame.end()) - 1;
                        let what = "the bytes between two frames are not zero; nobody reads them";
                        self.findings.harmless(&segment.path, last, what);
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
            let goes_on = || Ok(self.end_is_unsure(segment) && frames.after(at, before)?.is_some());
            let place = segment.file_offset(at);
            if is_last && !is_not_given_behind(segment, place) && !goes_on().map_err(unreadable())? {
                return Ok(());
            }
            let search_from = given_up.map_or(at, |(_, to)| PhysicalOffset(to.0 - 8));
            let found = frames.after(search_from, before).map_err(unreadable())?;
            let next_begins = next.map(|next| LogPosition {
                physical: next.base(),
                index: next.header.base_index,
                term: before.term,
            });
            let stand = self.stand_behind(segment, before).filter(|_| next.is_none());
            let to = found.or(next_begins).or(stand);
            self.cannot_be_read(segment, before, to, &bad);
            match (found, stand) {
                (Some(found), _) => scanner = frames.from(found.physical),
                (None, Some(stand)) => {
                    self.end_at(segment, stand);
                    return Ok(());
                }
                (None, None) => return Ok(()),
            }
        }
    }

    /// Tells of frames that cannot be read, up to what follows them.
    fn cannot_be_read(
        &mut self,
        segment: &Segment,
        before: LogPosition,
        to: Option<LogPosition>,
        bad: &FrameError,
    ) {
        let place = segment.file_offset(before.physical);
        // What follows may stand in another segment, behind one that is gone.
        let end = to.map_or(u64::MAX, |to| {
            segment.file_offset(to.physical.min(segment.limit()))
        });
        let what = with_the_disk(bad.to_string(), segment.file.as_ref(), place..end);
        self.gap(
            &segment.path,
            place,
            format!("the frame that begins there: {what}"),
        );
        self.is_known = false;
        self.note_damage(&segment.path, place, before, to, what);
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
}
