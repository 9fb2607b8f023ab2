//! The model: what a broker owes its clients, in plain vectors and maps.
//!
//! - A message goes to each group once it is acknowledged or given up; until then it is fresh, held, or visible again.
//! - Who holds a message may end that or change it; a handle is worth nothing once it expired or a newer one exists.
//! - In a FIFO group nothing of a message group goes while something of it is held or offered, or an earlier one waits.
//! - A group that is moved forward owes nothing below; moved back, it owes everything from there on again, and what was chosen before
//!   goes to nobody.
//! - What retention takes is owed to nobody any more; what it writes again is what it was.
//! - Time is the largest that any command had.

use super::common::START;
use super::retention::Stand;
use super::steps::{Ask, Fate, GroupSpec, Step};
use sluice_core::command::Standing;
use std::collections::{BTreeMap, BTreeSet};

/// Group, topic, queue.
pub type At = (usize, usize, usize);
/// Number of a delivery: each command that makes handles has the next.
pub type Token = usize;

#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// What it is, wherever it stands.
    pub number: u64,
    /// Whether it came here as a dead letter.
    pub linked: bool,
    pub group: Option<u8>,
    pub tag: Option<u8>,
    /// The place of its record among all that were written.
    pub age: u64,
    /// Its record has left the log.
    pub gone: bool,
}

#[derive(Clone, Debug)]
pub struct Topic {
    pub name: String,
    pub queues: Vec<Vec<Message>>,
    pub closed: bool,
    /// It was deleted: another may have its name.
    pub gone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Held {
    pub until: u64,
    pub token: Token,
    pub client: u8,
    pub attempt: u16,
    pub attempt_id: u8,
    pub renewed: bool,
}

/// What is known of a message that is not fresh.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Status {
    Pending(Held),
    Done,
}

/// A group's place in a queue.
#[derive(Clone, Debug, Default)]
pub struct Hold {
    pub start: usize,
    pub status: BTreeMap<usize, Status>,
    /// Whether the last choice from it was in order.
    pub in_order: bool,
    /// How often it was moved back, or anew to where it stood: then some messages come more than once.
    pub moves: u32,
    /// What retention took before it was done.
    pub expired: u64,
}

/// A receive between its choice and its answer.
#[derive(Clone, Debug)]
pub struct Planned {
    pub at: At,
    pub ask: Ask,
    pub resume: bool,
    pub standing: Standing,
    pub offers: Vec<usize>,
    pub dead: Vec<usize>,
    /// How old the records of the dead ones were.
    pub ages: Vec<u64>,
}

#[derive(Clone, Copy, Debug)]
pub struct Handle {
    pub at: At,
    pub offset: usize,
    pub token: Token,
    pub client: u8,
}

/// What the last step should have answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    Nothing,
    Exists(bool),
    Offset(usize),
    Closed,
    /// Whether it changed anything; none where it was refused.
    Put(Option<bool>),
    /// Messages that were not done, as far as the model knows what filters have passed by.
    Deleted(Option<u64>),
    /// Skipped and repeated, as far as the model knows, and voided.
    Moved(Option<(u64, u64)>, u64),
    /// Compare with the last of `plans`.
    Planned,
    Concluded {
        dead: Vec<bool>,
        taken: Vec<(usize, u16)>,
    },
    Settled(Vec<bool>),
    GaveUp(bool),
    Released(u32),
}

#[derive(Clone, Debug)]
pub struct Model {
    pub wall: u64,
    pub now: u64,
    pub topics: Vec<Topic>,
    pub groups: Vec<(String, GroupSpec)>,
    pub gone_groups: BTreeSet<usize>,
    pub holds: BTreeMap<At, Hold>,
    pub plans: Vec<Planned>,
    pub handles: Vec<Handle>,
    pub tokens: Token,
    pub sent: u64,
    /// Of those, sent to closed topics.
    pub turned_away: u64,
    /// Records written, and how many of the oldest have left.
    pub writes: u64,
    pub cut: u64,
    /// What the last step wrote again: where each record stands.
    pub carried: Vec<Vec<Stand>>,
    pub expected: Expected,
}

/// The groups that there are from the beginning.
pub const FIRST_GROUPS: [GroupSpec; 2] = [
    GroupSpec {
        fifo: false,
        max_attempts: 2,
        filter: None,
        latest: false,
    },
    GroupSpec {
        fifo: true,
        max_attempts: 3,
        filter: None,
        latest: false,
    },
];

