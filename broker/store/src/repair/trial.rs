//! The fold over what a repair leaves of the log, before anything is changed: whether what follows a loss still means what it
//! meant.
//!
//! Behind the first loss whose commands no checkpoint counts in it is not known how many topics, groups and messages there were.
//! Topics and groups get their ids one after another. So each message must still go to the topic whose name its record has,
//! and no command may name an id that nothing has: else a topic or a group was made in what is lost. A topic or a group that was made behind
//! the loss, and is named by its id alone, may be another one ([`Named`]). And what administrators changed under terms that only the loss
//! fulfilled is refused now ([`Changes`]). What groups did is given up, and done again but for moves back ([`Moves`]). Messages get lower offsets
//! ([`Lowered`]).

mod changes;
mod lowered;
mod moves;
mod named;

pub(super) use changes::Changes;
pub(super) use lowered::Lowered;
pub(super) use moves::Moves;
pub(super) use named::Named;

use crate::log::{Frame, LogPosition, Seen};
use sluice_core::command::{Append, COMMAND_HEADER_BYTES, Command, LOST, check, holds_behind_a_loss};
use sluice_core::ids::{
    GroupId, GroupQueueId, LogIndex, PhysicalOffset, QueueOffset, TimeMs, TopicId, TopicQueue,
};
use sluice_core::record::Record;
use sluice_core::state::{Applied, CommandAt, Refused, State, dead_letter_topic};
use std::collections::{BTreeMap, BTreeSet};

/// The fold, from a checkpoint or from the log's first frame on.
pub(super) struct Trial {
    start: LogPosition,
    state: State,
    /// The first loss that the checkpoint does not count in.
    unsure_from: Option<PhysicalOffset>,
    /// Where the log is going to end.
    end: Option<PhysicalOffset>,
    /// Where its first segment begins.
    first: PhysicalOffset,
    ids_before: Option<(TopicId, GroupId)>,
    /// Why it cannot be done.
    pub(super) problem: Option<String>,
    /// The frame that it cannot pass, for what was lost in it before.
    pub(super) lost_before: Option<PhysicalOffset>,
    /// Whether a frame begins, or cannot be read, where the log is going to end.
    pub(super) meets_end: bool,
    /// Where state says that the log begins, at the first loss.
    bounds_before: Option<PhysicalOffset>,
    /// State's time at the first loss.
    pub(super) since: Option<TimeMs>,
    /// Commands that are given up, and the groups that get messages again by that.
    pub(super) void: u64,
    pub(super) groups: BTreeSet<GroupId>,
    pub(super) moves: Moves,
    /// Where messages behind the first loss go.
    pub(super) lowered: Lowered,
    /// Those that were made behind the first loss, and are named by what follows: it was about others if one was made or deleted in what
    /// is lost.
    pub(super) named_topics: Named<TopicId>,
    pub(super) named_groups: Named<GroupId>,
    /// What administrators changed, and may have come to nothing.
    pub(super) changes: Changes,
    /// Messages that can be read and stand where the log is not going to be any more, by topic.
    pub(super) cut: BTreeMap<String, u64>,
    /// Messages that were carried there, from before the log's first segment.
    pub(super) cut_carried: Vec<(TopicQueue, QueueOffset)>,
    /// Frames there.
    pub(super) cut_frames: u64,
    /// The bytes of those that are whole, and the messages in them.
    cut_bytes: u64,
    cut_messages: u64,
    /// Those of which some commands are damaged, and the messages in them that can be read.
    cut_partly: u64,
    cut_partly_messages: u64,
}

impl Trial {
    pub(super) fn new(
        start: LogPosition,
        state: State,
        unsure_from: Option<PhysicalOffset>,
        end: Option<PhysicalOffset>,
        first: PhysicalOffset,
    ) -> Self {
        Self {
            start,
            state,
            unsure_from,
            end,
            first,
            ids_before: None,
            problem: None,
            lost_before: None,
            meets_end: end == Some(start.physical),
            bounds_before: None,
            since: None,
            void: 0,
            groups: BTreeSet::new(),
            moves: Moves::default(),
            lowered: Lowered::default(),
            named_topics: Named::default(),
            named_groups: Named::default(),
            changes: Changes::default(),
            cut: BTreeMap::new(),
            cut_carried: Vec::new(),
            cut_frames: 0,
            cut_bytes: 0,
            cut_messages: 0,
            cut_partly: 0,
            cut_partly_messages: 0,
        }
    }

    /// The state at the end.
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Where state says that the log begins, before the first command behind a loss.
    pub(super) fn bounds_before(&self) -> Option<PhysicalOffset> {
        self.bounds_before
    }

