//! What stands beside the frames of a segment: the bytes behind the last one, and the sparse index.

use super::Reading;
use crate::io::{LogIo, read_exact_at};
use crate::log::cut;
use crate::log::error::LogError;
use crate::log::segment::Segment;
use crate::log::sparse::SparseIndex;
use sluice_core::ids::PhysicalOffset;

const SPARSE_BYTES_MAX: u64 = 4 << 20;

impl Reading<'_, '_> {
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
