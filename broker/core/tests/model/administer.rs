//! What administrators do: topics grow, close and go, groups change, go and are moved.

use super::machine::{Machine, id_of};
use super::reference::{At, Expected, Hold, Model, Status};
use super::steps::{MoveTo, Step};
use sluice_core::command::{
    DeleteGroup, DeleteTopic, EncodedCommand, GroupSpec, PutGroup, PutTopic, SetFloor, Standing, StartFrom,
    Target, Terms,
};
use sluice_core::ids::{GroupId, QueueOffset, TopicId};
use sluice_core::state::{Done, Put, Refused};
use std::collections::BTreeSet;

impl Model {
    /// The living topic that a step's number means.
    pub fn topic(&self, number: u8) -> usize {
        let living: Vec<usize> = (0..self.topics.len())
            .filter(|topic| !self.topics[*topic].gone)
            .collect();
        living[number as usize % living.len()]
    }

    pub fn living_groups(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.groups.len()).filter(|group| !self.gone_groups.contains(group))
    }

    /// The living group that a step's number means.
    pub fn group(&self, number: u8) -> usize {
        let living: Vec<usize> = self.living_groups().collect();
        living[number as usize % living.len()]
    }

    /// Whether the next choice may be made: in another order than the last one only if nothing is offered.
    pub fn keeps_order(&mut self, at: At) -> bool {
        let fifo = self.groups[at.0].1.fifo;
        let is_free = self.reserved(at).is_empty();
        let Some(hold) = self.holds.get_mut(&at) else {
            return true;
        };
        if hold.in_order != fifo && is_free {
            hold.in_order = fifo;
        }
        hold.in_order == fifo
    }

    /// What a choice from it stands on.
    pub fn standing(&self, at: At) -> Standing {
        Standing {
            in_order: self.groups[at.0].1.fifo,
            moves: self.holds.get(&at).map_or(0, |hold| hold.moves),
        }
    }

    pub fn grow(&mut self, topic: u8, more: u32) -> Expected {
        self.command();
        let topic = self.topic(topic);
        let (before, more) = (self.topics[topic].queues.len(), more as usize);
        self.topics[topic].queues.resize(before + more, Vec::new());
        let of_topic = self.holds.keys().filter(|at| at.1 == topic);
        let groups: Vec<usize> = of_topic.map(|at| at.0).collect();
        for group in groups {
            for queue in before..before + more {
                self.holds.entry((group, topic, queue)).or_default();
            }
        }
        Expected::Put(Some(more > 0))
    }

    pub fn close(&mut self, topic: u8, closed: bool) -> Expected {
        self.command();
        let topic = self.topic(topic);
        let before = std::mem::replace(&mut self.topics[topic].closed, closed);
        Expected::Put(Some(before != closed))
    }

    pub fn put_group(&mut self, group: u8, fifo: bool, max_attempts: u16) -> Expected {
        self.command();
        let group = self.group(group);
        let is_pending = |status: &Status| matches!(status, Status::Pending(_));
        let mut holds = self.holds.iter().filter(|(at, _)| at.0 == group);
        let in_use = holds.any(|(_, hold)| hold.status.values().any(is_pending));
        let spec = &mut self.groups[group].1;
        let same = (spec.fifo, spec.max_attempts) == (fifo, max_attempts);
        if spec.fifo != fifo && in_use {
            return Expected::Put(None);
        }
        (spec.fifo, spec.max_attempts) = (fifo, max_attempts);
        Expected::Put(Some(!same))
    }

    /// Any but the first topic.
    pub fn delete_topic(&mut self, topic: u8) -> Expected {
        let topic = self.topic(topic);
        if topic == 0 {
            return Expected::Nothing;
        }
        self.command();
        let holds: Vec<At> = self.holds.keys().filter(|at| at.1 == topic).copied().collect();
        let undone = match holds.is_empty() {
            true => Some(
                self.topics[topic]
                    .queues
                    .iter()
                    .map(|queue| queue.iter().filter(|message| !message.gone).count() as u64)
                    .sum(),
            ),
            false => holds.iter().map(|at| self.undone(*at)).sum(),
        };
        self.topics[topic].gone = true;
        self.forget(|at| at.1 == topic);
        Expected::Deleted(undone)
    }

    /// Any but the first two groups.
    pub fn delete_group(&mut self, group: u8) -> Expected {
        let group = self.group(group);
        if group < 2 {
            return Expected::Nothing;
        }
        self.command();
        let holds = self.holds.keys().filter(|at| at.0 == group);
        let undone = holds.map(|at| self.undone(*at)).sum();
        self.gone_groups.insert(group);
        self.forget(|at| at.0 == group);
        Expected::Deleted(undone)
    }

    fn forget(&mut self, is_gone: impl Fn(&At) -> bool) {
        self.holds.retain(|at, _| !is_gone(at));
        self.plans.retain(|plan| !is_gone(&plan.at));
        self.handles.retain(|handle| !is_gone(&handle.at));
    }

    /// Messages that are not done; none where a filter may have passed some by.
    fn undone(&self, at: At) -> Option<u64> {
        let hold = &self.holds[&at];
        let done = |offset: &usize| hold.status.get(offset) == Some(&Status::Done);
        let undone = (hold.start..self.messages(at).len()).filter(|offset| !done(offset));
        self.groups[at.0]
            .1
            .filter
            .is_none()
            .then(|| undone.count() as u64)
    }

    /// Where to, as a command says it. What a filter has passed by the model does not know, nor so where the group stands.
    pub fn target(&self, at: At, to: MoveTo) -> Target {
        let filtered = self.groups[at.0].1.filter.is_some();
        match to {
            MoveTo::Newest(count) => Target::Newest(count),
            MoveTo::Offset(number) if !filtered => Target::Offset(QueueOffset(
                u64::from(number) % (self.messages(at).len() as u64 + 2),
            )),
            MoveTo::Latest | MoveTo::Offset(_) => Target::Latest,
        }
    }

    pub fn move_hold(&mut self, hold: u8, to: MoveTo) -> Expected {
        let Some(at) = self.hold(hold) else {
            return Expected::Nothing;
        };
        self.command();
        let (now, tail, target) = (self.now, self.messages(at).len(), self.target(at, to));
        let knows = self.groups[at.0].1.filter.is_none();
        let gone = self.messages(at).iter().enumerate();
        let gone: BTreeSet<usize> = gone.filter(|(_, m)| m.gone).map(|(offset, _)| offset).collect();
        let Some(hold) = self.holds.get_mut(&at) else {
            return Expected::Nothing;
        };
        let done = |hold: &Hold, offset: usize| hold.status.get(&offset) == Some(&Status::Done);
        let floor = (hold.start..tail)
            .find(|offset| !done(hold, *offset))
            .unwrap_or(tail);
        let held = |hold: &Hold, below: usize| {
            let held = |status: &Status| matches!(status, Status::Pending(held) if held.until > now);
            hold.status
                .range(..below)
                .filter(|(_, status)| held(status))
                .count() as u64
        };
        let to = match target {
            Target::Offset(offset) => tail.min(offset.0 as usize),
            Target::Latest => tail,
            Target::Newest(count) => floor.max(tail.saturating_sub(count as usize)),
        };
        if matches!(target, Target::Offset(_)) && to <= floor {
            let above = (floor..tail).filter(|offset| done(hold, *offset)).count();
            let repeated = floor - to + above - gone.range(to..).count();
            let voided = held(hold, usize::MAX);
            hold.status = gone.iter().map(|offset| (*offset, Status::Done)).collect();
            hold.start = to;
            hold.moves += 1;
            return Expected::Moved(Some((0, repeated as u64)), voided);
        }
        let skipped = (floor..to).filter(|offset| !done(hold, *offset)).count() as u64;
        let voided = held(hold, to);
        hold.status = hold.status.split_off(&to);
        hold.start = hold.start.max(to);
        Expected::Moved(knows.then_some((skipped, 0)), voided)
    }
}

