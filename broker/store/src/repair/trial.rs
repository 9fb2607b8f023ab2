//! The fold over what a repair leaves of the log, before anything is changed: whether what follows a loss still means what it
//! meant.
//!
//! Behind the first loss whose commands no checkpoint counts in it is not known how many topics, groups and messages there were.
//! Topics and groups get their ids one after another. So each message must still go to the topic whose name its record has,
//! and no command may name an id that nothing has: else a topic or a group was made in what is lost. A group that was made behind the loss,
//! and is named, may be another one: nothing tells, for groups are named by their ids alone.

use crate::log::{Frame, LogPosition, Seen};
use sluice_core::command::{Append, COMMAND_HEADER_BYTES, Command, LOST, check, holds_behind_a_loss};
use sluice_core::ids::{GroupId, GroupQueueId, LogIndex, PhysicalOffset, TimeMs, TopicId};
use sluice_core::record::Record;
use sluice_core::state::{CommandAt, Refused, State};
use std::collections::{BTreeMap, BTreeSet};

/// The fold, from a checkpoint or from the log's first frame on.
pub(super) struct Trial {
    start: LogPosition,
    state: State,
    /// The first loss that the checkpoint does not count in.
    unsure_from: Option<PhysicalOffset>,
    /// Where the log is going to end.
    end: Option<PhysicalOffset>,
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
    /// Commands that are given up, and the groups that they are about.
    pub(super) void: u64,
    pub(super) groups: BTreeSet<GroupId>,
    /// Groups that were made behind the first loss, and are named by what follows: it was about others if a group was made in what is
    /// lost.
    pub(super) unsure_groups: BTreeSet<GroupId>,
    /// Messages that can be read and stand where the log is not going to be any more, by topic.
    pub(super) cut: BTreeMap<String, u64>,
    /// Frames there.
    pub(super) cut_frames: u64,
}

impl Trial {
    pub(super) fn new(
        start: LogPosition,
        state: State,
        unsure_from: Option<PhysicalOffset>,
        end: Option<PhysicalOffset>,
    ) -> Self {
        Self {
            start,
            state,
            unsure_from,
            end,
            ids_before: None,
            problem: None,
            lost_before: None,
            meets_end: end == Some(start.physical),
            bounds_before: None,
            since: None,
            void: 0,
            groups: BTreeSet::new(),
            unsure_groups: BTreeSet::new(),
            cut: BTreeMap::new(),
            cut_frames: 0,
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
            Seen::Frame(frame, _) | Seen::Partly(frame) if is_cut => self.count_cut(frame),
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

    fn count_cut(&mut self, frame: &Frame) {
        self.cut_frames += 1;
        for (_, _, bytes) in frame.commands() {
            let Ok((_, command)) = Command::decode(&bytes) else {
                continue;
            };
            if let Command::Append(append) = &command {
                *self.cut.entry(topic_of(append)).or_default() += 1;
            }
            if let Some(id) = named(&command) {
                self.void += 1;
                self.groups.insert(id.group);
            }
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
        let (topics, groups) = *self.ids_before.get_or_insert_with(|| self.state.next_ids());
        self.since.get_or_insert_with(|| self.state.now());
        self.bounds_before
            .get_or_insert_with(|| self.state.tables().bounds().start);
        let Ok((_, command)) = Command::decode(bytes) else {
            return;
        };
        if let Some(id) = named(&command) {
            let (topic, group) = (id.at.topic, id.group);
            let (next_topic, next_group) = self.state.next_ids();
            if topic >= next_topic || group >= next_group {
                return self.made_there(at.physical);
            }
            self.groups.insert(group);
        }
        self.unsure_groups
            .extend(group_of(&command).filter(|group| *group >= groups));
        if !holds_behind_a_loss(kind) {
            self.void += 1;
            return;
        }
        let answer = self.state.apply(at, bytes, &mut ());
        match (command, answer) {
            // Ids below are not given again: it was refused when it came.
            (Command::Append(append), Err(Refused::NoTopic(_))) if append.at.topic < topics => {}
            (Command::Append(append), answer) => {
                let topic = self.state.tables().topic_by_id(append.at.topic);
                let fits = topic.is_some_and(|topic| topic.spec.name == topic_of(&append));
                if answer.is_err() || !fits {
                    self.made_there(at.physical);
                }
            }
            (_, Err(Refused::NoTopic(topic))) if topic >= topics => self.made_there(at.physical),
            (_, Err(Refused::NoGroup(group))) if group >= groups => self.made_there(at.physical),
            _ => {}
        }
    }

    fn made_there(&mut self, at: PhysicalOffset) {
        self.problem = Some(format!(
            "what follows stands on a topic or a group that was made or changed in what is lost (see offset {at}): it would go to another one"
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
mod tests {
    use super::*;
    use crate::log::{FrameBuilder, FrameKind, ShardUuid};
    use bytes::Bytes;
    use sluice_core::command::{CreateTopic, EncodedCommand, NewMessage, Types};
    use sluice_core::ids::Term;
    use sluice_core::record::NewRecord;

    fn frame(index: u64, at: u64, command: &EncodedCommand) -> Frame {
        let seed = ShardUuid::default().into();
        let (index, at) = (LogIndex(index), PhysicalOffset(at));
        let mut bytes = Vec::new();
        let mut builder = FrameBuilder::begin(&mut bytes, seed, at, Term(1), index, FrameKind::Commands);
        builder.push(command.as_bytes());
        builder.finish();
        Frame::check(&Bytes::from(bytes), seed, 1 << 20).unwrap()
    }

    fn topic(name: &str) -> EncodedCommand {
        let spec = CreateTopic {
            name: name.to_owned(),
            queues: 1,
            types: Types::ALL,
        };
        spec.encode(1)
    }

    fn message(id: u32, name: &str) -> EncodedCommand {
        let host = "127.0.0.1:1".parse().unwrap();
        let record = NewRecord {
            topic: name,
            queue: 0,
            body: b"body",
            properties: b"",
            born_ms: 5,
            born_host: host,
            store_ms: 5,
            store_host: host,
        };
        let message = NewMessage {
            topic: TopicId(id),
            tag: None,
            message_group: None,
            record,
        };
        message.encode()
    }

    /// Whether what follows the loss of `lost`, of so many topics, still means what it did.
    fn is_safe(before: &[EncodedCommand], behind: &[EncodedCommand]) -> bool {
        let lost_at = PhysicalOffset(10_000);
        let mut trial = Trial::new(LogPosition::default(), State::new(), Some(lost_at), None);
        for (n, command) in (0..).zip(before) {
            trial.see(Seen::Frame(&frame(n, n * 1000, command), false));
        }
        trial.see(Seen::Gap(lost_at));
        for (n, command) in (0..).zip(behind) {
            trial.see(Seen::Frame(&frame(50 + n, 20_000 + n * 1000, command), false));
        }
        trial.problem.is_none()
    }

    #[test]
    fn a_message_that_would_go_to_another_topic_is_noticed_by_its_records_topic() {
        let a = topic("a");
        assert!(is_safe(
            std::slice::from_ref(&a),
            &[message(0, "a"), topic("b"), message(1, "b")]
        ));
        // Of three topics the second was made in what is lost: the third one has its id now.
        assert!(!is_safe(std::slice::from_ref(&a), &[topic("c"), message(1, "b")]));
        assert!(!is_safe(std::slice::from_ref(&a), &[topic("c"), message(2, "c")]));
        assert!(!is_safe(&[], &[message(0, "a")]));
        assert!(is_safe(&[a], &[topic("c")]));
    }
}
