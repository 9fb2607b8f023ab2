//! A look at the folder of a broker that does not run. Nothing is written, and whatever the files say is checked before it
//! is believed.
//!
//! [`survey`] reads the log from its first frame to its last. With [`Depth::Everything`] it also reads every derived file, and
//! folds the log as the broker does: what comes out must be what checkpoints, queue files and index say. Where the log itself
//! is damaged the fold ends, and from there on derived files are checked by their own checksums alone.

mod findings;
mod fold;

pub use crate::checkpoint::CheckpointSurvey;
pub use crate::index::IndexSurvey;
pub use crate::log::{LogDamage, LogSurvey, Lost, Repaired, SegmentState, SegmentSurvey};
pub use crate::queue::QueueSurvey;
pub use findings::{Damage, Findings, Note, Weight};

use crate::applier::spans;
use crate::checkpoint::{self, CheckpointError, Checkpoints, Loaded};
use crate::checkpointer::Header;
use crate::index::{self, Begin, IndexError, IndexPosition};
use crate::io::{BadBlocks, LogIo, SkippingIo};
use crate::log::{self, LogError, LogPosition};
use crate::queue::{self, QueueError};
use crate::store::refusal;
use fold::Fold;
use sluice_core::ids::{PhysicalOffset, TopicId};
use sluice_core::state::{RestoreError, ShardKey, State};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The log, and of derived files what they say of themselves.
    Overview,
    /// Every byte.
    Everything,
}

/// What the folder of a broker holds.
#[derive(Debug)]
pub struct Survey {
    /// The log.
    pub log: LogSurvey,
    /// Checkpoints by rising position.
    pub checkpoints: Vec<CheckpointSurvey>,
    /// Queues by topic and number.
    pub queues: Vec<QueueSurvey>,
    /// The names of the topics that the newest checkpoint knows, or the log where there is none.
    pub topics: BTreeMap<TopicId, String>,
    /// The index.
    pub index: IndexSurvey,
    /// Up to where the log was folded and compared with what is derived from it; `None` if it was not.
    pub folded_to: Option<LogPosition>,
    /// What a start would say that refuses the files as they are; `None` if one goes on, or if not everything was read.
    pub refused: Option<String>,
    /// What is wrong, and what is worth knowing.
    pub findings: Findings,
}

/// Why there is nothing to tell: the system did not let it be read.
#[derive(Debug, Error)]
pub enum SurveyError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The checkpoints.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The queue files.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// Looks at the folder `dir` of a broker, past what the disk does not give of its files. No broker may run over it meanwhile, or what is on its way is taken for damage.
pub fn survey(io: &Arc<dyn LogIo>, dir: &Path, depth: Depth) -> Result<Survey, SurveyError> {
    let bad = BadBlocks::default();
    let mut found = survey_without(&SkippingIo::noting(io, &bad), dir, depth, &[])?;
    if depth == Depth::Everything {
        found.refused = refusal::of_a_start(io, dir, &found.log);
    }
    for (file, places) in bad.all() {
        found.findings.not_given(&file, &places);
    }
    Ok(found)
}

/// As [`survey`], as if what stands in these ranges of the log could not be read.
pub(crate) fn survey_without(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    depth: Depth,
    given_up: &[(PhysicalOffset, PhysicalOffset)],
) -> Result<Survey, SurveyError> {
    let mut findings = Findings::default();
    let everything = depth == Depth::Everything;
    let folder = dir.join("checkpoint");
    let (checkpoints, newest) = checkpoint::survey(io, &folder, everything, &mut findings)?;
    let newest = newest.and_then(|loaded| known(&loaded, &folder, &mut findings));
    let spans = newest.as_ref().map(|known| spans(&known.state));

    let whole = checkpoints.iter().filter(|checkpoint| checkpoint.whole);
    let begin = index::begin(io, &dir.join("index"))?;
    let mut fold = everything.then(|| {
        let positions = whole.map(|checkpoint| checkpoint.position).collect();
        Fold::new(
            io,
            &folder,
            positions,
            spans.as_deref().unwrap_or_default(),
            begin,
        )
    });
    let mut folding = Ok(());
    let known = Checked::of(io, dir)?;
    let ask = known.ask(given_up);
    let log = log::survey(io.as_ref(), dir, &ask, &mut findings, &mut |frame, findings| {
        if folding.is_ok()
            && let Some(fold) = &mut fold
        {
            folding = fold.frame(frame, findings);
        }
    })?;
    folding?;
    let folded = fold.map(|fold| fold.finish(&log, &mut findings));
    let folded = folded.transpose()?.flatten();
    check_end(&folder, &log, newest.as_ref(), &mut findings);
    let sums = folded.as_ref().map(|folded| (&folded.queues, &folded.runs));
    let mut queues = queue::survey(
        io,
        &dir.join("queue"),
        spans.as_deref(),
        sums.map(|sums| sums.0),
        everything,
        &mut findings,
    )?;
    // With no checkpoint left the log alone tells which topics and queues there are.
    let of_the_log = folded
        .as_ref()
        .filter(|_| spans.is_none())
        .map(|folded| &folded.state);
    if let Some(state) = of_the_log {
        queue::add_those_of_the_log(&mut queues, &crate::applier::spans(state));
    }
    let topics = newest.as_ref().map(|known| &known.state).or(of_the_log);
    let (position, first_run) = index_bounds(io, dir, &log, newest.as_ref(), begin, &mut findings)?;
    let index = index::survey(
        io,
        &dir.join("index"),
        position.as_ref(),
        first_run,
        sums.map(|sums| sums.1),
        everything,
        &mut findings,
    )?;
    Ok(Survey {
        log,
        checkpoints,
        queues,
        topics: topics.map(names).unwrap_or_default(),
        index,
        folded_to: folded.map(|folded| folded.position),
        refused: None,
        findings,
    })
}

