//! The commands of a frame that was read.

use super::Reading;
use crate::log::frame::{Frame, FrameError};
use crate::log::segment::Segment;
use crate::log::survey::damage::with_the_disk;
use crate::log::survey::{LogDamage, Lost, Repaired};
use sluice_core::command;
use sluice_core::ids::PhysicalOffset;

impl Reading<'_, '_> {
    /// Looks at each command of a frame, and at what an earlier repair has left. Answers whether each can be applied.
    pub(super) fn commands(&mut self, segment: &Segment, frame: &Frame) -> bool {
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
        if let Some(at) = segment.mended_at(frame) {
            let what = "the length or the checksum of the command that begins there; the rest of its frame tells what it was, and it is read so";
            self.findings.harmless(&segment.path, at, what);
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
                if header.physical >= self.known.durable && !self.end_is_unsure(segment) {
                    // A start takes it for a write that a crash has torn, and ends the log there.
                    continue;
                }
                let bytes = at..at + bytes.len() as u64;
                self.damage.push(LogDamage {
                    file: segment.path.clone(),
                    file_offset: at,
                    from: physical,
                    to: Some(to),
                    what: with_the_disk(error.to_string(), segment.file.as_ref(), bytes),
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
}

/// Whether a command has nothing behind its kind: one that takes another's place, and not one that was given up.
fn holds_nothing(command: &[u8]) -> bool {
    let mut rest = command.iter().skip(command::COMMAND_HEADER_BYTES + 1);
    rest.all(|byte| *byte == 0)
}
