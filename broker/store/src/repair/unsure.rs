//! Topics and groups of which nobody can tell whether what follows a loss is about them, and changes of theirs that may be lost with it.
//!
//! They get their ids one after another. If one was made or deleted in what is lost, or refused behind it, each that was made later has the id of another
//! one. Messages carry the name of their topic; what else names a topic or a group does so by the id alone.

use super::RepairError;
use super::loss::Place;
use super::plan::{Planner, RESTORE};
use super::range::{self, MAKE_META};
use super::trial::Trial;
use crate::log::{self, LogDamage, Lost};
use sluice_core::command::{COMMAND_HEADER_BYTES, Kind};

/// Bytes of a command that changes topics or groups at least: kind, time, and one number more.
const BYTES_MIN: u64 = COMMAND_HEADER_BYTES as u64 + 3;
/// What decides which ids topics have that are made later. A fence decides whether one is made at all, and a group's first dead letter makes its topic.
const TOPICS: [Kind; 5] = [
    Kind::CreateTopic,
    Kind::PutTopic,
    Kind::DeleteTopic,
    Kind::DeadLetter,
    Kind::Fence,
];
/// What decides it for groups.
const GROUPS: [Kind; 4] = [Kind::CreateGroup, Kind::PutGroup, Kind::DeleteGroup, Kind::Fence];
/// What decides whether later changes are taken.
const CHANGES: [Kind; 8] = [
    Kind::Level,
    Kind::CreateTopic,
    Kind::CreateGroup,
    Kind::PutTopic,
    Kind::PutGroup,
    Kind::DeleteTopic,
    Kind::DeleteGroup,
    Kind::Fence,
];

/// What is not sure, and what becomes of it.
struct Unsure<'a> {
    /// What nobody can tell.
    question: &'a str,
    /// What follows if it was.
    answer: &'a str,
    what: &'a str,
    names: Vec<&'a str>,
}

impl Planner<'_> {
    /// Refuses what would have topics or groups take the place of others, if some were made in what is lost. Nobody can tell that they were not: with
    /// leave it is done, and told. Tells what may be lost of their changes.
    pub(super) fn unsure(&self, trial: &Trial, unsure: &[LogDamage]) -> Result<Vec<Place>, RepairError> {
        let Some(first) = unsure.first() else {
            return Ok(Vec::new());
        };
        let by_loss = self.may_have(unsure, &TOPICS)?;
        let topics = Unsure {
            question: "a topic was made or deleted",
            answer: "what follows of it (who reads it, or that it is deleted) goes to a topic that was made later",
            what: "topics",
            names: trial.named_topics.unsure(by_loss.is_some()),
        };
        let mut places = Vec::new();
        places.extend(self.may_be_others(&topics, by_loss.unwrap_or(first))?);
        let by_loss = self.may_have(unsure, &GROUPS)?;
        let groups = Unsure {
            question: "a group was made or deleted",
            answer: "what follows of it goes to a group that was made later",
            what: "groups",
            names: trial.named_groups.unsure(by_loss.is_some()),
        };
        places.extend(self.may_be_others(&groups, by_loss.unwrap_or(first))?);
        let changes = self.may_have(unsure, &CHANGES)?;
        let told = trial.changes.in_words(changes.is_some(), trial.state().tables());
        places.extend(told.into_iter().map(|what| place(first, what)));
        Ok(places)
    }

    fn may_be_others(&self, unsure: &Unsure<'_>, damage: &LogDamage) -> Result<Option<Place>, RepairError> {
        let Unsure {
            question,
            answer,
            what: kind,
            names,
        } = unsure;
        if names.is_empty() {
            return Ok(None);
        }
        let what = format!(
            "nobody can tell whether {question} in what is lost from offset {} on, or by what is given up behind it; if one was, {answer} (one of: {})",
            damage.from,
            names.join(", ")
        );
        if self.accepted.wider {
            let what = format!("{what}: look at these {kind}, and make again what is missing");
            return Ok(Some(place(damage, what)));
        }
        let end = self.give_up_the_end(damage.from);
        let meta = if self.accepted.new_meta { MAKE_META } else { "" };
        let ranges = range::command_with(self.dir, self.accepted.ranges, self.damaged);
        let hint = format!(
            "{RESTORE}, or give up more: {end}; or keep what follows, and make {kind} again that are missing then: {ranges}{meta} --wider"
        );
        Err(RepairError::refused(what, hint))
    }

    /// The first damaged place in which a command of these kinds may have stood.
    fn may_have<'a>(
        &self,
        unsure: &'a [LogDamage],
        kinds: &[Kind],
    ) -> Result<Option<&'a LogDamage>, RepairError> {
        for damage in unsure {
            if self.may_have_had(damage, kinds)? {
                return Ok(Some(damage));
            }
        }
        Ok(None)
    }

    fn may_have_had(&self, damage: &LogDamage, kinds: &[Kind]) -> Result<bool, RepairError> {
        let bases = self.found.log.segments.iter().rev().map(|segment| segment.base);
        let base = bases.clone().find(|base| *base <= damage.from);
        let (Some(to), Some(base)) = (damage.to, base) else {
            return Ok(true);
        };
        let path = log::file_of(self.dir, base);
        let range = (damage.from, to);
        match damage.lost {
            Lost::Page { .. } => Ok(false),
            Lost::Command { .. } if to.0 - damage.from.0 < BYTES_MIN => Ok(false),
            Lost::Command { .. } => Ok(!log::was_message(self.io.as_ref(), &path, base, range)?),
            Lost::Frames { .. } => {
                let mut has = false;
                let visit = &mut |command: &[u8]| {
                    let kind = command.get(COMMAND_HEADER_BYTES);
                    has |= kind.is_some_and(|kind| kinds.iter().any(|one| *one as u8 == *kind));
                };
                let all = log::surviving_commands(self.io.as_ref(), &path, base, range, visit)?;
                Ok(!all || has)
            }
        }
    }
}

fn place(damage: &LogDamage, what: String) -> Place {
    Place {
        range: None,
        file: damage.file.clone(),
        file_offset: damage.file_offset,
        what,
    }
}