impl<const FAULT: u8> Machine<FAULT> {
    pub fn put_topic(&mut self, model: &Model, step: &Step) -> Expected {
        let (Step::Grow { topic, .. } | Step::Close { topic, .. }) = step else {
            return Expected::Nothing;
        };
        let topic = &model.topics[model.topic(*topic)];
        let present = self.node.state.tables().topic(&topic.name).unwrap();
        let mut spec = present.spec.clone();
        (spec.queues, spec.closed) = (topic.queues.len() as u32, topic.closed);
        let put = PutTopic {
            spec,
            keep_queues: false,
            terms: Terms::default(),
        };
        self.put(put.encode(self.wall))
    }

    pub fn put_group(&mut self, model: &Model, step: &Step) -> Expected {
        let Step::PutGroup {
            group,
            fifo,
            max_attempts,
        } = step
        else {
            return Expected::Nothing;
        };
        let (name, _) = &model.groups[model.group(*group)];
        let present = self.node.state.tables().group(name).unwrap();
        let spec = GroupSpec {
            fifo: *fifo,
            max_attempts: *max_attempts,
            ..present.spec.clone()
        };
        assert!(matches!(spec.start_from, StartFrom::Earliest | StartFrom::Latest));
        let terms = Terms {
            expected_generation: Some(present.generation),
            epoch: 0,
        };
        self.put(PutGroup { spec, terms }.encode(self.wall))
    }

