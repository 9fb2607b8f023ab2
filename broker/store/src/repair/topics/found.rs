//! What all that stands around the lost part of a topic comes to: its name, its queues, and where these begin and end.

use super::{Topic, Topics, keep};
use crate::repair::queue::{Around, Decided, Evidence, decide};
use sluice_core::entry::LINKED;
use sluice_core::ids::{QueueId, TopicId};
use sluice_core::limits;
use sluice_core::state::{FoundTopic, dead_letter_topic};
use std::collections::{BTreeMap, HashSet};

impl Topic {
    /// Whether it is a group's for dead letters.
    fn holds_letters(&self) -> bool {
        let name = self.name.as_deref().unwrap_or_default();
        name.starts_with(&dead_letter_topic(""))
    }
}

/// What was found of a topic.
pub(in crate::repair) struct Found {
    pub(in crate::repair) topic: FoundTopic,
    pub(in crate::repair) queues: BTreeMap<u32, Decided>,
    /// Entries in its files from before the checkpoint.
    pub(in crate::repair) known: u64,
    /// Without a name its dead letters behind the checkpoint may make it anew, and topics that were made there get other numbers.
    pub(in crate::repair) shifts: bool,
    /// Nothing tells whether it was closed where the log begins.
    pub(in crate::repair) may_have_been_closed: bool,
}

impl Topics {
    /// What all of it comes to.
    pub(in crate::repair) fn finish(mut self) -> BTreeMap<TopicId, Found> {
        for (id, hold) in std::mem::take(&mut self.holds) {
            self.letters.hold(id, &hold, self.checkpoint.0);
        }
        let letters = &self.letters;
        self.dead.retain(|(_, event)| !letters.was_refused(event.at));
        let mut topics = std::mem::take(&mut self.topics);
        for topic in topics.values_mut() {
            topic.name = self.name_of(topic);
        }
        self.name_the_last(&mut topics);
        let found = topics.into_iter().map(|(id, topic)| (id, self.found(topic)));
        found.collect()
    }

    fn found(&self, mut topic: Topic) -> Found {
        self.bury(&mut topic);
        let count = self.count(&topic);
        let around = Around {
            begins: self.log.0,
            checkpoint: self.checkpoint,
            ends: self.log.1,
            gaps: &self.gaps,
            takes: self.takes(&topic),
        };
        let may_have_been_closed = self.may_have_been_closed(&topic);
        let mut queues = BTreeMap::new();
        let mut known = 0;
        for queue in 0..count.min(limits::QUEUES_MAX) {
            let mut evidence = topic.queues.remove(&queue).unwrap_or_default();
            known += evidence
                .known
                .values()
                .filter(|entry| entry.physical < self.checkpoint.0)
                .count() as u64;
            self.ends(&topic, queue, &mut evidence);
            queues.insert(queue, decide(&evidence, &around));
        }
        let spans = queues
            .iter()
            .map(|(queue, decided)| (*queue, (decided.first, decided.tail)));
        let topic = FoundTopic {
            name: topic.name,
            count,
            queues: spans.collect(),
        };
        Found {
            topic,
            queues,
            known,
            may_have_been_closed,
            shifts: self.makes_more && self.dead_later(),
        }
    }

    /// Its name; that of a dead-letter topic by the group whose dead letters stand in it.
    fn name_of(&self, topic: &Topic) -> Option<String> {
        let earlier = topic
            .earlier
            .as_ref()
            .map(|(_, earlier)| earlier.spec.name.clone());
        let known = earlier.or_else(|| topic.name.clone());
        known.or_else(|| {
            let entries = topic.queues.get(&0)?.known.values();
            let links: HashSet<_> = entries
                .filter(|entry| entry.flags & LINKED != 0)
                .map(|entry| (entry.physical, entry.put_ms))
                .collect();
            let mut dead = self.dead.iter();
            let (group, _) =
                dead.find(|(_, event)| links.contains(&(event.entry.physical, event.entry.put_ms)))?;
            Some(dead_letter_topic(self.groups.get(group)?))
        })
    }

    /// One topic without a name, and one group with dead letters of which no topic is known that they are in: there they are.
    fn name_the_last(&self, topics: &mut BTreeMap<TopicId, Topic>) {
        let named = topics.values().filter_map(|topic| topic.name.clone());
        let known: HashSet<String> = named.chain(self.names.iter().cloned()).collect();
        let before = self.dead.iter().filter(|(_, event)| event.at < self.checkpoint.0);
        let names = before.filter_map(|(group, _)| Some(dead_letter_topic(self.groups.get(group)?)));
        let names: HashSet<String> = names.filter(|name| !known.contains(name)).collect();
        let mut nameless = topics.values_mut().filter(|topic| topic.name.is_none());
        if let (Some(topic), None, 1) = (nameless.next(), nameless.next(), names.len()) {
            topic.name = names.into_iter().next();
        }
    }

