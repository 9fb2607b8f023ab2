//! What a repair will do, and whether it may.

use super::covered;
use super::diagnosis::may_be_a_message;
use super::loss::{self, Loss, Place};
use super::make::{self, Segments};
use super::places::{self, Places};
use super::range::{self, Range};
use super::state::{self, NewState};
use super::trial::Trial;
use super::{RepairError, describe};
use crate::checkpoint::{self, Checkpoints};
use crate::index::sorted_files_from;
use crate::io::{BadBlocks, LogIo, SkippingIo};
use crate::log::{self, Change, LogDamage, LogPosition, Lost, Meta, PAGE_BYTES};
use crate::survey::{Checked, Depth, Findings, Known, Survey, survey_without};
use sluice_core::ids::{LogIndex, PhysicalOffset};
use sluice_core::state::State;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const RESTORE: &str = "restore the log from a backup";

/// A repair that may be done.
#[derive(Debug)]
pub struct Plan {
    /// The broker's folder.
    pub(super) dir: PathBuf,
    /// What is lost with it.
    pub loss: Loss,
    /// Whether it was done before.
    pub is_done: bool,
    /// By rising base.
    pub(super) changes: Vec<Change>,
    pub(super) checkpoints_gone: Vec<PhysicalOffset>,
    /// Files of the index that hold what will not be.
    pub(super) index_gone: Vec<PathBuf>,
    pub(super) segments_gone: Vec<PhysicalOffset>,
    pub(super) newest_segment: Option<PhysicalOffset>,
    /// What meta is to say, where it is made anew.
    pub(super) new_meta: Option<Meta>,
    /// A checkpoint that takes the place of one that cannot be read.
    pub(super) new_state: Option<NewState>,
    /// Segments whose first page nobody can tell, and in whose place others come.
    pub(super) unreadable: Vec<PhysicalOffset>,
    /// What the disk did not give when it was decided: all else must still be there.
    pub(super) bad: BadBlocks,
}

/// What somebody agrees to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accepted<'a> {
    /// Parts of the log that are given up, in order.
    pub ranges: &'a [Range],
    /// As many parts that are damaged, each without its name.
    pub places: &'a [Places],
    /// Whether they may cover whole frames that are not damaged.
    pub wider: bool,
    /// Whether meta may be made again where both files are lost.
    pub new_meta: bool,
    /// Whether what cannot be read of the newest checkpoint is given up; then nothing else is done.
    pub lost_state: bool,
}

/// Decides how to go on without what is `accepted`. Reads everything, and changes nothing; no broker may run over the folder.
pub fn plan(io: &Arc<dyn LogIo>, dir: &Path, accepted: &Accepted<'_>) -> Result<Plan, RepairError> {
    let bad = BadBlocks::default();
    let io = match accepted.lost_state {
        true => SkippingIo::noting(io, &bad),
        false => SkippingIo::but_checkpoints(io, dir, &bad),
    };
    let plan = past_bad_blocks(&io, dir, accepted)?;
    Ok(Plan { bad, ..plan })
}

fn past_bad_blocks(io: &Arc<dyn LogIo>, dir: &Path, accepted: &Accepted<'_>) -> Result<Plan, RepairError> {
    if accepted.lost_state {
        return state::plan(io, dir);
    }
    let mut found = survey_without(io, dir, Depth::Everything, &[])?;
    let damaged = range::needed(&found.log.damage);
    let ranges = places::spelled_out(dir, accepted, &found)?;
    let accepted = &Accepted {
        ranges: &ranges,
        places: &[],
        ..*accepted
    };
    let mut given_up = Vec::new();
    if accepted.wider {
        given_up = places::within_segments(accepted.ranges, &found);
        found = survey_without(io, dir, Depth::Everything, &given_up)?;
    }
    let (ranges, end) = match accepted.ranges.split_last() {
        Some((Range { from, to: None }, before)) => (before, Some(*from)),
        _ => (accepted.ranges, None),
    };
    let is_done = covered::check(dir, &found, &damaged, (ranges, end), accepted)?;
    // A first page is made again where the log is to end right behind it.
    let stays = |damage: &&LogDamage| match damage.lost {
        Lost::Page { .. } => end.is_none_or(|end| damage.from <= end),
        _ => end.is_none_or(|end| damage.from < end),
    };
    let damage: Vec<LogDamage> = found.log.damage.iter().filter(stays).cloned().collect();
    // What stands behind the end may be left of a repair that was stopped.
    if is_done && found.log.unreadable.is_empty() {
        return Ok(Plan {
            is_done,
            ..Plan::nothing(dir)
        });
    }
    Planner {
        io,
        dir,
        found: &found,
        given_up: &given_up,
        accepted,
        damaged: &damaged,
        damage,
        end,
    }
    .plan()
}