    /// Takes in what stands next in the log.
    pub(super) fn see(&mut self, seen: Seen<'_>) {
        let at = seen.at();
        self.meets_end |= self.end == Some(at);
        if at < self.start.physical || self.problem.is_some() {
            return;
        }
        let is_cut = self.end.is_some_and(|end| at >= end);
        match seen {
            Seen::Frame(frame, _) if is_cut => {
                self.cut_messages += self.count_cut(frame);
                self.cut_bytes += frame.end().0 - frame.start().0;
            }
            Seen::Partly(frame) if is_cut => {
                self.cut_partly_messages += self.count_cut(frame);
                self.cut_partly += 1;
            }
            Seen::Frame(frame, _) | Seen::Partly(frame) => self.frame(frame),
            Seen::Lost(_) if !is_cut => self.cannot_pass(at, at),
            Seen::Gap(_) | Seen::Lost(_) => {}
        }
    }

    /// `frame` is where the frame begins that stands at `at`, or has it.
    fn cannot_pass(&mut self, frame: PhysicalOffset, at: PhysicalOffset) {
        self.lost_before = Some(frame);
        self.problem = Some(format!(
            "what stood at offset {at} was lost before, and no whole checkpoint behind it says what state was there"
        ));
    }

    /// Answers how many messages of it can be read.
    fn count_cut(&mut self, frame: &Frame) -> u64 {
        self.cut_frames += 1;
        let mut messages = 0;
        for (_, _, bytes) in frame.commands() {
            let Ok((_, command)) = Command::decode(&bytes) else {
                continue;
            };
            match &command {
                Command::Append(append) => {
                    *self.cut.entry(topic_of(append)).or_default() += 1;
                    messages += 1;
                }
                Command::Carry(carry) if carry.old < self.first => {
                    let places = carry.places.iter().map(|place| (place.at, place.offset));
                    self.cut_carried.extend(places);
                    messages += carry.places.len() as u64;
                }
                _ => {}
            }
            if let Some(id) = named(&command) {
                self.void += 1;
                self.note_group(&command, id.group);
            }
        }
        messages
    }

    /// What of that is not damaged, behind what is said of the end; nothing if nothing stands there at all.
    pub(super) fn cut_in_words(&self, is_damaged: bool) -> String {
        let frames = |count: u64, what: &str| match count {
            1 => format!("one {what}frame"),
            count => format!("{count} {what}frames"),
        };
        let messages = |count: u64| match count {
            1 => "one message".to_owned(),
            count => format!("{count} messages"),
        };
        let whole = self.cut_frames - self.cut_partly;
        let mut parts = Vec::new();
        if whole > 0 {
            let (frames, messages) = (frames(whole, "whole "), messages(self.cut_messages));
            parts.push(format!("{frames} ({} bytes, {messages})", self.cut_bytes));
        }
        if self.cut_partly > 0 {
            let messages = messages(self.cut_partly_messages);
            let frames = frames(self.cut_partly, "");
            parts.push(format!("{frames} of which a part can be read ({messages})"));
        }
        match parts.is_empty() {
            true if is_damaged => ", of which nothing can be read".to_owned(),
            true => String::new(),
            false => format!(", with {}", parts.join(" and ")),
        }
    }

    /// Takes note of the group of a command that is given up.
    fn note_group(&mut self, command: &Command<'_>, group: GroupId) {
        let gets_none = match command {
            Command::SetFloor(moves) => self.moves.take_in(moves, self.state.tables()),
            _ => false,
        };
        if !gets_none {
            self.groups.insert(group);
        }
    }

    fn frame(&mut self, frame: &Frame) {
        let header = frame.header();
        let next = self.state.next_index();
        if header.index > next {
            let last = LogIndex(header.index.0 - 1);
            self.state.end_frames(header.term, next, last);
        }
        for (place, physical, bytes) in frame.commands() {
            let at = CommandAt {
                index: header.index,
                place,
                physical,
            };
            // What is damaged is what is lost.
            if check(&bytes).is_ok() {
                self.command(header.physical, at, &bytes);
            }
        }
        self.state
            .end_frames(header.term, header.index, header.last_index());
    }

    fn command(&mut self, frame: PhysicalOffset, at: CommandAt, bytes: &[u8]) {
        let kind = bytes.get(COMMAND_HEADER_BYTES).copied().unwrap_or_default();
        if kind == LOST {
            return self.cannot_pass(frame, at.physical);
        }
        let is_unsure = self.unsure_from.is_some_and(|from| at.physical >= from);
        if !is_unsure {
            // Refused or not, it is what it was.
            let _ = self.state.apply(at, bytes, &mut ());
            return;
        }
        let (topics, groups) = self.ids_before.unwrap_or_else(|| self.begin_unsure());
        let Ok((_, command)) = Command::decode(bytes) else {
            return;
        };
        if let Some(id) = named(&command) {
            let (topic, group) = (id.at.topic, id.group);
            let (next_topic, next_group) = self.state.next_ids();
            if topic >= next_topic || group >= next_group {
                return self.made_there(at.physical);
            }
            self.note_group(&command, group);
        }
        self.note_names(&command, (topics, groups));
        if !holds_behind_a_loss(kind) {
            self.void += 1;
            return;
        }
        self.changes.before(&command, self.state.tables());
        let answer = self.state.apply(at, bytes, &mut ());
        self.changes.after(&command, &answer);
        self.note_refusal(&command, &answer);
        let (next_topic, next_group) = self.state.next_ids();
        match (command, answer) {
            // Ids below are not given again: it was refused when it came, or is told.
            (Command::Append(append), Err(Refused::NoTopic(_))) if append.at.topic < topics => {}
            (Command::Append(append), answer) => {
                let topic = self.state.tables().topic_by_id(append.at.topic);
                let fits = topic.is_some_and(|topic| topic.spec.name == topic_of(&append));
                match answer.is_ok() && fits {
                    true => {
                        self.named_topics.told(append.at.topic);
                        self.lowered.take_in(append.at);
                    }
                    false => self.made_there(at.physical),
                }
            }
            (_, Err(Refused::NoTopic(topic))) if topic >= next_topic => self.made_there(at.physical),
            (_, Err(Refused::NoGroup(group))) if group >= next_group => self.made_there(at.physical),
            _ => {}
        }
    }