    /// Whether there are dead letters behind the checkpoint.
    fn dead_later(&self) -> bool {
        let mut dead = self.dead.iter();
        self.untold_dead.is_some() || dead.any(|(_, event)| event.at >= self.checkpoint.0)
    }

    /// Puts the dead letters of its group among what was to go there.
    fn bury(&self, topic: &mut Topic) {
        if !topic.holds_letters() {
            return;
        }
        let name = topic.name.clone().unwrap_or_default();
        let is_known = self.groups.values().any(|group| dead_letter_topic(group) == name);
        let evidence = topic.queues.entry(0).or_default();
        for (group, event) in &self.dead {
            let is_its = match self.groups.get(group) {
                Some(group) => dead_letter_topic(group) == name,
                None => !is_known,
            };
            if is_its {
                keep(evidence, *event, event.at >= self.checkpoint.0, true);
            }
        }
        evidence.events.make_contiguous().sort_by_key(|event| event.at);
        evidence.behind.make_contiguous().sort_by_key(|event| event.at);
        if let Some(at) = self.untold_dead {
            evidence.untold = Some((evidence.untold.map_or(0, |(untold, _)| untold) + 1, at));
        }
    }

    /// How many queues anything tells of. What was put behind the checkpoint comes with its command.
    fn count(&self, topic: &Topic) -> u32 {
        let end = self.checkpoint.0;
        let puts = topic.name.as_ref().and_then(|name| self.put.get(name));
        let puts = puts.map(Vec::as_slice).unwrap_or_default();
        let put = puts.iter().find(|(at, _)| *at >= end).map(|(at, _)| *at);
        let before = puts
            .iter()
            .filter(|(at, _)| *at < end)
            .map(|(_, spec)| spec.queues);
        let appended = topic
            .behind
            .iter()
            .filter(|(_, at)| put.is_none_or(|put| **at < put));
        let earlier = topic.earlier.as_ref().map(|(_, earlier)| earlier.spec.queues);
        let numbers = topic.queues.keys().chain(appended.map(|(queue, _)| queue));
        let numbers = numbers.map(|last| last.saturating_add(1));
        numbers.chain(before).chain(earlier).chain([1]).max().unwrap_or(1)
    }

    /// Whether it has surely taken all that was to go there: all that is known of it takes messages of these kinds.
    fn takes(&self, topic: &Topic) -> bool {
        let puts = topic.name.as_ref().and_then(|name| self.put.get(name));
        let specs = puts.into_iter().flatten().map(|(_, spec)| spec);
        let earlier = topic.earlier.as_ref().map(|(_, earlier)| &earlier.spec);
        specs
            .chain(earlier)
            .all(|spec| !spec.closed && topic.kinds.iter().all(|kind| spec.types.take(*kind)))
    }

    /// Whether it may have refused what was sent to it where the log begins. Dead letters come to closed topics too.
    fn may_have_been_closed(&self, topic: &Topic) -> bool {
        let earlier = topic.earlier.as_ref();
        let is_told = earlier.is_some_and(|(at, _)| *at >= self.log.0);
        let made = topic.name.as_ref().and_then(|name| self.made.get(name));
        !is_told && made.is_none() && !topic.holds_letters()
    }

    /// Where a queue ended at places of the log.
    fn ends(&self, topic: &Topic, queue: u32, evidence: &mut Evidence) {
        let begins = self.log.0;
        if let Some((at, earlier)) = &topic.earlier {
            // One that it has got since was empty.
            let end = earlier.tail(QueueId(queue)).unwrap_or_default().0;
            evidence.at_least = evidence.at_least.max(end);
            if *at >= begins {
                evidence.ends.push((*at, end));
            }
        }
        // Dead letters stand in their order, and their records in another: where these begin tells of no place of the log.
        let is_in_order = !topic.holds_letters();
        let of_queue = topic.minimums.iter();
        let of_queue = of_queue.filter(|(of, ..)| *of == queue && is_in_order);
        let mut at_begin = None;
        for (_, at, first) in of_queue {
            if *at > begins {
                evidence.ends.push((*at, *first));
            } else if self.trimmed.contains(&begins) {
                at_begin = at_begin.max(Some(*first));
            }
        }
        if self.begins_as_then
            && at_begin.is_none()
            && topic.untouched.contains(&queue)
            && evidence.first_at_least == 0
        {
            at_begin = Some(0);
        }
        evidence.ends.extend(at_begin.map(|first| (begins, first)));
        let made = topic.name.as_ref().and_then(|name| self.made.get(name));
        if let Some(at) = made.filter(|at| **at < self.checkpoint.0)
            && evidence.events.front().is_none_or(|event| event.at > *at)
            && evidence.known.values().all(|entry| entry.physical > *at)
        {
            evidence.ends.push((*at, 0));
        }
    }
}