impl Plan {
    /// One that changes nothing.
    pub(super) fn nothing(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            loss: Loss::default(),
            is_done: false,
            changes: Vec::new(),
            checkpoints_gone: Vec::new(),
            index_gone: Vec::new(),
            segments_gone: Vec::new(),
            newest_segment: None,
            new_meta: None,
            new_state: None,
            unreadable: Vec::new(),
            bad: BadBlocks::default(),
        }
    }
}

pub(super) struct Planner<'a> {
    pub(super) io: &'a Arc<dyn LogIo>,
    pub(super) dir: &'a Path,
    pub(super) found: &'a Survey,
    pub(super) given_up: &'a [(PhysicalOffset, PhysicalOffset)],
    pub(super) accepted: &'a Accepted<'a>,
    /// What is damaged, without what is given up besides.
    pub(super) damaged: &'a [Range],
    /// Before the log's new end.
    pub(super) damage: Vec<LogDamage>,
    pub(super) end: Option<PhysicalOffset>,
}

impl Planner<'_> {
    fn plan(&self) -> Result<Plan, RepairError> {
        if self.found.log.segments.is_empty() {
            return self.begin_again();
        }
        let newest = self.usable_checkpoint();
        let is_loss = |damage: &&LogDamage| !matches!(damage.lost, Lost::Page { .. });
        let behind =
            |damage: &&LogDamage| newest.is_none_or(|newest| damage.to.is_none_or(|to| to > newest.physical));
        let unsure = self.damage.iter().filter(is_loss).find(behind);
        // Where a checkpoint stands in the middle of a loss, the loss is two.
        let unsure_from = unsure.map(|damage| match (damage.lost, newest) {
            (Lost::Frames { .. }, Some(newest)) => damage.from.max(newest.physical),
            _ => damage.from,
        });
        let void_from = unsure.and_then(|damage| damage.to);
        let is_unsure =
            |damage: &LogDamage| unsure_from.is_some_and(|from| damage.to.is_none_or(|to| to > from));
        let (unsure, sure): (Vec<LogDamage>, Vec<LogDamage>) =
            self.damage.iter().cloned().partition(is_unsure);
        let mut loss = self.places()?;
        let folds = unsure_from.is_some() || self.end.is_some();
        if folds {
            let trial = self.try_fold(unsure_from)?;
            loss.add_trial(&trial, self.end.is_some());
            self.add_cut(&trial, &mut loss);
            if void_from.is_some() {
                loss.warnings.push(trial.lowered.in_words(trial.state().tables()));
            }
            loss.places.extend(self.unsure(&trial, &unsure)?);
            if self.end.is_some() {
                let found = loss::carried_in_the_cut(self.io, self.dir, self.found, &trial)?;
                loss::add_found(trial.state(), found, &mut loss);
            }
        }
        self.add_standing(newest, sure, &mut loss)?;
        self.add_surviving(&unsure, &mut loss)?;
        self.warn(&mut loss);
        let gone_from = [unsure_from, self.end].into_iter().flatten().min();
        let index_gone = gone_from.map_or(Ok(Vec::new()), |from| self.index_gone(from))?;
        let segments = Segments::of(self.found);
        let changes = make::changes(&segments, &self.damage, newest, unsure_from, void_from, self.end)?;
        let mut checkpoints = Checkpoints::named(self.io.as_ref(), &self.dir.join("checkpoint"))?;
        checkpoints.sort_unstable();
        let last_base = changes.last().map(|change| change.header.base);
        let last = self.end.and(last_base);
        let is_behind = |base: &PhysicalOffset| last.is_some_and(|last| *base > last);
        let (behind, unreadable): (Vec<_>, Vec<_>) =
            self.found.log.unreadable.iter().copied().partition(is_behind);
        let bases = self.found.log.segments.iter().map(|segment| segment.base);
        let mut segments_gone: Vec<_> = bases.filter(is_behind).chain(behind).collect();
        segments_gone.sort_unstable();
        Ok(Plan {
            loss,
            changes,
            checkpoints_gone: checkpoints
                .into_iter()
                .filter(|at| gone_from.is_some_and(|from| *at > from))
                .collect(),
            index_gone,
            segments_gone,
            newest_segment: last,
            new_meta: self.new_meta(),
            unreadable,
            ..Plan::nothing(self.dir)
        })
    }

    /// What the newest checkpoint says to stand in what is lost before it.
    fn add_standing(
        &self,
        newest: Option<LogPosition>,
        sure: Vec<LogDamage>,
        loss: &mut Loss,
    ) -> Result<(), RepairError> {
        let state = newest.map_or(Ok(None), |newest| self.load(newest))?;
        let Some(state) = state else {
            loss.messages_are_all &= self.found.log.began.is_none();
            return Ok(());
        };
        let sure: Vec<_> = (self.gone_before().into_iter().chain(sure))
            .filter(|damage| !matches!(damage.lost, Lost::Page { .. }))
            .filter_map(|damage| Some((damage.from, damage.to?)))
            .collect();
        let found = loss::standing_in(self.io, self.dir, &state, &sure)?;
        loss::add_found(&state, found, loss);
        loss.messages_are_all &= sure.is_empty() || !self.queues_are_damaged();
        Ok(())
    }

    /// The newest checkpoint that is left, from which the next start goes on. What queue files lack is found again there as far as
    /// it can be, and a damaged index begins anew.
    fn usable_checkpoint(&self) -> Option<LogPosition> {
        let stays = |at: PhysicalOffset| self.end.is_none_or(|end| at <= end);
        let mut whole = self.found.checkpoints.iter().rev().filter(|found| found.whole);
        whole
            .find(|found| stays(found.position.physical))
            .map(|found| found.position)
    }

    /// Whether something of the queue files is damaged or missing.
    fn queues_are_damaged(&self) -> bool {
        let folder = self.dir.join("queue");
        let mut damage = self.found.findings.damage.iter();
        damage.any(|damage| damage.file.starts_with(&folder))
    }

    /// What is damaged, in words.
    fn places(&self) -> Result<Loss, RepairError> {
        let mut loss = Loss::default();
        loss.places.extend(self.about_meta());
        loss.places.extend(self.gone_before().map(|gone| Place {
            range: None,
            file: gone.file,
            file_offset: gone.file_offset,
            what: gone.what,
        }));
        let bases: Vec<PhysicalOffset> = self.found.log.segments.iter().map(|found| found.base).collect();
        for damage in &self.damage {
            if let Lost::Frames { count, .. } = damage.lost {
                loss.frames += count;
            }
            loss.places.push(Place {
                range: Some(range::of(damage)),
                file: damage.file.clone(),
                file_offset: damage.file_offset,
                what: describe(self.io.as_ref(), self.dir, damage, &bases)?,
            });
        }
        if let Some(end) = self.end {
            let base = bases.iter().rev().find(|base| **base <= end).copied();
            let base = base.unwrap_or(self.found.log.first.physical);
            loss.places.push(Place {
                range: Some(Range { from: end, to: None }),
                file: log::file_of(self.dir, base),
                file_offset: PAGE_BYTES + end.0.saturating_sub(base.0),
                what: format!("the log ends at offset {end}, and everything behind is given up"),
            });
        }
        Ok(loss)
    }

    /// Folds what will be left.
    fn try_fold(&self, unsure_from: Option<PhysicalOffset>) -> Result<Trial, RepairError> {
        let limit = [unsure_from, self.end].into_iter().flatten().min();
        let limit = limit.unwrap_or(self.found.log.end.physical);
        let (start, state) = self.state_before(limit)?;
        let mut trial = Trial::new(start, state, unsure_from, self.end, self.found.log.first.physical);
        let known = Checked::of(self.io, self.dir)?;
        let ask = known.ask(self.given_up);
        let log = log::survey(
            self.io.as_ref(),
            self.dir,
            &ask,
            &mut Findings::default(),
            &mut |seen, _| {
                trial.see(seen);
            },
        )?;
        // An end behind what was lost before is none that can be reached.
        let lost = trial.lost_before.filter(|at| *at <= limit);
        let more = || lost.map_or_else(|| self.give_up_the_end(limit), |at| self.end_at(at));
        let restore = || format!("{RESTORE}, or give up more: {}", more());
        if let Some(problem) = &trial.problem {
            return Err(RepairError::refused(problem.clone(), restore()));
        }
        if let Some(end) = self.end
            && !trial.meets_end
            && log.end.physical != end
        {
            return Err(RepairError::refused(
                format!("no frame begins at offset {end}"),
                RESTORE,
            ));
        }
        let first = self.found.log.first.physical;
        if self.end.is_none() && trial.bounds_before().is_some_and(|start| start < first) {
            let what = "retention has taken files of which state does not know before what is lost";
            return Err(RepairError::refused(what, restore()));
        }
        Ok(trial)
    }

    /// The newest whole checkpoint up to `limit`, or the empty state where the log begins at its first frame.
    pub(super) fn state_before(&self, limit: PhysicalOffset) -> Result<(LogPosition, State), RepairError> {
        let before = self.found.checkpoints.iter().rev();
        for found in before.filter(|found| found.whole && found.position.physical <= limit) {
            if let Some(state) = self.load(found.position)? {
                return Ok((found.position, state));
            }
        }
        if self.found.log.first.index == LogIndex(0) {
            return Ok((LogPosition::default(), State::new()));
        }
        Err(RepairError::refused(
            format!("no whole checkpoint stands before offset {limit}"),
            RESTORE,
        ))
    }

    pub(super) fn load(&self, at: LogPosition) -> Result<Option<State>, RepairError> {
        let loaded = checkpoint::load(self.io, &self.dir.join("checkpoint"), at.physical)?;
        Ok(Known::of(&loaded).ok().map(|known| known.state))
    }

    /// The files of the index that hold what stands behind `from`: it will not be the same, and a start takes them for what it would
    /// write. A start that then lacks items makes all of the index again, or begins it anew where it cannot.
    pub(super) fn index_gone(&self, from: PhysicalOffset) -> Result<Vec<PathBuf>, RepairError> {
        let left = self.found.checkpoints.iter().rev();
        let mut left = left.filter(|found| found.whole && found.position.physical <= from);
        let folder = self.dir.join("checkpoint");
        let known = left
            .next()
            .map(|found| checkpoint::load(self.io, &folder, found.position.physical));
        let known = known.transpose()?.and_then(|loaded| Known::of(&loaded).ok());
        let run = known.map_or(0, |known| known.index.run);
        Ok(sorted_files_from(self.io, &self.dir.join("index"), run)?)
    }

    /// Messages that are still whole where nothing else tells what there was.
    fn add_surviving(&self, damage: &[LogDamage], loss: &mut Loss) -> Result<(), RepairError> {
        let has_file = |damage: &LogDamage| {
            let mut segments = self.found.log.segments.iter();
            segments.any(|segment| segment.base <= damage.from)
        };
        for damage in damage {
            if let (Lost::Frames { .. }, Some(to), true) = (damage.lost, damage.to, has_file(damage)) {
                let base = Segments::of(self.found).holding(damage.from);
                let path = log::file_of(self.dir, base);
                let range = (damage.from, to);
                let all = log::surviving_commands(self.io.as_ref(), &path, base, range, &mut |command| {
                    loss.add_command(command, self.found.log.first.physical);
                })?;
                loss.messages_are_all &= all;
            } else if matches!(damage.lost, Lost::Command { .. }) {
                loss.may_be_messages += u64::from(may_be_a_message(damage));
            } else if !matches!(damage.lost, Lost::Page { .. }) {
                loss.messages_are_all = false;
            }
        }
        if self.end.is_some() {
            loss.messages_are_all = false;
        }
        Ok(())
    }
}