/// A checkpoint stands where the log was.
fn check_end(folder: &Path, log: &LogSurvey, newest: Option<&Known>, findings: &mut Findings) {
    if let Some(newest) = newest
        && log.is_whole
        && newest.position.physical > log.end.physical
    {
        let what = format!(
            "it stands at {}, but the log ends at {}",
            newest.position, log.end
        );
        findings.truth(folder, 0, what);
    }
}

/// Where the newest checkpoint has the index, and the first run: with which it was begun anew, or that of the log's start.
fn index_bounds(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    log: &LogSurvey,
    newest: Option<&Known>,
    begin: Option<Begin>,
    findings: &mut Findings,
) -> Result<(Option<IndexPosition>, u64), SurveyError> {
    let begin = begin.filter(|begin| begin.physical > log.first.physical);
    let position = newest.map(|known| known.index_from(begin));
    let Some(begin) = begin else {
        let first_run = first_run(io, &dir.join("checkpoint"), log, position.as_ref())?;
        return Ok((position, first_run));
    };
    let what = format!(
        "it was damaged and could not be made again, and was begun anew: messages that stand before offset {} of the log are not found by key or message id",
        begin.physical
    );
    findings.note(&dir.join("index"), what);
    Ok((position, begin.run))
}

/// The index's first run: that of the checkpoint at the log's start. Where there is none, nothing is missed of the index.
fn first_run(
    io: &Arc<dyn LogIo>,
    folder: &Path,
    log: &LogSurvey,
    newest: Option<&IndexPosition>,
) -> Result<u64, SurveyError> {
    if log.first.physical == PhysicalOffset(0) {
        return Ok(0);
    }
    let base = match checkpoint::load_some(io, folder, log.first.physical, |_| false) {
        Err(error @ CheckpointError::Io { .. }) if !error.is_not_found() => return Err(error.into()),
        base => base.ok(),
    };
    let header = base.as_ref().and_then(|base| Header::decode(&base.header).ok());
    let run = header.map(|header| header.index.at_segment_start().run);
    Ok(run.or_else(|| newest.map(|at| at.run)).unwrap_or_default())
}

/// What checkpoints say of the log.
pub(crate) struct Checked {
    reaches: PhysicalOffset,
    stands: Vec<LogPosition>,
    begins: PhysicalOffset,
}

impl Checked {
    pub(crate) fn of(io: &Arc<dyn LogIo>, dir: &Path) -> Result<Self, SurveyError> {
        let folder = dir.join("checkpoint");
        let is_empty = log::segment_names(io.as_ref(), dir)?.is_empty();
        let (stands, header) = checkpoint::stands(io, &folder, is_empty)?;
        let bounds = Header::decode(&header).and_then(|header| State::bounds_in(header.state));
        Ok(Self {
            // Whole or not: a checkpoint that has its name was durable, and so was the log up to there.
            reaches: Checkpoints::newest_named(io.as_ref(), &folder)?.unwrap_or_default(),
            stands,
            begins: bounds.map_or(PhysicalOffset(0), |bounds| bounds.start),
        })
    }

    pub(crate) fn ask<'a>(&'a self, given_up: &'a [(PhysicalOffset, PhysicalOffset)]) -> log::Ask<'a> {
        log::Ask {
            reaches: self.reaches,
            given_up,
            stands: &self.stands,
            begins: self.begins,
        }
    }
}

/// A checkpoint, understood.
pub(crate) struct Known {
    pub(crate) position: LogPosition,
    pub(crate) state: State,
    pub(crate) index: IndexPosition,
}

impl Known {
    pub(crate) fn of(loaded: &Loaded) -> Result<Self, RestoreError> {
        let header = Header::decode(&loaded.header).map_err(RestoreError::Header)?;
        let mut parts = Vec::new();
        for (key, bytes) in loaded.parts() {
            parts.push((
                ShardKey::from_numbers(key.kind, key.ids).map_err(RestoreError::Header)?,
                bytes,
            ));
        }
        Ok(Self {
            position: loaded.position,
            state: State::restore(header.state, parts)?,
            index: header.index,
        })
    }

    /// Where the index stands, given where it was begun anew.
    fn index_from(&self, begin: Option<Begin>) -> IndexPosition {
        match begin {
            // What it had open there has ended.
            Some(begin) if begin.physical == self.position.physical => self.index.at_segment_start(),
            // The next start begins it anew once more.
            Some(begin) if begin.physical > self.position.physical => IndexPosition {
                run: begin.run,
                ..IndexPosition::default()
            },
            _ => self.index,
        }
    }
}

fn names(state: &State) -> BTreeMap<TopicId, String> {
    let topics = state.tables().all_topics();
    topics
        .iter()
        .map(|topic| (topic.id, topic.spec.name.clone()))
        .collect()
}

fn known(loaded: &Loaded, folder: &Path, findings: &mut Findings) -> Option<Known> {
    match Known::of(loaded) {
        Ok(known) => Some(known),
        Err(error @ RestoreError::Level { .. }) => {
            findings.note(folder, error.to_string());
            None
        }
        Err(error) => {
            findings.derived(
                &checkpoint::root_path(folder, loaded.position),
                0,
                error.to_string(),
            );
            None
        }
    }
}
