//! The frames of the segments, one after another, past those that cannot be read.

use super::super::error::LogError;
use super::super::frame::{FRAME_HEADER_BYTES, Frame, FrameError, FrameHeader, FrameSeed};
use super::super::options::SegmentLimits;
use super::super::scan::{Found, Scanner};
use super::super::segment::Segment;
use super::super::sparse::SparseIndex;
use super::super::{LogPosition, cut};
use super::{SegmentState, SegmentSurvey, Visit};
use crate::io::{LogIo, read_exact_at};
use crate::survey::Findings;
use sluice_core::ids::{LogIndex, PhysicalOffset};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Read at a time.
const PIECE: usize = 4 << 20;
const SPARSE_BYTES_MAX: u64 = 4 << 20;

/// Reading the frames.
pub(super) struct Reading<'a, 'v> {
    durable: PhysicalOffset,
    end: LogPosition,
    /// Whether it is known what must follow: not behind frames that cannot be read.
    is_known: bool,
    is_whole: bool,
    findings: &'a mut Findings,
    visit: &'a mut Visit<'v>,
}

impl<'a, 'v> Reading<'a, 'v> {
    pub(super) fn new(
        first: LogPosition,
        durable: PhysicalOffset,
        findings: &'a mut Findings,
        visit: &'a mut Visit<'v>,
    ) -> Self {
        Self {
            durable,
            end: first,
            is_known: true,
            is_whole: true,
            findings,
            visit,
        }
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
        // Behind a gap that was told already this follows from it.
        if self.is_known {
            let what = format!("it begins with index {index}, but {} is next", self.end);
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
            let bad = match scanner.next().map_err(unreadable())? {
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
            if next.is_none() && at >= self.durable {
                return Ok(());
            }
            self.gap(&segment.path, segment.file_offset(at), bad.to_string());
            self.is_known = false;
            match frames.after(at).map_err(unreadable())? {
                Some(found) => scanner = frames.from(found),
                None => return Ok(()),
            }
        }
    }

    fn gap(&mut self, file: &Path, offset: u64, what: String) {
        self.findings.truth(file, offset, what);
        self.is_whole = false;
        (self.visit)(None, self.findings);
    }

    fn frame(&mut self, segment: &Segment, frame: &Frame, survey: &mut SegmentSurvey) {
        let header = frame.header();
        let at = segment.file_offset(header.physical);
        if self.is_known && (header.index != self.end.index || header.term < self.end.term) {
            let what = format!(
                "the frame has index {} and term {}, but {} is next",
                header.index, header.term, self.end
            );
            self.gap(&segment.path, at, what);
        }
        if let Err(error) = frame.check_commands() {
            let place = match &error {
                FrameError::Command { place, .. } => usize::from(*place),
                _ => 0,
            };
            let command = frame
                .commands()
                .nth(place)
                .map_or(header.physical, |(_, physical, _)| physical);
            self.gap(&segment.path, segment.file_offset(command), error.to_string());
        } else {
            let starts_segment = frame.start() == segment.base();
            (self.visit)(Some((frame, starts_segment)), self.findings);
        }
        survey.count(frame);
        self.is_known = true;
        self.end = LogPosition {
            physical: frame.end(),
            index: LogIndex(header.index.0 + 1),
            term: header.term,
        };
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

    /// The nearest whole frame behind `bad`: frames begin at multiples of 8, and know where they stand.
    pub(in crate::log) fn after(&self, bad: PhysicalOffset) -> std::io::Result<Option<PhysicalOffset>> {
        let len = self.segment.file.len()?;
        let mut from = bad.0 + 8;
        loop {
            let at = self.segment.file_offset(PhysicalOffset(from));
            if at + FRAME_HEADER_BYTES as u64 > len {
                return Ok(None);
            }
            let mut piece = vec![0; PIECE.min((len - at) as usize)];
            read_exact_at(self.segment.file.as_ref(), &mut piece, at)?;
            let step = (piece.len() - FRAME_HEADER_BYTES) / 8 * 8 + 8;
            for place in (0..step).step_by(8) {
                let physical = PhysicalOffset(from + place as u64);
                let begins = FrameHeader::parse(&piece[place..], self.max)
                    .is_ok_and(|header| header.physical == physical);
                if begins && matches!(self.from(physical).next()?, Found::Frame(_)) {
                    return Ok(Some(physical));
                }
            }
            from += step as u64;
        }
    }
}
