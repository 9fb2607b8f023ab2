//! The fold over the log, once more: what comes out is compared with what checkpoints say, and kept for the queue files
//! and the index.

use super::{Findings, Known, SurveyError};
use crate::applier::{SEGMENTS_INDEX_APART, index_command};
use crate::checkpoint::{self, CheckpointError, root_path};
use crate::index::{Begin, RunSums};
use crate::io::LogIo;
use crate::log::{Frame, LogPosition, LogSurvey, Seen};
use crate::queue::{QueueSpan, QueueSums};
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{GroupQueueId, LogIndex, PhysicalOffset, QueueOffset, TimeMs, TopicQueue};
use sluice_core::state::{Changed, CommandAt, Done, Effects, LEVEL, Refused, ShardKey, State};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The fold so far.
pub(super) struct Fold {
    io: Arc<dyn LogIo>,
    folder: PathBuf,
    /// Checkpoints that are still to be compared, by rising position.
    checkpoints: VecDeque<LogPosition>,
    /// Where the index was begun anew, if it was.
    index_begin: Option<Begin>,
    /// `None` before the first frame, and when the fold has ended early.
    state: Option<State>,
    begun: bool,
    end: LogPosition,
    derived: Derived,
}

/// What the log adds up to.
pub(super) struct Folded {
    pub(super) position: LogPosition,
    pub(super) queues: QueueSums,
    pub(super) runs: RunSums,
    pub(super) state: State,
}

struct Derived {
    queues: QueueSums,
    runs: RunSums,
}

impl Effects for Derived {
    fn entry(&mut self, at: TopicQueue, offset: QueueOffset, entry: &QueueEntry) {
        self.queues.entry(at, offset, entry);
    }

    fn ready(&mut self, _: GroupQueueId, _: TimeMs) {}

    fn unlocked(&mut self, _: GroupQueueId, _: u32) {}

    fn moved(&mut self, _: GroupQueueId) {}

    fn changed(&mut self, what: Changed) {
        if let Changed::TopicGone(topic) = what {
            self.queues.gone(topic);
        }
    }

    fn carried(&mut self, _: TopicQueue, _: QueueOffset, _: &QueueEntry) {}

    fn trimmed(&mut self, at: TopicQueue, first: QueueOffset) {
        self.queues.trimmed(at, first);
    }

    fn dropped(&mut self, _: TopicQueue, _: QueueOffset) {}
}

impl Fold {
    /// A fold that compares the checkpoints at these positions. `spans` are the ends of the queues that the newest one
    /// counts.
    pub(super) fn new(
        io: &Arc<dyn LogIo>,
        folder: &Path,
        checkpoints: VecDeque<LogPosition>,
        spans: &[QueueSpan],
        index_begin: Option<Begin>,
    ) -> Self {
        Self {
            io: Arc::clone(io),
            folder: folder.to_owned(),
            checkpoints,
            index_begin,
            state: None,
            begun: false,
            end: LogPosition::default(),
            derived: Derived {
                queues: QueueSums::new(spans),
                runs: RunSums::default(),
            },
        }
    }

    /// Applies what stands next. Where that cannot be, the fold ends.
    pub(super) fn frame(&mut self, seen: Seen<'_>, findings: &mut Findings) -> Result<(), SurveyError> {
        let Seen::Frame(frame, starts_segment) = seen else {
            self.state = None;
            self.begun = true;
            return Ok(());
        };
        if !self.begun {
            self.begin(frame, findings)?;
        }
        self.compare_checkpoints(frame.start(), findings)?;
        let Some(mut state) = self.state.take() else {
            return Ok(());
        };
        if self
            .index_begin
            .is_some_and(|begin| begin.physical == frame.start())
        {
            // There it has its runs as where the log begins.
            self.derived.runs.start_segment();
        }
        if starts_segment && state.level() >= SEGMENTS_INDEX_APART {
            self.derived.runs.start_segment();
        }
        for (place, physical, bytes) in frame.commands() {
            let at = CommandAt {
                index: frame.index(),
                place,
                physical,
            };
            match state.apply(at, &bytes, &mut self.derived) {
                Ok(Done::Appended(_) | Done::Carried(_)) => self.index(&state, physical, &bytes),
                Err(Refused::Level { asked, .. }) if asked > LEVEL => {
                    let what = format!(
                        "the log is of level {asked}, and this build knows {LEVEL}: derived files are not compared with it"
                    );
                    findings.note(&self.folder, what);
                    return Ok(());
                }
                _ => {}
            }
        }
        state.end_frames(frame.header().term, frame.index(), frame.header().last_index());
        self.end = LogPosition {
            physical: frame.end(),
            index: frame.header().next_index(),
            term: frame.header().term,
        };
        self.state = Some(state);
        Ok(())
    }