    /// Takes note of what state is at the first loss.
    fn begin_unsure(&mut self) -> (TopicId, GroupId) {
        self.since = Some(self.state.now());
        self.bounds_before = Some(self.state.tables().bounds().start);
        self.lowered = Lowered::at_the_loss(self.state.tables());
        *self.ids_before.insert(self.state.next_ids())
    }

    /// Takes note of what is named by its id alone, and of what may have given an id to a topic or a group that the fold does not make, or the
    /// other way about.
    fn note_names(&mut self, command: &Command<'_>, (topics, groups): (TopicId, GroupId)) {
        let tables = self.state.tables();
        let (next_topic, next_group) = self.state.next_ids();
        if let Some(group) = group_of(command).filter(|group| *group >= groups) {
            let found = tables.group_by_id(group);
            self.named_groups
                .name(group, found.map(|group| group.spec.name.clone()));
        }
        let topic = match command {
            Command::Subscribe(subscribe) => Some(subscribe.topic),
            Command::DeleteTopic(delete) => Some(delete.topic),
            _ => None,
        };
        if let Some(topic) = topic.filter(|topic| *topic >= topics) {
            let found = tables.topic_by_id(topic);
            self.named_topics
                .name(topic, found.map(|topic| topic.spec.name.clone()));
        }
        match command {
            // Whether there was something to do then depends on what is lost and on what is void.
            Command::DeleteTopic(delete) if delete.only_if_empty => self.named_topics.may_shift(next_topic),
            Command::DeleteGroup(delete) if delete.only_if_empty => self.named_groups.may_shift(next_group),
            // The first one of a group makes its topic, and is void now.
            Command::DeadLetter(dead) => {
                let group = tables.group_by_id(dead.id.group);
                let topic = group.and_then(|group| tables.topic(&dead_letter_topic(&group.spec.name)));
                if topic.is_none() {
                    self.named_topics.may_shift(next_topic);
                }
            }
            _ => {}
        }
    }

    /// What the fold refuses for an epoch or a level that is lost may have been made.
    fn note_refusal(&mut self, command: &Command<'_>, answer: &Applied) {
        let is_by_loss = match answer {
            Err(Refused::Epoch { epoch, present, .. }) => epoch > present,
            Err(Refused::Malformed(_)) => true,
            _ => false,
        };
        let (topic, group) = self.state.next_ids();
        match command {
            Command::PutTopic(_) if is_by_loss => self.named_topics.may_shift(topic),
            Command::PutGroup(_) if is_by_loss => self.named_groups.may_shift(group),
            _ => {}
        }
    }

    fn made_there(&mut self, at: PhysicalOffset) {
        self.problem = Some(format!(
            "what follows stands on a topic or a group that was made or changed in what is lost, or by a dead letter behind it that is given up (see offset {at}): it would go to another one"
        ));
    }
}

fn topic_of(append: &Append<'_>) -> String {
    Record::parse(append.record).map_or_else(|_| String::new(), |record| record.topic.to_owned())
}

/// The group and the queue that a command about a group's messages is about.
fn named(command: &Command<'_>) -> Option<GroupQueueId> {
    match command {
        Command::Deliver(deliver) => Some(deliver.id),
        Command::Settle(settle) => Some(settle.id),
        Command::Release(release) => Some(release.id),
        Command::DeadLetter(dead) => Some(dead.id),
        Command::Unanswered(unanswered) => Some(unanswered.id),
        Command::SetFloor(floor) => Some(floor.id),
        // A message that was handed back is settled.
        _ => None,
    }
}

/// The group that a command names.
fn group_of(command: &Command<'_>) -> Option<GroupId> {
    match command {
        Command::Subscribe(subscribe) => Some(subscribe.group),
        Command::SubscribeAt(subscribe) => Some(subscribe.group),
        Command::DeleteGroup(delete) => Some(delete.group),
        other => named(other).map(|id| id.group),
    }
}

#[cfg(test)]
mod tests;
