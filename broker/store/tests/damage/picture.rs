//! All that a store shows: state, every message of every queue, and what is found by id and by key.

use sluice_core::command::{self, GroupSpec, TopicSpec, record_of};
use sluice_core::entry::QueueEntry;
use sluice_core::hash;
use sluice_core::ids::{
    GroupId, LogIndex, PhysicalOffset, QueueId, QueueOffset, TimeMs, TopicId, TopicQueue,
};
use sluice_core::record::{Record, property};
use sluice_core::state::{GroupQueue, LogBounds};
use sluice_store::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// What was answered, or the error that was told.
pub(super) type Answer<T> = Result<T, String>;
pub(super) type Place = (TopicQueue, u64);
/// Where the index has something, and since when.
type Places = Vec<(PhysicalOffset, TimeMs)>;

/// Everything at one moment.
pub struct Picture {
    state: State,
    messages: BTreeMap<Place, Answer<Vec<u8>>>,
    /// The messages' ids.
    names: BTreeMap<Place, String>,
    ids: BTreeMap<String, Answer<Vec<Vec<u8>>>>,
    keys: BTreeMap<(TopicId, String), Answer<Places>>,
    frames: BTreeMap<u64, Answer<Vec<u8>>>,
    extents: Extents,
}

/// Where in the log stands what a look at the sound store has read.
#[derive(Default)]
pub struct Extents {
    /// The command with a message's record.
    pub(super) messages: BTreeMap<Place, Range<u64>>,
    /// The commands to which the index leads for an id.
    pub(super) ids: BTreeMap<String, Vec<Range<u64>>>,
    pub(super) frames: BTreeMap<u64, Range<u64>>,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Message(Place),
    Id(String),
    Key(TopicId, String),
    Frame(u64),
}

/// An error in the place of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    pub asked: Asked,
    pub error: String,
}

/// Frames that are looked for by their index.
const FRAMES: u64 = 6;

#[derive(Debug, PartialEq)]
struct State {
    now: TimeMs,
    level: u32,
    bounds: LogBounds,
    topics: Vec<(TopicId, TopicSpec, u64, Vec<[QueueOffset; 2]>)>,
    groups: Vec<(GroupId, GroupSpec, u64)>,
    held: BTreeMap<(GroupId, TopicId, u32), Arc<GroupQueue>>,
    carried: Vec<(TopicQueue, Vec<(QueueOffset, QueueEntry)>)>,
}

/// How a picture differs from that of the sound store.
#[derive(Debug, PartialEq, Eq)]
pub enum Difference {
    /// In nothing.
    None,
    /// Some of it was answered with errors, which stand in the order in which it was asked for, and everything else is as it was.
    Told(Vec<Unanswered>),
    /// Something is wrong, and nobody said so.
    Wrong(String),
}

impl Picture {
    /// Looks at everything.
    pub fn whole(store: &Store) -> Self {
        let messages = messages(store);
        let name = |(place, read): (&Place, &Answer<Vec<u8>>)| {
            let record = read.as_ref().expect("the store is sound");
            (*place, id_of(record))
        };
        let names: BTreeMap<_, _> = messages.iter().map(name).collect();
        let ids: BTreeSet<String> = names.values().cloned().collect();
        let extents = Extents::of(store, messages.keys(), &ids);
        let whole = Self::with(store, messages, names, &ids, some_frames(store));
        Self { extents, ..whole }
    }

    /// Looks at everything again; but of the ids only for one of `nth` from `from` on, and for those of messages that cannot
    /// be read.
    pub fn again(store: &Store, whole: &Self, from: usize, nth: usize) -> Self {
        let messages = messages(store);
        let unread = messages.iter().filter(|(_, read)| read.is_err());
        let unread = unread.filter_map(|(place, _)| whole.names.get(place).cloned());
        let some = whole.ids.keys().skip(from % nth).step_by(nth).cloned();
        let ids = unread.chain(some).collect();
        let indexes = whole.frames.keys().copied();
        Self::with(store, messages, BTreeMap::new(), &ids, indexes)
    }

    fn with(
        store: &Store,
        messages: BTreeMap<Place, Answer<Vec<u8>>>,
        names: BTreeMap<Place, String>,
        ids: &BTreeSet<String>,
        indexes: impl IntoIterator<Item = u64>,
    ) -> Self {
        let body_of = |(place, read): (Place, Answer<Vec<u8>>)| (place, read.map(|record| body(&record)));
        Self {
            state: state(store),
            messages: messages.into_iter().map(body_of).collect(),
            names,
            ids: ids.iter().map(|id| (id.clone(), by_id(store, id))).collect(),
            keys: keys(store),
            frames: frames(store, indexes),
            extents: Extents::default(),
        }
    }

