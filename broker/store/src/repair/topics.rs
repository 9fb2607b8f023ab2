//! What stands around the lost part of a topic: queue files, holds, an earlier version, and the log before and behind the checkpoint.

mod found;
mod letters;

pub(super) use found::Found;

use super::queue::{Event, Evidence};
use crate::checkpoint::Readable;
use letters::{Letters, Verdict};
use sluice_core::codec::Malformed;
use sluice_core::command::{Append, Carry, Command, DeadLetter, MessageKind, Minimum, TopicSpec, Trim};
use sluice_core::entry::{CARRIED, LINKED, QueueEntry};
use sluice_core::ids::{
    DeliveryId, GroupId, GroupQueueId, PhysicalOffset, QueueOffset, TimeMs, TopicId, TopicQueue,
};
use sluice_core::record::Record;
use sluice_core::state::{HoldSpan, ShardKey, State, Topic as Known};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Entries and messages that are kept in mind, about 1 GiB of them. Of what is beyond, messages are counted.
const KEPT_MAX: usize = 1 << 23;

/// Topics whose parts are lost.
pub(super) struct Topics {
    /// Where the log begins, and where it ends.
    log: (PhysicalOffset, PhysicalOffset),
    /// Where the checkpoint stands, and its time.
    checkpoint: (PhysicalOffset, TimeMs),
    /// Whether the log begins where it did at the checkpoint.
    begins_as_then: bool,
    topics: BTreeMap<TopicId, Topic>,
    /// Groups whose names are known.
    groups: BTreeMap<GroupId, String>,
    /// Topics of which the checkpoint still knows.
    names: HashSet<String>,
    dead: Vec<(GroupId, Event)>,
    /// How many dead letters stand behind the checkpoint, whatever became of them.
    dead_behind: BTreeMap<GroupQueueId, u64>,
    /// The last one that was too many.
    untold_dead: Option<PhysicalOffset>,
    /// Which dead letters were accepted.
    letters: Letters,
    /// What groups held at the checkpoint, of those that are whole.
    holds: HashMap<GroupQueueId, HoldSpan>,
    /// Topics by name, as they were put.
    put: HashMap<String, Vec<(PhysicalOffset, TopicSpec)>>,
    /// Topics were made behind the checkpoint.
    makes_more: bool,
    /// Where a topic of a name was made, the first time.
    made: HashMap<String, PhysicalOffset>,
    /// Where the log was going to begin later.
    trimmed: HashSet<PhysicalOffset>,
    gaps: Vec<PhysicalOffset>,
    now: TimeMs,
    kept: usize,
    kept_max: usize,
}

#[derive(Default)]
struct Topic {
    name: Option<String>,
    earlier: Option<(PhysicalOffset, Known)>,
    queues: BTreeMap<u32, Evidence>,
    /// The kinds of its messages in the log.
    kinds: Vec<MessageKind>,
    /// By queue, where its first message stands behind the checkpoint.
    behind: BTreeMap<u32, PhysicalOffset>,
    /// Where the log was going to begin, with an offset at which a queue was to begin then.
    minimums: Vec<(u32, PhysicalOffset, u64)>,
    /// Queues in which no group has done anything.
    untouched: HashSet<u32>,
}

