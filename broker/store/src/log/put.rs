//! A group's bytes on their way into the file, and out of it again when the disk is full.

use super::error::Fatal;
use super::writer::LogWriter;
use crate::io::is_no_space;
use sluice_core::ids::PhysicalOffset;
use std::io::IoSlice;

impl LogWriter {
    /// Writes all of `bytes` at `start`. False: the disk is full, and what was written of it is zeros again.
    pub(super) fn write_frames(&mut self, bytes: &[u8], start: PhysicalOffset) -> Result<bool, Fatal> {
        let offset = self.active.file_offset(start);
        let mut written = 0;
        while written < bytes.len() {
            match self
                .active
                .file
                .write_at(&[IoSlice::new(&bytes[written..])], offset + written as u64)
            {
                Ok(0) => return Err(self.write_failed(std::io::ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if is_no_space(&error) => {
                    let space = self.shared.inbox.space();
                    space.blame.note_write(&error, &self.active.path);
                    self.undo(start, written)?;
                    return Ok(false);
                }
                Err(error) => return Err(self.write_failed(error)),
            }
        }
        self.shared.inbox.space().blame.written();
        Ok(true)
    }

    fn write_failed(&self, error: std::io::Error) -> Fatal {
        Fatal::new("write", &self.active.path)(error)
    }

    /// A group that does not fit the disk must not come back after a crash, not even in part: its proposers are told that it
    /// surely is not in the log.
    fn undo(&mut self, start: PhysicalOffset, written: usize) -> Result<(), Fatal> {
        if written == 0 {
            return Ok(());
        }
        let zeros = vec![0; written];
        let offset = self.active.file_offset(start);
        crate::io::write_all_at(self.active.file.as_ref(), &zeros, offset)
            .map_err(Fatal::new("take back a part of a group in", &self.active.path))?;
        self.active.sync()
    }
}
