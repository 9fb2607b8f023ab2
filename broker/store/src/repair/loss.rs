//! What is lost with a repair, as far as it can be known.

use super::RepairError;
use super::range::Range;
use super::trial::Trial;
use crate::applier::spans;
use crate::io::LogIo;
use crate::queue::each_entry;
use crate::survey::Survey;
use sluice_core::command::Command;
use sluice_core::ids::{PhysicalOffset, QueueOffset, TimeMs, TopicQueue};
use sluice_core::record::Record;
use sluice_core::state::State;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One place that is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The part of the log; `None` if it is no part of it.
    pub range: Option<Range>,
    /// The file.
    pub file: PathBuf,
    /// Where in the file, in bytes.
    pub file_offset: u64,
    /// What is lost there.
    pub what: String,
}

/// Messages of one topic, and where it is known of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostMessages {
    /// The topic's name.
    pub topic: String,
    /// The queue, where it is known.
    pub queue: Option<u32>,
    /// How many are lost.
    pub messages: u64,
    /// The least and the greatest of their offsets, where they are known.
    pub offsets: Option<(u64, u64)>,
    /// Groups for which some of them still wait.
    pub groups: Vec<String>,
}

/// What is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Where.
    pub places: Vec<Place>,
    /// Frames that are lost, as far as they can be counted.
    pub frames: u64,
    /// Messages that are lost.
    pub messages: Vec<LostMessages>,
    /// Whether these are all, but for what may have been one.
    pub messages_are_all: bool,
    /// Commands that are lost alone and may have been a message each.
    pub may_be_messages: u64,
    /// Deliveries, acknowledgements and the like behind the loss that are given up, and since when.
    pub void_commands: u64,
    /// State's time at the loss, where commands are given up.
    pub since: Option<TimeMs>,
    /// Groups that get messages again that they had already.
    pub groups_again: Vec<String>,
    /// State's time where the log is going to end: what came since is given up, known or not.
    pub ends_at: Option<TimeMs>,
    /// What takes the place of parts of state that cannot be read, in words.
    pub state: Vec<String>,
    /// What may be lost besides and nobody can know, and what somebody must be told, in words.
    pub warnings: Vec<String>,
}

impl Default for Loss {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            frames: 0,
            messages: Vec::new(),
            messages_are_all: true,
            may_be_messages: 0,
            void_commands: 0,
            since: None,
            groups_again: Vec::new(),
            ends_at: None,
            state: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

impl Loss {
    /// Whether something is given up that held frames, or a part of one.
    pub fn gives_up(&self) -> bool {
        let mut ranges = self.places.iter().filter_map(|place| place.range);
        ranges.any(|range| range.to != Some(range.from))
    }

    /// Takes note that more may be lost than is known.
    pub(super) fn may_be_more(&mut self, why: String) {
        self.messages_are_all = false;
        self.warnings.push(why);
    }

    pub(super) fn add_trial(&mut self, trial: &Trial, ends: bool) {
        let tables = trial.state().tables();
        self.void_commands = trial.void;
        self.ends_at = ends.then(|| trial.state().now());
        self.since = trial.since.or(self.ends_at);
        let groups = trial.groups.iter().filter_map(|group| tables.group_by_id(*group));
        self.groups_again = groups.map(|group| group.spec.name.clone()).collect();
        self.warnings.extend(trial.moves.in_words(tables));
        self.frames += trial.cut_frames;
        for (topic, messages) in &trial.cut {
            self.add(topic, *messages);
        }
    }

    fn add(&mut self, topic: &str, messages: u64) {
        let same = |lost: &&mut LostMessages| lost.topic == topic && lost.queue.is_none();
        match self.messages.iter_mut().find(same) {
            Some(lost) => lost.messages += messages,
            None => self.messages.push(LostMessages {
                topic: topic.to_owned(),
                queue: None,
                messages,
                offsets: None,
                groups: Vec::new(),
            }),
        }
    }

    /// Counts a command that stands in what is lost and is whole. What was carried is lost with it only if the log has the place no
    /// more from which it was carried: that is before `first`.
    pub(super) fn add_command(&mut self, command: &[u8], first: PhysicalOffset) {
        let (record, messages) = match Command::decode(command) {
            Ok((_, Command::Append(append))) => (append.record, 1),
            Ok((_, Command::Carry(carry))) if carry.old < first => (carry.record, carry.places.len()),
            _ => return,
        };
        if let Ok(record) = Record::parse(record) {
            self.add(record.topic, messages as u64);
        }
    }
}

/// Messages by where they stand in queues.
pub(super) type Found = BTreeMap<TopicQueue, BTreeSet<QueueOffset>>;

/// The messages that stand in these parts of the log: all of them, where queue files are whole. One that retention has carried
/// stands where it was carried to.
pub(super) fn standing_in(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    state: &State,
    ranges: &[(PhysicalOffset, PhysicalOffset)],
) -> Result<Found, RepairError> {
    let tables = state.tables();
    let mut found = Found::new();
    for (from, to) in ranges {
        for (at, offset) in tables.carried_standing(*from, *to, usize::MAX) {
            found.entry(at).or_default().insert(offset);
        }
    }
    each_entry(io, &dir.join("queue"), &spans(state), &mut |at, offset, entry| {
        let is_within =
            |(from, to): &(PhysicalOffset, PhysicalOffset)| (*from..*to).contains(&entry.physical);
        if ranges.iter().any(is_within) && tables.carried(at, offset).is_none() {
            found.entry(at).or_default().insert(offset);
        }
    })?;
    Ok(found)
}

/// What was carried behind the log's new end from places that the log has no more.
pub(super) fn carried_in_the_cut(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    survey: &Survey,
    trial: &Trial,
) -> Result<Found, RepairError> {
    let (tables, first) = (trial.state().tables(), survey.log.first.physical);
    let start = tables.bounds().start;
    let mut found = Found::new();
    // Where it is known that segments are missing, what they held is told apart.
    if start < first && survey.log.began.is_none() {
        found = standing_in(io, dir, trial.state(), &[(start, first)])?;
    }
    // Retention takes queue files as well, so that their entries may be gone.
    for (at, offset) in &trial.cut_carried {
        let stands = tables.carried(*at, *offset);
        if stands.is_none_or(|entry| entry.physical < first) {
            found.entry(*at).or_default().insert(*offset);
        }
    }
    Ok(found)
}

/// Adds messages of which it is known where they stand in queues.
pub(super) fn add_found(state: &State, found: Found, loss: &mut Loss) {
    let tables = state.tables();
    for (at, offsets) in found {
        let topic = tables.topic_by_id(at.topic);
        let groups = tables
            .subscribers_of(at.topic)
            .into_iter()
            .filter(|(_, subscription)| {
                let shard = subscription.shards.get(at.queue.0 as usize);
                let waits = |offset: &QueueOffset| {
                    shard.is_some_and(|shard| {
                        shard.read(|held| held.is_fresh(*offset) || held.pending(*offset).is_some())
                    })
                };
                offsets.iter().any(waits)
            });
        let names = groups.filter_map(|(group, _)| tables.group_by_id(group));
        loss.messages.push(LostMessages {
            // One that was made in what is given up has no name.
            topic: topic.map_or_else(
                || format!("topic with the id {}", at.topic),
                |topic| topic.spec.name.clone(),
            ),
            queue: Some(at.queue.0),
            messages: offsets.len() as u64,
            offsets: offsets
                .first()
                .zip(offsets.last())
                .map(|(first, last)| (first.0, last.0)),
            groups: names.map(|group| group.spec.name.clone()).collect(),
        });
    }
}