impl Model {
    /// One topic of one queue, and two groups.
    pub fn start() -> Self {
        let name = |i| format!("group-{i}");
        Self {
            wall: START,
            now: START,
            topics: vec![Topic {
                name: "topic-0".into(),
                queues: vec![Vec::new()],
                closed: false,
                gone: false,
            }],
            groups: FIRST_GROUPS
                .iter()
                .enumerate()
                .map(|(i, spec)| (name(i), *spec))
                .collect(),
            gone_groups: BTreeSet::new(),
            holds: BTreeMap::new(),
            plans: Vec::new(),
            handles: Vec::new(),
            tokens: 0,
            sent: 0,
            turned_away: 0,
            writes: 0,
            cut: 0,
            carried: Vec::new(),
            expected: Expected::Nothing,
        }
    }

    pub fn step(&mut self, step: &Step) {
        self.expected = match step {
            Step::CreateTopic { name, queues } => self.create_topic(*name, *queues),
            Step::CreateGroup { name, spec } => self.create_group(*name, spec),
            Step::Send {
                topic,
                queue,
                group,
                tag,
            } => self.send(*topic, *queue, *group, *tag),
            Step::Plan(ask) => self.plan(ask),
            Step::Conclude { plan, fate } => self.conclude(*plan, *fate),
            Step::Settle { picks, change } => self.settle(picks, *change),
            Step::GiveUp { pick } => self.give_up(*pick),
            Step::Release {
                hold,
                client,
                visible_in_ms,
            } => self.release(*hold, *client, *visible_in_ms),
            Step::Grow { topic, more } => self.grow(*topic, *more),
            Step::Close { topic, closed } => self.close(*topic, *closed),
            Step::DeleteTopic { topic } => self.delete_topic(*topic),
            Step::PutGroup {
                group,
                fifo,
                max_attempts,
            } => self.put_group(*group, *fifo, *max_attempts),
            Step::DeleteGroup { group } => self.delete_group(*group),
            Step::Move { hold, to } => self.move_hold(*hold, *to),
            Step::Retain { part, carries } => self.retain(*part, *carries),
            Step::Tick(ms) => {
                self.wall = self.wall.saturating_add_signed(*ms);
                Expected::Nothing
            }
            Step::Snapshot => Expected::Nothing,
            Step::Restart => {
                self.plans.clear();
                Expected::Nothing
            }
        };
    }

    /// A command is applied.
    pub fn command(&mut self) {
        self.now = self.now.max(self.wall);
    }

    fn create_topic(&mut self, name: u8, queues: u32) -> Expected {
        self.command();
        let name = format!("topic-{name}");
        let exists = self.topics.iter().any(|topic| !topic.gone && topic.name == name);
        if !exists {
            self.topics.push(Topic {
                name,
                queues: vec![Vec::new(); queues as usize],
                closed: false,
                gone: false,
            });
        }
        Expected::Exists(exists)
    }

    fn create_group(&mut self, name: u8, spec: &GroupSpec) -> Expected {
        self.command();
        let name = format!("group-{name}");
        let exists = self.living_groups().any(|group| self.groups[group].0 == name);
        if !exists {
            self.groups.push((name, *spec));
        }
        Expected::Exists(exists)
    }

    /// Topic and queue that a step's numbers mean.
    pub fn queue_of(&self, topic: u8, queue: u8) -> (usize, usize) {
        let topic = self.topic(topic);
        (topic, queue as usize % self.topics[topic].queues.len())
    }

    fn send(&mut self, topic: u8, queue: u8, group: Option<u8>, tag: Option<u8>) -> Expected {
        self.command();
        let (topic, queue) = self.queue_of(topic, queue);
        if self.topics[topic].closed {
            self.sent += 1;
            self.turned_away += 1;
            return Expected::Closed;
        }
        let queue = &mut self.topics[topic].queues[queue];
        queue.push(Message {
            number: self.sent,
            linked: false,
            group,
            tag,
            age: self.writes,
            gone: false,
        });
        self.sent += 1;
        self.writes += 1;
        Expected::Offset(queue.len() - 1)
    }

    pub fn messages(&self, at: At) -> &[Message] {
        &self.topics[at.1].queues[at.2]
    }