    fn put(&mut self, command: EncodedCommand) -> Expected {
        match self.node.propose_one(command) {
            Ok(Done::TopicPut { how, .. } | Done::GroupPut { how, .. }) => {
                Expected::Put(Some(how == Put::Changed))
            }
            Err(Refused::InUse(_)) => Expected::Put(None),
            other => panic!("something put, not {other:?}"),
        }
    }

    /// Deletes what the model has deleted.
    pub fn delete(&mut self, model: &Model) -> Expected {
        let Expected::Deleted(expected) = model.expected else {
            return Expected::Nothing;
        };
        let (tables, terms) = (self.node.state.tables(), Terms::default());
        let topics = tables.all_topics().into_iter().map(|topic| topic.id);
        let topic = topics
            .into_iter()
            .find(|topic| model.topics[topic.0 as usize].gone);
        let mut groups = tables.all_groups().into_iter().map(|group| group.id);
        let only_if_empty = expected == Some(0);
        let command = match topic {
            Some(topic) => DeleteTopic {
                topic,
                only_if_empty,
                terms,
            }
            .encode(self.wall),
            None => DeleteGroup {
                group: groups
                    .find(|group| model.gone_groups.contains(&(group.0 as usize)))
                    .unwrap(),
                only_if_empty,
                terms,
            }
            .encode(self.wall),
        };
        let undone = match self.node.propose_one(command) {
            Ok(Done::TopicDeleted(undone) | Done::GroupDeleted(undone)) => undone,
            other => panic!("a deletion, not {other:?}"),
        };
        let is_gone = |group: GroupId, topic: TopicId| {
            model.gone_groups.contains(&(group.0 as usize)) || model.topics[topic.0 as usize].gone
        };
        self.cursors.retain(|id, _| !is_gone(id.group, id.at.topic));
        self.waiting
            .retain(|waiting| !is_gone(waiting.id.group, waiting.id.at.topic));
        Expected::Deleted(expected.map(|_| undone))
    }

    pub fn move_hold(&mut self, model: &Model, hold: u8, to: MoveTo) -> Expected {
        let Some(at) = model.hold(hold) else {
            return Expected::Nothing;
        };
        let (id, target) = (id_of(at), model.target(at, to));
        let command = SetFloor { id, target, epoch: 0 };
        let moved = match self.node.propose_one(command.encode(self.wall)) {
            Ok(Done::Moved(moved)) => moved,
            other => panic!("a move, not {other:?}"),
        };
        let knows = model.groups[at.0].1.filter.is_none();
        let told = knows.then_some((moved.skipped, moved.repeated));
        Expected::Moved(told, moved.voided)
    }
}
