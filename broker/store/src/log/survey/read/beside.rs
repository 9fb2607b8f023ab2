//! What stands beside the frames of a segment: the bytes behind the last one, and the sparse index.

use super::Reading;
use crate::io::{LogIo, read_exact_at};
use crate::log::cut;
use crate::log::error::LogError;
use crate::log::segment::{PAGE_BYTES, Segment};
use crate::log::sparse::SparseIndex;
use sluice_core::ids::PhysicalOffset;

const SPARSE_BYTES_MAX: u64 = 4 << 20;

/// Whether the disk does not give something of the file behind that place, of what was read.
pub(super) fn is_not_given_behind(segment: &Segment, at: u64) -> bool {
    segment.file.not_given().last().is_some_and(|last| last.end > at)
}

impl Reading<'_, '_> {
    /// Reads the last segment from where the log was durable on, so that it is known what the disk does not give there. A start ends at
    /// that, and takes nothing for torn by a crash: nobody knows what stood there, and the error may be over the next time.
    pub(super) fn look_for_not_given(&self, segment: &Segment) -> Result<(), LogError> {
        let from = self.durable_in(segment);
        let read = cut::non_zero(&segment.file, from / PAGE_BYTES * PAGE_BYTES);
        read.map(drop).map_err(LogError::io("read", &segment.path))
    }

    /// Whether nothing tells a write that a crash has torn from damage at the end of this last segment, so that whatever whole frame
    /// stands there counts as durable.
    pub(super) fn end_is_unsure(&self, segment: &Segment) -> bool {
        self.known.slot_is_lost || is_not_given_behind(segment, self.durable_in(segment))
    }

    /// Up to where in its file a segment was durable.
    fn durable_in(&self, segment: &Segment) -> u64 {
        segment.file_offset(self.known.durable.clamp(segment.base(), segment.limit()))
    }

    /// What stands behind the last frame of a segment.
    pub(super) fn behind(
        &mut self,
        segment: &Segment,
        sealed: bool,
        end: PhysicalOffset,
    ) -> Result<(), LogError> {
        let from = segment.file_offset(end);
        let pieces = cut::non_zero(&segment.file, from).map_err(LogError::io("read", &segment.path))?;
        // With a gap at its end nobody knows where the last frame ended.
        let Some((at, _)) = pieces.first().filter(|_| self.is_whole) else {
            return Ok(());
        };
        if let Some(place) = segment.file.not_given().iter().find(|place| place.end > from) {
            let what = "the disk gives an error there, behind the last frame of a segment in which nothing follows; nobody reads that";
            self.findings.harmless(&segment.path, place.start, what);
            return Ok(());
        }
        let what = "the bytes behind the last frame are not all zero";
        if sealed {
            self.findings.truth(&segment.path, *at, what);
        } else {
            self.findings.note(&segment.path, format!("{what} (from file offset {at} on): a crash has left writes that nobody was told of, and the next start cuts them off"));
        }
        Ok(())
    }

    pub(super) fn sparse(
        &mut self,
        io: &dyn LogIo,
        segment: &Segment,
        expected: &SparseIndex,
    ) -> Result<(), LogError> {
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