    /// From nothing where the log begins at its first frame, else from the checkpoint at its start.
    fn begin(&mut self, first: &Frame, findings: &mut Findings) -> Result<(), SurveyError> {
        self.begun = true;
        let is_before = |at: &mut LogPosition| at.physical < first.start();
        while let Some(left) = self.checkpoints.pop_front_if(is_before) {
            // Retention removes it after it has recorded where the log begins.
            let what =
                "it stands before the log, which retention has had begin later; the next start removes it";
            findings.note(&root_path(&self.folder, left), what);
        }
        if first.index() == LogIndex(0) {
            self.state = Some(State::new());
            self.derived.runs.begin_at_the_start();
            return Ok(());
        }
        let base = self.load(first.start(), findings)?;
        if let Some(base) = base {
            self.derived.runs.begin_at(&base.index.at_segment_start());
            self.state = Some(base.state);
        } else {
            findings.derived(
                &self.folder,
                0,
                "there is no checkpoint at the log's start, to rebuild derived files from",
            );
        }
        Ok(())
    }

    fn index(&mut self, state: &State, physical: PhysicalOffset, command: &[u8]) {
        let now = state.now();
        index_command(command, |key| self.derived.runs.item(key, physical, now));
    }

    fn load(&self, at: PhysicalOffset, findings: &mut Findings) -> Result<Option<Known>, SurveyError> {
        match checkpoint::load(&self.io, &self.folder, at) {
            Ok(loaded) => Ok(super::known(&loaded, &self.folder, findings)),
            Err(error @ CheckpointError::Io { .. }) if !error.is_not_found() => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// Compares the checkpoints up to here with the state as it is.
    fn compare_checkpoints(
        &mut self,
        here: PhysicalOffset,
        findings: &mut Findings,
    ) -> Result<(), SurveyError> {
        while let Some(position) = self.checkpoints.pop_front_if(|next| next.physical <= here) {
            let Some(state) = &self.state else { continue };
            let Some(known) = self.load(position.physical, findings)? else {
                continue;
            };
            let root = root_path(&self.folder, position);
            let expected = (position.index, position.term) == (state.next_index(), state.term());
            if position.physical != here && self.end.physical != position.physical || !expected {
                findings.derived(
                    &root,
                    16,
                    format!("{position} is no place between two frames of the log"),
                );
            } else if let Some(what) = difference(state, &known.state) {
                findings.derived(&root, 0, what);
            } else if !self.derived.runs.stand_at(&known.index) {
                findings.derived(&root, 0, "its position of the index is not where the log puts it");
            }
        }
        Ok(())
    }

    /// What the whole log adds up to; `None` if the fold has ended before it.
    pub(super) fn finish(
        mut self,
        log: &LogSurvey,
        findings: &mut Findings,
    ) -> Result<Option<Folded>, SurveyError> {
        if !self.begun && log.end == LogPosition::default() {
            self.state = Some(State::new());
            self.derived.runs.begin_at_the_start();
        }
        self.compare_checkpoints(log.end.physical, findings)?;
        Ok(self.state.map(|state| Folded {
            position: self.end,
            queues: self.derived.queues,
            runs: self.derived.runs,
            state,
        }))
    }
}

/// The first part in which two states differ.
fn difference(folded: &State, stored: &State) -> Option<String> {
    if folded.digest() != stored.digest() {
        return Some(format!(
            "its digest is {:016x}, and the log adds up to {:016x}",
            stored.digest(),
            folded.digest()
        ));
    }
    let (folded, stored) = (parts(folded), parts(stored));
    let differs = |key: &&ShardKey| folded.get(key) != stored.get(key);
    let part = folded.keys().chain(stored.keys()).find(differs)?;
    Some(format!("its part {part:?} is not what the log adds up to"))
}

/// The parts' bytes, which are equal where the parts are.
fn parts(state: &State) -> BTreeMap<ShardKey, Vec<u8>> {
    let encode = |(key, view): (ShardKey, sluice_core::state::ShardView)| {
        let mut bytes = Vec::new();
        view.encode(&mut bytes);
        (key, bytes)
    };
    state.all_views().into_iter().map(encode).collect()
}