impl Topics {
    /// The topics that a checkpoint has lost. The log begins and ends there.
    pub(super) fn of(
        readable: &Readable,
        state: &[u8],
        log: (PhysicalOffset, PhysicalOffset),
    ) -> Result<Self, Malformed> {
        let (_, now) = State::level_and_time(state)?;
        let mut topics = Self {
            log,
            begins_as_then: State::bounds_in(state)?.start >= log.0,
            checkpoint: (readable.position.physical, now),
            topics: BTreeMap::new(),
            groups: BTreeMap::new(),
            names: HashSet::new(),
            dead: Vec::new(),
            dead_behind: BTreeMap::new(),
            untold_dead: None,
            letters: Letters::new(log.0),
            holds: HashMap::new(),
            put: HashMap::new(),
            makes_more: false,
            made: HashMap::new(),
            trimmed: HashSet::new(),
            gaps: Vec::new(),
            now: 0,
            kept: 0,
            kept_max: KEPT_MAX,
        };
        for (key, earlier) in &readable.lost {
            if let Ok(ShardKey::Topic(id)) = ShardKey::from_numbers(key.kind, key.ids) {
                let earlier = earlier.as_ref();
                let earlier = earlier.and_then(|found| Some((found.at, State::topic_in(id, &found.bytes)?)));
                topics.topics.insert(id, Topic::of(earlier));
            }
        }
        let whole = readable.parts.iter().map(|(key, bytes)| (key, Some(bytes), true));
        let lost = readable.lost.iter();
        let lost = lost.map(|(key, earlier)| (key, earlier.as_ref().map(|found| &found.bytes), false));
        let mut carried = HashSet::new();
        for (key, bytes, is_whole) in whole.chain(lost) {
            match ShardKey::from_numbers(key.kind, key.ids) {
                Ok(ShardKey::Group(id)) => {
                    let group = bytes.and_then(|bytes| State::group_in(id, bytes));
                    topics.groups.extend(group.map(|group| (id, group.spec.name)));
                }
                Ok(ShardKey::GroupQueue(id)) => {
                    let hold = bytes.and_then(|bytes| State::hold_in(bytes));
                    topics.hold(id, hold.as_ref(), is_whole);
                    topics
                        .holds
                        .extend(hold.filter(|_| is_whole).map(|hold| (id, hold)));
                }
                Ok(ShardKey::Topic(id)) if is_whole => {
                    let topic = bytes.and_then(|bytes| State::topic_in(id, bytes));
                    topics.names.extend(topic.map(|topic| topic.spec.name));
                }
                Ok(ShardKey::Carried(at, _)) => drop(carried.insert(at)),
                _ => {}
            }
        }
        for at in carried {
            if let Some(topic) = topics.topics.get_mut(&at.topic) {
                topic.untouched.remove(&at.queue.0);
                topic.queues.entry(at.queue.0).or_default();
            }
        }
        Ok(topics)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// By what stood where, how many dead letters the log has behind the checkpoint.
    pub(super) fn take_dead_behind(&mut self) -> BTreeMap<GroupQueueId, u64> {
        std::mem::take(&mut self.dead_behind)
    }

    /// Whether this topic's part is lost.
    pub(super) fn has(&self, topic: TopicId) -> bool {
        self.topics.contains_key(&topic)
    }

    fn hold(&mut self, id: GroupQueueId, hold: Option<&HoldSpan>, is_whole: bool) {
        let Some(topic) = self.topics.get_mut(&id.at.topic) else {
            return;
        };
        let evidence = topic.queues.entry(id.at.queue.0).or_default();
        if let Some(hold) = hold {
            evidence.at_least = evidence.at_least.max(hold.end);
            if is_whole && hold.floor == 0 {
                topic.untouched.insert(id.at.queue.0);
            }
        }
    }

    /// There are files of this queue.
    pub(super) fn file(&mut self, at: TopicQueue) {
        if let Some(topic) = self.topics.get_mut(&at.topic) {
            topic.queues.entry(at.queue.0).or_default();
        }
    }

    /// Takes in an entry of a file.
    pub(super) fn entry(&mut self, at: TopicQueue, offset: QueueOffset, entry: &QueueEntry) {
        let fits = self.kept < self.kept_max;
        if let Some(topic) = self.topics.get_mut(&at.topic) {
            let evidence = topic.queues.entry(at.queue.0).or_default();
            if !fits && let Some((least, _)) = evidence.known.pop_first() {
                // The last ones tell where it ends.
                let (more, before) = evidence.more.unwrap_or((0, least));
                evidence.more = Some((more + 1, least.min(before)));
            }
            self.kept += usize::from(fits);
            evidence.known.insert(offset.0, *entry);
        }
    }

    /// Something cannot be read there.
    pub(super) fn gap(&mut self, at: PhysicalOffset) {
        self.gaps.push(at);
        self.letters.gap();
    }

    /// Takes in a whole command; `id` is its number as deliveries have it.
    pub(super) fn command(&mut self, id: DeliveryId, at: PhysicalOffset, bytes: &[u8]) {
        let Ok((time, command)) = Command::decode(bytes) else {
            return;
        };
        self.now = self.now.max(time);
        self.letters.command(id, at, self.now, &command);
        match command {
            Command::Append(append) => self.append(at, &append, bytes.len() as u32),
            Command::Carry(carry) => self.carry(at, &carry),
            Command::DeadLetter(dead) => self.dead(id, at, &dead),
            Command::Trim(trim) => self.trim(at, &trim),
            Command::Expire(expire) => expire
                .minimums
                .iter()
                .for_each(|minimum| self.begins(at, minimum)),
            Command::CreateTopic(made) => {
                self.made.entry(made.name.clone()).or_insert(at);
                self.put(at, made.into());
            }
            Command::PutTopic(put) => {
                if put.terms.expected_generation == Some(0) {
                    self.made.entry(put.spec.name.clone()).or_insert(at);
                }
                let queues = if put.keep_queues { 0 } else { put.spec.queues };
                self.put(at, TopicSpec { queues, ..put.spec });
            }
            _ => {}
        }
    }

    fn put(&mut self, at: PhysicalOffset, spec: TopicSpec) {
        self.makes_more |= at >= self.checkpoint.0;
        let specs = self.put.entry(spec.name.clone()).or_default();
        specs.push((at, spec));
    }

    fn append(&mut self, at: PhysicalOffset, append: &Append<'_>, size: u32) {
        let (is_behind, now) = (at >= self.checkpoint.0, self.now);
        let fits = self.kept < self.kept_max;
        let Some(topic) = self.topics.get_mut(&append.at.topic) else {
            return;
        };
        if topic.name.is_none()
            && let Ok(record) = Record::parse(append.record)
        {
            topic.name = Some(record.topic.to_owned());
        }
        if !topic.kinds.contains(&append.kind) {
            topic.kinds.push(append.kind);
        }
        let entry = append.entry(at, size, now);
        if is_behind {
            topic.behind.entry(append.at.queue.0).or_insert(at);
        }
        // A queue that was made behind the checkpoint comes with its topic.
        if is_behind && !topic.queues.contains_key(&append.at.queue.0) {
            return;
        }
        let evidence = topic.queues.entry(append.at.queue.0).or_default();
        self.kept += usize::from(keep(
            evidence,
            Event {
                at,
                entry,
                is_sure: true,
            },
            is_behind,
            fits,
        ));
    }

    fn carry(&mut self, at: PhysicalOffset, carry: &Carry<'_>) {
        if let Some(topic) = self.topics.get_mut(&carry.topic)
            && topic.name.is_none()
            && let Ok(record) = Record::parse(carry.record)
        {
            topic.name = Some(record.topic.to_owned());
        }
        for place in &carry.places {
            let Some(topic) = self.topics.get_mut(&place.at.topic) else {
                continue;
            };
            let evidence = topic.queues.entry(place.at.queue.0).or_default();
            topic.untouched.remove(&place.at.queue.0);
            if at < self.checkpoint.0 {
                evidence.at_least = evidence.at_least.max(place.offset.0 + 1);
                if place.entry.flags & (LINKED | CARRIED) == LINKED && self.kept < self.kept_max {
                    self.kept += 1;
                    evidence.carried_before.insert(place.offset.0, place.entry);
                }
            } else if place.entry.physical < self.checkpoint.0 && place.entry.flags & CARRIED == 0 {
                let is_lacking = !evidence.known.contains_key(&place.offset.0);
                evidence.known.entry(place.offset.0).or_insert(place.entry);
                evidence.carried.entry(place.offset.0).or_insert(is_lacking);
            }
        }
    }

    fn dead(&mut self, id: DeliveryId, at: PhysicalOffset, dead: &DeadLetter) {
        if at >= self.checkpoint.0 {
            *self.dead_behind.entry(dead.id).or_default() += 1;
        }
        let verdict = self.letters.dead(id, at, self.now, dead);
        if verdict == Verdict::Refused {
            return;
        }
        if self.kept >= self.kept_max {
            self.untold_dead = Some(at);
            return;
        }
        self.kept += 1;
        let entry = QueueEntry {
            put_ms: self.now,
            waiting_since_ms: self.now,
            attempt: 0,
            flags: dead.entry.flags & !CARRIED | LINKED,
            ..dead.entry
        };
        let is_sure = verdict == Verdict::Accepted;
        self.dead.push((dead.id.group, Event { at, entry, is_sure }));
    }

    fn trim(&mut self, at: PhysicalOffset, trim: &Trim) {
        self.trimmed.insert(trim.links_from);
        for minimum in &trim.minimums {
            // It is where the queue ended there.
            if let Some(topic) = self.topics.get_mut(&minimum.at.topic) {
                let ended = (minimum.at.queue.0, trim.links_from, minimum.first.0);
                topic.minimums.push(ended);
            }
            self.begins(at, minimum);
        }
    }

    /// A queue begins there or later.
    fn begins(&mut self, at: PhysicalOffset, minimum: &Minimum) {
        let Some(topic) = self.topics.get_mut(&minimum.at.topic) else {
            return;
        };
        let (queue, first) = (minimum.at.queue.0, minimum.first.0);
        if at < self.checkpoint.0 {
            let evidence = topic.queues.entry(queue).or_default();
            evidence.first_at_least = evidence.first_at_least.max(first);
            evidence.at_least = evidence.at_least.max(first);
        } else if let Some(evidence) = topic.queues.get_mut(&queue) {
            evidence.first_later = evidence.first_later.max(first);
        }
    }
}

impl Topic {
    fn of(earlier: Option<(PhysicalOffset, Known)>) -> Self {
        let mut topic = Self {
            earlier,
            ..Self::default()
        };
        for queue in 0..topic
            .earlier
            .as_ref()
            .map_or(0, |(_, earlier)| earlier.spec.queues)
        {
            topic.queues.entry(queue).or_default();
        }
        topic
    }
}

/// Keeps what was to go to a queue: if that does not fit, in the place of the first. Answers whether there is one more.
fn keep(evidence: &mut Evidence, event: Event, is_behind: bool, fits: bool) -> bool {
    if is_behind {
        // The first ones tell where it ended.
        if fits {
            evidence.behind.push_back(event);
        }
        return fits;
    }
    let gone = if fits { None } else { evidence.events.pop_front() };
    if let Some(gone) = gone {
        let untold = evidence.untold.map_or(0, |(untold, _)| untold);
        evidence.untold = Some((untold + 1, gone.at));
    }
    evidence.events.push_back(event);
    fits
}
