//! Which messages get other offsets by a repair.
//!
//! Behind a loss that no checkpoint counts in, messages of a queue follow the last one before the loss: each stands as many offsets lower
//! as messages of its queue are lost. Groups are moved with them, but whoever keeps offsets themselves has to be told.

use super::RepairError;
use super::plan::Planner;
use crate::log::{self, Frame, Seen};
use crate::survey::{Checked, Findings};
use sluice_core::command::{Command, check};
use sluice_core::ids::{LogIndex, PhysicalOffset, TopicQueue};
use sluice_core::state::{CommandAt, State};
use std::collections::BTreeSet;

/// Queues that are told one by one.
const QUEUES_MAX: usize = 32;

impl Planner<'_> {
    /// Which these are, in words, behind a loss that begins at `from`.
    pub(super) fn moved_behind(&self, from: PhysicalOffset) -> Result<String, RepairError> {
        let (start, state) = self.state_before(from)?;
        let mut fold = Fold {
            state,
            moved: BTreeSet::new(),
        };
        let known = Checked::of(self.io, self.dir)?;
        let ask = known.ask(self.given_up);
        let (io, quiet) = (self.io.as_ref(), &mut Findings::default());
        log::survey(io, self.dir, &ask, quiet, &mut |seen, _| {
            let (Seen::Frame(frame, _) | Seen::Partly(frame)) = seen else {
                return;
            };
            let is_cut = self.end.is_some_and(|end| frame.start() >= end);
            if frame.start() >= start.physical && !is_cut {
                fold.frame(frame, from);
            }
        })?;
        Ok(fold.told())
    }
}

/// State up to a loss, and the queues of messages behind it.
struct Fold {
    state: State,
    moved: BTreeSet<TopicQueue>,
}

impl Fold {
    fn frame(&mut self, frame: &Frame, from: PhysicalOffset) {
        let header = frame.header();
        let next = self.state.next_index();
        if header.physical < from && header.index > next {
            let last = LogIndex(header.index.0 - 1);
            self.state.end_frames(header.term, next, last);
        }
        for (place, physical, bytes) in frame.commands() {
            let at = CommandAt {
                index: header.index,
                place,
                physical,
            };
            if physical < from && check(&bytes).is_ok() {
                // Refused or not, it is what it was.
                let _ = self.state.apply(at, &bytes, &mut ());
            } else if let Ok((_, Command::Append(append))) = Command::decode(&bytes) {
                self.moved.insert(append.at);
            }
        }
        if header.physical < from {
            self.state
                .end_frames(header.term, header.index, header.last_index());
        }
    }

    fn told(&self) -> String {
        let tables = self.state.tables();
        let from = |at: &TopicQueue| {
            // A topic that was made behind the loss lacks nothing.
            let topic = tables.topic_by_id(at.topic)?;
            let first = topic.tail(at.queue)?;
            Some(format!(
                "{} queue {} from offset {first} on",
                topic.spec.name, at.queue
            ))
        };
        let told: Vec<String> = self.moved.iter().filter_map(from).collect();
        let (named, rest) = told.split_at(told.len().min(QUEUES_MAX));
        let mut which = named.join("; ");
        if named.is_empty() {
            which.push_str("none stands there yet");
        }
        if !rest.is_empty() {
            which.push_str(&format!("; and in {} queues more", rest.len()));
        }
        format!(
            "messages behind the loss stand at lower offsets than their sends were answered with, by as many as are lost of their queue, and the next \
             ones get offsets that lost ones had: who keeps offsets themselves (PullConsumer) must be told, for they would miss as many. Messages behind \
             the loss: {which}"
        )
    }
}
