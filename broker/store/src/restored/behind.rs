//! What stands between a place of the log that cannot be read and the next checkpoint.
//!
//! How many messages were in that place nobody knows, and so not at which offsets of their queues those behind it stand. But the
//! checkpoint says where each queue ended: counted back from there, every message that was taken has its place again. Which
//! messages were taken is known where nothing has changed their topic meanwhile; dead letters depend on what groups had done, and
//! what goes to their topics is not counted.

use crate::applier::tails;
use crate::log::FRAME_HEADER_BYTES;
use crate::queue::{Mending, QueueError};
use sluice_core::command::{Append, Command, MessageKind, TopicSpec};
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{GroupId, PhysicalOffset, QueueOffset, TimeMs, TopicQueue};
use sluice_core::state::{State, Topic, dead_letter_topic};
use std::collections::{BTreeSet, HashMap};

/// Bytes within a tombstone that an entry of a lost message names.
const IN_TOMBSTONE: u32 = 8;
/// Entries that are kept until the next checkpoint is met, which are 256 MiB of them. Are there more, none of these is counted.
const ENTRIES_MAX: usize = 1 << 22;

/// What cannot be read.
#[derive(Clone, Copy)]
pub(super) enum Unread {
    /// Frames that a repair has given up, which begin here.
    Lost(PhysicalOffset),
    /// A command that a repair has given up.
    LostCommand(PhysicalOffset, u32),
    /// Something that is damaged: whoever repairs it, or brings it back, may know more.
    Damaged,
}

/// The first such place since state was known last, and what stands behind the last one.
pub(super) struct Behind {
    /// What an entry of a lost message names; `None` if something is damaged, so that nothing counts as lost.
    lost: Option<QueueEntry>,
    /// State before.
    before: State,
    now: TimeMs,
    appended: HashMap<TopicQueue, Appended>,
    /// Entries in all.
    held: usize,
    /// Topics that were put anew, and what they have taken since.
    put: HashMap<String, Vec<TopicSpec>>,
    /// Groups with dead letters.
    dead: BTreeSet<GroupId>,
}

/// What was to go to one queue, in order.
#[derive(Default)]
struct Appended {
    entries: Vec<QueueEntry>,
    kinds: Vec<MessageKind>,
}

impl Behind {
    /// State was known up to here.
    pub(super) fn begin(unread: Unread, state: State) -> Self {
        let mut behind = Self {
            lost: None,
            now: state.now(),
            before: state,
            appended: HashMap::new(),
            held: 0,
            put: HashMap::new(),
            dead: BTreeSet::new(),
        };
        behind.lost = behind.lost_at(unread);
        behind
    }

    fn lost_at(&self, unread: Unread) -> Option<QueueEntry> {
        let (physical, size) = match unread {
            Unread::Damaged => return None,
            Unread::Lost(at) => (PhysicalOffset(at.0 + FRAME_HEADER_BYTES as u64), IN_TOMBSTONE),
            Unread::LostCommand(at, size) => (at, size),
        };
        Some(QueueEntry {
            physical,
            put_ms: self.now,
            size,
            ..QueueEntry::default()
        })
    }

    /// There is another one: what stands before it can be counted from neither side.
    pub(super) fn again(&mut self, unread: Unread) {
        self.lost = self.lost.filter(|_| !matches!(unread, Unread::Damaged));
        self.appended.clear();
        self.held = 0;
    }

    /// Takes in a whole command. Only queues that lack something matter.
    pub(super) fn command(&mut self, physical: PhysicalOffset, bytes: &[u8], mending: &Mending) {
        // What nobody knows changes nothing.
        let Ok((time, command)) = Command::decode(bytes) else {
            return;
        };
        self.now = self.now.max(time);
        match command {
            Command::Append(append) if mending.lacks(append.at) => {
                self.append(&append, append.entry(physical, bytes.len() as u32, self.now));
            }
            Command::PutTopic(put) => {
                let specs = self.put.entry(put.spec.name.clone()).or_default();
                specs.push(put.spec);
            }
            Command::DeadLetter(dead) => {
                self.dead.insert(dead.id.group);
            }
            _ => {}
        }
    }

    fn append(&mut self, append: &Append<'_>, entry: QueueEntry) {
        self.held += 1;
        if self.held > ENTRIES_MAX {
            self.appended.clear();
            return;
        }
        let appended = self.appended.entry(append.at).or_default();
        appended.entries.push(entry);
        if !appended.kinds.contains(&append.kind) {
            appended.kinds.push(append.kind);
        }
    }

    /// Puts back what has its place again by `state`, that of the next checkpoint. What is lacking up to there then is lost, unless it
    /// is damaged; answers how many messages that are.
    pub(super) fn meet(mut self, state: &State, mending: &mut Mending) -> Result<u64, QueueError> {
        let dead = self.dead_letter_topics(state);
        let mut lost = 0;
        for (at, end) in tails(state) {
            let before = self.before.tables().topic_by_id(at.topic);
            let before = before
                .and_then(|topic| topic.tail(at.queue))
                .map_or(0, |end| end.0);
            if self.held <= ENTRIES_MAX
                && let Some(appended) = self.appended.remove(&at)
                && let Some(topic) = state.tables().topic_by_id(at.topic)
                && self.has_taken(&topic, &appended, dead.as_ref())
                && let Some(first) = end.0.checked_sub(appended.entries.len() as u64)
                && first >= before
                && mending.fits(at, first, &appended.entries)?
            {
                for (offset, entry) in (first..).map(QueueOffset).zip(&appended.entries) {
                    mending.entry(at, offset, entry)?;
                }
            }
            if let Some(entry) = self.lost {
                lost += mending.lose(at, before, end.0, entry)?;
            }
        }
        Ok(lost)
    }

    /// Whether a topic has surely taken all that was to go there: as it was before, as it is now, and as it was put meanwhile.
    fn has_taken(&self, topic: &Topic, appended: &Appended, dead: Option<&BTreeSet<String>>) -> bool {
        let name = &topic.spec.name;
        let has_dead = match dead {
            Some(names) => names.contains(name),
            None => name.starts_with(&dead_letter_topic("")),
        };
        let before = self.before.tables().topic_by_id(topic.id);
        let put = self.put.get(name).into_iter().flatten();
        let mut specs = put
            .chain([&topic.spec])
            .chain(before.as_ref().map(|topic| &topic.spec));
        let takes = |spec: &TopicSpec| {
            let mut kinds = appended.kinds.iter();
            !spec.closed && kinds.all(|kind| spec.types.take(*kind))
        };
        !has_dead && specs.all(takes)
    }

    /// The topics of dead letters that may have come meanwhile; `None` if a group is gone whose topic that is nobody knows.
    fn dead_letter_topics(&self, state: &State) -> Option<BTreeSet<String>> {
        let name = |group: &GroupId| {
            let group = state.tables().group_by_id(*group)?;
            Some(dead_letter_topic(&group.spec.name))
        };
        self.dead.iter().map(name).collect()
    }
}