    /// Whether the group wants the message at all.
    pub fn wants(&self, at: At, offset: usize) -> bool {
        let filter = self.groups[at.0].1.filter;
        filter.is_none() || self.messages(at)[offset].tag == filter
    }

    pub fn pending(&self, at: At, offset: usize) -> Option<Held> {
        match self.holds.get(&at)?.status.get(&offset)? {
            Status::Pending(held) => Some(*held),
            Status::Done => None,
        }
    }

    pub fn is_fresh(&self, at: At, offset: usize) -> bool {
        let hold = &self.holds[&at];
        offset >= hold.start && offset < self.messages(at).len() && !hold.status.contains_key(&offset)
    }

    fn plan(&mut self, ask: &Ask) -> Expected {
        let group = self.group(ask.group);
        let (topic, queue) = self.queue_of(ask.topic, ask.queue);
        if !self.holds.contains_key(&(group, topic, queue)) {
            self.command(); // a group subscribes before it first receives
        }
        let now = self.now.max(self.wall);
        let latest = self.groups[group].1.latest;
        for queue in 0..self.topics[topic].queues.len() {
            let messages = self.topics[topic].queues[queue].len();
            let fresh = self.hold_from(topic, queue, if latest { messages } else { 0 });
            self.holds.entry((group, topic, queue)).or_insert(fresh);
        }
        let at = (group, topic, queue);
        let repeated = self.held_by_attempt(at, ask, now);
        let resume = !repeated.is_empty();
        let standing = self.standing(at);
        let (offers, dead) = match resume {
            true => (repeated, Vec::new()),
            false if !self.keeps_order(at) => (Vec::new(), Vec::new()),
            false if self.groups[group].1.fifo => self.choose_in_order(at, ask.max, now),
            false => self.choose(at, ask.max, now),
        };
        let ask = ask.clone();
        let ages = dead.iter().map(|offset| self.messages(at)[*offset].age);
        let ages = ages.collect();
        self.plans.push(Planned {
            at,
            ask,
            resume,
            standing,
            offers,
            dead,
            ages,
        });
        Expected::Planned
    }

    fn conclude(&mut self, plan: u8, fate: Fate) -> Expected {
        if self.plans.is_empty() {
            return Expected::Nothing;
        }
        let plan = self.plans.remove(plan as usize % self.plans.len());
        if fate == Fate::Failed {
            return Expected::Nothing;
        }
        self.command();
        let (at, token) = (plan.at, self.tokens);
        self.tokens += 1;
        let dead = plan.dead.iter().zip(&plan.ages).map(|(offset, age)| {
            let out = |held: Held| held.until <= self.now && self.is_exhausted(at, held);
            // What was to be linked may be written elsewhere by now.
            let fits = *age >= self.cut && self.pending(at, *offset).is_some_and(out);
            if fits {
                self.bury(at, *offset);
            }
            fits
        });
        let dead = dead.collect();
        let mut taken = Vec::new();
        let stands = plan.standing == self.standing(at);
        for offset in plan.offers.into_iter().filter(|_| stands) {
            let Some(attempt) = self.attempt_of(at, offset, token, &plan.ask, plan.resume) else {
                continue;
            };
            let held = Held {
                until: self.now + plan.ask.invisible_ms,
                token,
                client: plan.ask.client,
                attempt,
                attempt_id: plan.ask.attempt,
                renewed: plan.ask.renewed,
            };
            self.set(at, offset, Status::Pending(held));
            taken.push((offset, attempt));
            if fate == Fate::Applied {
                self.handles.push(Handle {
                    at,
                    offset,
                    token,
                    client: plan.ask.client,
                });
            }
        }
        Expected::Concluded { dead, taken }
    }

    pub fn set(&mut self, at: At, offset: usize, status: Status) {
        self.holds.entry(at).or_default().status.insert(offset, status);
    }

    /// Into the dead-letter topic.
    pub fn bury(&mut self, at: At, offset: usize) {
        let name = format!("%DLQ%{}", self.groups[at.0].0);
        let message = Message {
            linked: true,
            ..self.messages(at)[offset].clone()
        };
        let mut topics = self.topics.iter_mut();
        match topics.find(|topic| !topic.gone && topic.name == name) {
            Some(topic) => topic.queues[0].push(message),
            None => self.topics.push(Topic {
                name,
                queues: vec![vec![message]],
                closed: false,
                gone: false,
            }),
        }
        self.set(at, offset, Status::Done);
    }
}
