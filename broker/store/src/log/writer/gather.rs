//! The next group is made of what is queued.

use super::LogWriter;
use crate::log::LogPosition;
use crate::log::error::{Fatal, LogError};
use crate::log::group::{Group, Next, Owner, next_frame};
use crate::log::inbox::Load;
use crate::log::op::Op;
use sluice_core::ids::LogIndex;

impl LogWriter {
    /// Makes the next group of what is queued. `None` when what stood first was refused.
    pub(super) fn gather(&mut self) -> Result<Option<Group>, Fatal> {
        let mut group = Group::new(self.tail.physical, self.shared.inbox.bytes());
        let mut tail = self.tail;
        while let Next::Frame { ops, len } = next_frame(&self.backlog, self.shared.limits.batch_bytes) {
            if !group.takes(len) {
                break;
            }
            if !self.fits(group.end(), len) {
                if !group.frames.is_empty() {
                    break;
                }
                if !self.roll_or_refuse(tail.index, ops)? {
                    return Ok(None);
                }
                group.start = self.tail.physical;
            }
            if matches!(self.backlog.front(), Some(Op::Append { .. })) {
                if !self.add_entry(&mut group, &mut tail)? {
                    break;
                }
            } else {
                let term = self.meta.meta().term;
                debug_assert!(tail.term <= term, "a proposal in an old term");
                group.add_proposals(&self.shared, term, tail.index, self.backlog.drain(..ops));
                tail.term = term;
                tail.index.0 += 1;
            }
        }
        Ok((!group.frames.is_empty()).then_some(group))
    }

    /// Adds the raft entry at the front, or refuses it if it does not continue the log. False: the group ends here.
    fn add_entry(&mut self, group: &mut Group, tail: &mut LogPosition) -> Result<bool, Fatal> {
        let Some(Op::Append { entry, done }) = self.backlog.pop_front() else {
            return Ok(false);
        };
        let result = self.order_of(&entry, tail, group.frames.is_empty());
        let result = match result {
            Ok(true) => self.restart_at(entry.index).map(|()| {
                group.start = self.tail.physical;
                tail.index = entry.index;
            }),
            Ok(false) => Ok(()),
            Err(refusal) => Err(refusal),
        };
        match result {
            Ok(()) => {
                group.add_entry(&self.shared, &entry, Owner::Raft(done));
                tail.index.0 += 1;
                tail.term = entry.term;
                Ok(true)
            }
            Err(LogError::Fatal(fatal)) => Err(fatal),
            Err(refusal) => {
                self.shared.forget_pending(&[entry.index]);
                if let Some(done) = done {
                    done(Err(refusal));
                }
                Ok(false)
            }
        }
    }

    /// Rolls, or refuses the first `ops` operations when there is no space for a new segment.
    fn roll_or_refuse(&mut self, base_index: LogIndex, ops: usize) -> Result<bool, Fatal> {
        match self.roll(base_index) {
            Ok(()) => Ok(true),
            Err(error) if error.is_no_space() => {
                let blame = &self.shared.inbox.space().blame;
                error.blame(blame);
                let why = blame.not_proposed();
                self.shared.inbox.space().tell(&error);
                for op in self.backlog.drain(..ops) {
                    match op {
                        Op::Propose {
                            batch, bytes, done, ..
                        } => {
                            let commands = batch.len();
                            let load = Load { bytes, commands };
                            self.shared.inbox.give_back(load, done, why.clone());
                        }
                        Op::Append { entry, done } => {
                            self.shared.forget_pending(&[entry.index]);
                            Owner::Raft(done).refuse(&self.shared);
                        }
                        Op::Control { .. } => debug_assert!(false, "frames are made of appends"),
                    }
                }
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}
