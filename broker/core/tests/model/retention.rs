//! Retention: records leave in the order in which they were written, but for those that are written again.

use super::machine::{Fault, Machine, id_of};
use super::reference::{Expected, Hold, Model, Status};
use super::steps::Carries;
use sluice_core::command::{Minimum, NewCarry, Place, Trim};
use sluice_core::ids::{PhysicalOffset, QueueOffset, TopicQueue};
use sluice_core::state::Done;
use std::collections::BTreeMap;

/// Topic, queue, offset.
pub type Stand = (usize, usize, usize);

impl Model {
    /// Where messages stand that are not gone, by the age of their records.
    fn by_age(&self) -> BTreeMap<u64, Vec<Stand>> {
        let mut standing: BTreeMap<u64, Vec<Stand>> = BTreeMap::new();
        for (topic, queues) in self.topics.iter().enumerate().filter(|(_, topic)| !topic.gone) {
            for (queue, messages) in queues.queues.iter().enumerate() {
                for (offset, message) in messages.iter().enumerate().filter(|(_, message)| !message.gone) {
                    standing
                        .entry(message.age)
                        .or_default()
                        .push((topic, queue, offset));
                }
            }
        }
        standing
    }

    /// Whether a message is to be written again there.
    fn is_carried(&self, (topic, queue, offset): Stand, carries: Carries) -> bool {
        let messages = &self.topics[topic].queues[queue];
        let linked = messages[offset].linked;
        // A queue cannot begin behind what stays: what was linked behind it must stay too.
        if linked && messages[..offset].iter().any(|message| message.age >= self.cut) {
            return true;
        }
        let is_pending = |status: &Status| matches!(status, Status::Pending(_));
        let mut holds = self.holds.iter().filter(|(at, _)| (at.1, at.2) == (topic, queue));
        match carries {
            Carries::Nothing => false,
            Carries::Waiting => {
                linked || holds.any(|(_, hold)| hold.status.get(&offset).is_some_and(is_pending))
            }
            Carries::Topic => topic == 0,
        }
    }

    pub fn retain(&mut self, part: u8, carries: Carries) -> Expected {
        self.command();
        let cut = self.writes * u64::from(part) / 200;
        self.cut = self.cut.max(cut.min(self.writes));
        self.carried.clear();
        let standing = self.by_age();
        for stands in standing.range(..self.cut).map(|(_, stands)| stands) {
            let carried = stands
                .iter()
                .copied()
                .filter(|stand| self.is_carried(*stand, carries));
            let carried: Vec<Stand> = carried.collect();
            if carried.is_empty() {
                continue;
            }
            for (topic, queue, offset) in &carried {
                self.topics[*topic].queues[*queue][*offset].age = self.writes;
            }
            self.writes += 1;
            self.carried.push(carried);
        }
        for (topic, queue, offset) in self.by_age().range(..self.cut).flat_map(|(_, stands)| stands) {
            self.topics[*topic].queues[*queue][*offset].gone = true;
            let of_queue = |at: &(usize, usize, usize)| (at.1, at.2) == (*topic, *queue);
            for (_, hold) in self.holds.iter_mut().filter(|(at, _)| of_queue(at)) {
                let before = hold.status.insert(*offset, Status::Done);
                hold.expired += u64::from(*offset >= hold.start && before != Some(Status::Done));
            }
        }
        Expected::Nothing
    }

    /// A place in a queue, taken now.
    pub fn hold_from(&self, topic: usize, queue: usize, start: usize) -> Hold {
        let messages = self.topics[topic].queues[queue].iter().enumerate();
        let gone = messages.filter(|(_, message)| message.gone);
        Hold {
            start,
            status: gone.map(|(offset, _)| (offset, Status::Done)).collect(),
            ..Hold::default()
        }
    }
}

impl<const FAULT: u8> Machine<FAULT> {
    fn place(&self, (topic, queue, offset): Stand) -> Place {
        let (at, offset) = (id_of((0, topic, queue)).at, QueueOffset(offset as u64));
        let entry = self.node.queues.current(at, offset).unwrap();
        Place { at, offset, entry }
    }

    /// Ends links, carries what the model carried, and lets the log begin later.
    pub fn retain(&mut self, model: &Model) -> Expected {
        let start = self.written.get(model.cut as usize).copied();
        let start = start.unwrap_or_else(|| PhysicalOffset(self.node.end()));
        let before = self.node.state.tables().bounds().start;
        self.trim(before, start, Vec::new());
        for (number, stands) in model.carried.iter().enumerate() {
            if FAULT == Fault::CARRY_IS_LEFT_OUT && number == 0 {
                self.written.push(start);
                continue;
            }
            let places: Vec<Place> = stands.iter().map(|stand| self.place(*stand)).collect();
            let carry = NewCarry {
                topic: places[0].at.topic,
                old: places[0].entry.physical,
                record: b"a record",
                places: &places,
            };
            let done = self.node.propose_one(carry.encode(self.wall));
            assert_eq!(done, Ok(Done::Carried(places.len() as u64)));
            let stands = self.node.queues.current(places[0].at, places[0].offset);
            self.written.push(stands.unwrap().physical);
        }
        let queues = &self.node.queues;
        let minimums = queues.0.iter().filter_map(|(at, entries)| {
            let leaves = |offset: &usize| {
                let entry = queues.current(*at, QueueOffset(*offset as u64));
                entry.is_some_and(|entry| entry.physical < start)
            };
            let first = QueueOffset((0..entries.len()).rfind(leaves)? as u64 + 1);
            Some(Minimum { at: *at, first })
        });
        let minimums = minimums.collect();
        self.trim(start, start, minimums);
        Expected::Nothing
    }

    fn trim(&mut self, start: PhysicalOffset, links_from: PhysicalOffset, minimums: Vec<Minimum>) {
        let trim = Trim {
            start,
            links_from,
            minimums,
        };
        let done = self.node.propose_one(trim.encode(self.wall));
        assert!(matches!(done, Ok(Done::Trimmed(_))), "{done:?}");
    }

    /// What the log keeps of a queue.
    pub fn check_kept(&self, model: &Model, at: TopicQueue, stand: Stand) {
        let message = &model.topics[stand.0].queues[stand.1][stand.2];
        let entry = self.node.queues.current(at, QueueOffset(stand.2 as u64));
        assert_eq!(entry.is_none(), message.gone, "whether {stand:?} is gone");
        let written = entry.map(|entry| entry.physical);
        let expected = (!message.gone).then(|| self.written[message.age as usize]);
        assert_eq!(written, expected, "where {stand:?} is written");
    }
}