    /// Of a [whole](Self::whole) one: where it stands.
    pub(super) fn extents(&self) -> &Extents {
        &self.extents
    }

    /// The messages of the lasting topics, and not of dead letters, that could not be read.
    pub fn unread_of_topics(&self) -> Vec<Place> {
        let unread = self.messages.iter().filter(|(_, read)| read.is_err());
        let places = unread.map(|(place, _)| *place);
        places.filter(|(at, _)| at.topic < TopicId(2)).collect()
    }

    /// Every message, by its place.
    pub(super) fn messages(&self) -> &BTreeMap<Place, Answer<Vec<u8>>> {
        &self.messages
    }

    /// The id of the message there.
    pub(super) fn id(&self, place: Place) -> &str {
        &self.names[&place]
    }

    /// How many messages there are, and how many keys are looked for.
    pub fn counts(&self) -> (usize, usize) {
        (self.messages.len(), self.ids.len() + self.keys.len())
    }

    pub fn difference(&self, sound: &Self) -> Difference {
        let mut told = Vec::new();
        if self.state != sound.state {
            return Difference::Wrong("the state".to_owned());
        }
        if !self.messages.keys().eq(sound.messages.keys()) {
            return Difference::Wrong("which messages there are".to_owned());
        }
        let message = |place: &Place| Asked::Message(*place);
        let id = |id: &String| Asked::Id(id.clone());
        let key = |(topic, key): &(TopicId, String)| Asked::Key(*topic, key.clone());
        let frame = |index: &u64| Asked::Frame(*index);
        let compared = compare(message, &self.messages, &sound.messages, &mut told)
            .and_then(|()| compare(id, &self.ids, &sound.ids, &mut told))
            .and_then(|()| compare(key, &self.keys, &sound.keys, &mut told))
            .and_then(|()| compare(frame, &self.frames, &sound.frames, &mut told));
        match compared {
            Err(wrong) => Difference::Wrong(wrong),
            Ok(()) if told.is_empty() => Difference::None,
            Ok(()) => Difference::Told(told),
        }
    }
}

fn compare<K: Ord, V: PartialEq>(
    asked: impl Fn(&K) -> Asked,
    found: &BTreeMap<K, Answer<V>>,
    sound: &BTreeMap<K, Answer<V>>,
    told: &mut Vec<Unanswered>,
) -> Result<(), String> {
    for (key, answer) in found {
        let asked = asked(key);
        match answer {
            Ok(_) if Some(answer) == sound.get(key) => {}
            Ok(_) => return Err(format!("{asked:?} is another, or not all of it")),
            Err(error) => told.push(Unanswered {
                asked,
                error: error.clone(),
            }),
        }
    }
    Ok(())
}

fn state(store: &Store) -> State {
    let tables = store.tables();
    let queues = |topic: &sluice_core::state::Topic| {
        let queue = |n| [topic.first(n).unwrap(), topic.tail(n).unwrap()];
        (0..topic.spec.queues).map(QueueId).map(queue).collect()
    };
    let topics = tables.all_topics();
    let groups = tables.all_groups();
    let subscriptions = tables.all_subscriptions();
    let held = subscriptions.iter().flat_map(|((group, topic), held)| {
        let shards = (0..).zip(held.shards.iter());
        shards.map(|(queue, shard)| ((*group, *topic, queue), shard.view()))
    });
    let carried = tables.carried_queues().into_iter();
    State {
        now: tables.now(),
        level: tables.level(),
        bounds: tables.bounds(),
        topics: topics
            .iter()
            .map(|topic| (topic.id, topic.spec.clone(), topic.generation, queues(topic)))
            .collect(),
        groups: groups
            .iter()
            .map(|group| (group.id, group.spec.clone(), group.generation))
            .collect(),
        held: held.collect(),
        carried: carried.map(|at| (at, tables.carried_of(at))).collect(),
    }
}

/// Every message of every queue, as a new group would receive them.
pub(super) fn messages(store: &Store) -> BTreeMap<Place, Answer<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for topic in store.tables().all_topics() {
        for queue in (0..topic.spec.queues).map(QueueId) {
            let at = TopicQueue {
                topic: topic.id,
                queue,
            };
            let (tail, gone) = (topic.tail(queue).unwrap(), store.tables().gone(at));
            for offset in (0..tail.0).filter(|offset| !gone.contains(*offset)) {
                found.insert((at, offset), message(store, at, QueueOffset(offset)));
            }
        }
    }
    found
}

impl Extents {
    fn of<'a>(store: &Store, places: impl Iterator<Item = &'a Place>, ids: &BTreeSet<String>) -> Self {
        let message = |(at, offset): &Place| {
            let mut entries = Vec::new();
            store
                .queues()
                .read(*at, QueueOffset(*offset), 1, &mut entries)
                .unwrap();
            let (from, size) = (entries[0].physical.0, u64::from(entries[0].size));
            ((*at, *offset), from..from + size)
        };
        let indexed = |id: &String| {
            let hash = hash::message_id_key(id.as_bytes());
            let found = store.index().find(hash, 0..TimeMs::MAX, 10, None).unwrap();
            let command = |(physical, _): (PhysicalOffset, TimeMs)| {
                let command = store.reader().read_indexed(physical, hash).ok()?;
                Some(physical.0..physical.0 + command.len() as u64)
            };
            (id.clone(), found.into_iter().filter_map(command).collect())
        };
        let frame = |index| {
            let found = store
                .reader()
                .read_frames(LogIndex(index), LogIndex(index + 1), 0);
            let frame = &found.unwrap()[0];
            (index, frame.start().0..frame.end().0)
        };
        Self {
            messages: places.map(message).collect(),
            ids: ids.iter().map(indexed).collect(),
            frames: some_frames(store).into_iter().map(frame).collect(),
        }
    }
}

fn message(store: &Store, at: TopicQueue, offset: QueueOffset) -> Answer<Vec<u8>> {
    let mut entries = Vec::new();
    let read = store.queues().read(at, offset, 1, &mut entries);
    read.map_err(|error| error.to_string())?;
    let entry = *entries.first().expect("an entry, or an error");
    let place = command::Place { at, offset, entry };
    let command = store.read_message(&place, 0).map_err(|error| error.to_string())?;
    Ok(record_of(&command).expect("a record").to_vec())
}

pub(super) fn body(record: &[u8]) -> Vec<u8> {
    Record::parse(record).unwrap().body.to_vec()
}

fn id_of(record: &[u8]) -> String {
    let record = Record::parse(record).unwrap();
    record.property(property::MESSAGE_ID).unwrap().to_owned()
}

pub(super) fn by_id(store: &Store, id: &str) -> Answer<Vec<Vec<u8>>> {
    let hash = hash::message_id_key(id.as_bytes());
    let found = store.index().find(hash, 0..TimeMs::MAX, 10, None);
    let mut bodies = Vec::new();
    for (physical, _) in found.map_err(|error| error.to_string())? {
        let command = match store.reader().read_indexed(physical, hash) {
            Err(sluice_store::log::ReadError::Gone { .. }) => continue,
            command => command.map_err(|error| error.to_string())?,
        };
        let record = record_of(&command).map_err(|error| error.to_string())?;
        if id_of(record) == id {
            bodies.push(body(record));
        }
    }
    Ok(bodies)
}

/// Some of the sound store's frames. What each start writes itself is none of them.
fn some_frames(store: &Store) -> Vec<u64> {
    let reader = store.reader();
    let first = reader.first_index().0;
    let step = (reader.last().expect("a frame").index.0 - first) / (FRAMES + 1);
    (0..FRAMES).map(|n| first + n * step).collect()
}

/// These frames of the log, to which the sparse indexes lead.
fn frames(store: &Store, indexes: impl IntoIterator<Item = u64>) -> BTreeMap<u64, Answer<Vec<u8>>> {
    let reader = store.reader();
    let frame = |index| {
        let found = reader.read_frames(LogIndex(index), LogIndex(index + 1), 0);
        let bytes = found
            .map(|frames| frames[0].bytes().to_vec())
            .map_err(|error| error.to_string());
        (index, bytes)
    };
    indexes.into_iter().map(frame).collect()
}

fn keys(store: &Store) -> BTreeMap<(TopicId, String), Answer<Places>> {
    let mut found = BTreeMap::new();
    for topic in [TopicId(0), TopicId(1)] {
        // In their order, so that who looks at the errors knows which came first.
        for key in std::iter::once("common".to_owned()).chain((0..10).map(|n| format!("key-{n}"))) {
            let hash = hash::message_key(topic, key.as_bytes());
            let places = store.index().find(hash, 0..TimeMs::MAX, 10_000, None);
            found.insert((topic, key), places.map_err(|error| error.to_string()));
        }
    }
    found
}
