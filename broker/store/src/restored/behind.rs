//! What stands between a place of the log that cannot be read and the next checkpoint.
//!
//! How many messages were in that place nobody knows, and so not at which offsets of their queues those behind it stand. But the
//! checkpoint says where each queue ended: counted back from there, every message that was taken has its place again. Which
//! messages were taken is known where nothing has changed their topic meanwhile; dead letters depend on what groups had done, and
//! what goes to their topics is not counted.
//!
//! The log is read twice: once to count ([`Behind`]), and once to put back what has its place ([`Counted`]).

use crate::applier::tails;
use crate::log::{FRAME_HEADER_BYTES, Frame};
use crate::queue::{Mending, QueueError};
use sluice_core::command::{Append, Command, MessageKind, TopicSpec};
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{GroupId, PhysicalOffset, QueueOffset, TimeMs, TopicQueue};
use sluice_core::state::{State, Topic, dead_letter_topic};
use std::collections::{BTreeSet, HashMap, VecDeque};

/// Bytes within a tombstone that an entry of a lost message names.
const IN_TOMBSTONE: u32 = 8;
/// Of each queue so many of the last entries are held against those that are there whole.
const COMPARED: usize = 32;

/// Something that cannot be read, and where it begins.
#[derive(Clone, Copy)]
pub(super) struct Unread {
    pub(super) at: PhysicalOffset,
    pub(super) what: What,
}

/// What cannot be read.
#[derive(Clone, Copy)]
pub(super) enum What {
    /// Frames that a repair has given up.
    LostFrames,
    /// A command of so many bytes that a repair has given up.
    LostCommand(u32),
    /// Something that is damaged: whoever repairs it, or brings it back, may know more.
    Damaged,
}

/// The first such place since state was known last, and what stands behind the last one.
pub(super) struct Behind {
    /// What an entry of a lost message names; `None` if something is damaged, so that nothing counts as lost.
    lost: Option<QueueEntry>,
    /// State before.
    before: State,
    /// Where the last such place begins, and the time there.
    from: (PhysicalOffset, TimeMs),
    now: TimeMs,
    appended: HashMap<TopicQueue, Appended>,
    /// Topics that were put anew, and what they have taken since.
    put: HashMap<String, Vec<TopicSpec>>,
    /// Groups with dead letters.
    dead: BTreeSet<GroupId>,
}

/// What was to go to one queue.
#[derive(Default)]
struct Appended {
    count: u64,
    last: VecDeque<QueueEntry>,
    kinds: Vec<MessageKind>,
}

/// What stands between two places of the log, and where in the queues it stands.
pub(super) struct Counted {
    /// Behind this place, and the time there.
    from: PhysicalOffset,
    now: TimeMs,
    /// Before this one.
    to: PhysicalOffset,
    /// The offset of the next message of each queue that is known.
    next: HashMap<TopicQueue, u64>,
    /// What an entry of a lost message names, and of each queue where these stand that nobody knows.
    lost: Option<QueueEntry>,
    unknown: Vec<(TopicQueue, u64, u64)>,
}

impl Behind {
    /// State was known up to here.
    pub(super) fn begin(unread: Unread, state: State) -> Self {
        let now = state.now();
        let mut behind = Self {
            lost: None,
            now,
            before: state,
            from: (unread.at, now),
            appended: HashMap::new(),
            put: HashMap::new(),
            dead: BTreeSet::new(),
        };
        behind.lost = behind.lost_at(unread);
        behind
    }

    fn lost_at(&self, unread: Unread) -> Option<QueueEntry> {
        let (physical, size) = match unread.what {
            What::Damaged => return None,
            What::LostFrames => (unread.at.0 + FRAME_HEADER_BYTES as u64, IN_TOMBSTONE),
            What::LostCommand(size) => (unread.at.0, size),
        };
        Some(QueueEntry {
            physical: PhysicalOffset(physical),
            put_ms: self.now,
            size,
            ..QueueEntry::default()
        })
    }

    /// There is another one: what stands before it can be counted from neither side.
    pub(super) fn again(&mut self, unread: Unread) {
        self.lost = self.lost.filter(|_| !matches!(unread.what, What::Damaged));
        self.from = (unread.at, self.now);
        self.appended.clear();
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
                let entry = append.entry(physical, bytes.len() as u32, self.now);
                self.appended.entry(append.at).or_default().add(&append, entry);
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

    /// What has its place again by `state`, that of the next checkpoint, which stands at `to`.
    pub(super) fn meet(
        self,
        to: PhysicalOffset,
        state: &State,
        mending: &Mending,
    ) -> Result<Counted, QueueError> {
        let dead = self.dead_letter_topics(state);
        let (mut next, mut unknown) = (HashMap::new(), Vec::new());
        for (at, end) in tails(state) {
            let before = self.before.tables().topic_by_id(at.topic);
            let before = before
                .and_then(|topic| topic.tail(at.queue))
                .map_or(0, |end| end.0);
            unknown.push((at, before, end.0));
            if let Some(appended) = self.appended.get(&at)
                && let Some(topic) = state.tables().topic_by_id(at.topic)
                && self.has_taken(&topic, appended, dead.as_ref())
                && let Some(first) = end.0.checked_sub(appended.count)
                && first >= before
                && mending.fits(at, end.0, &appended.last)?
            {
                next.insert(at, first);
            }
        }
        let (from, now) = self.from;
        Ok(Counted {
            from,
            now,
            to,
            next,
            lost: self.lost,
            unknown,
        })
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

impl Appended {
    fn add(&mut self, append: &Append<'_>, entry: QueueEntry) {
        self.count += 1;
        if self.last.len() == COMPARED {
            self.last.pop_front();
        }
        self.last.push_back(entry);
        if !self.kinds.contains(&append.kind) {
            self.kinds.push(append.kind);
        }
    }
}

impl Counted {
    /// Whether anything of it has a place.
    pub(super) fn has_places(&self) -> bool {
        !self.next.is_empty()
    }

    /// Puts back what this frame has of it.
    pub(super) fn frame(&mut self, frame: &Frame, mending: &mut Mending) -> Result<(), QueueError> {
        for (_, physical, bytes) in frame.commands() {
            if physical <= self.from || physical >= self.to || sluice_core::command::check(&bytes).is_err() {
                continue;
            }
            let Ok((time, command)) = Command::decode(&bytes) else {
                continue;
            };
            self.now = self.now.max(time);
            if let Command::Append(append) = command
                && let Some(next) = self.next.get_mut(&append.at)
            {
                let entry = append.entry(physical, bytes.len() as u32, self.now);
                mending.entry(append.at, QueueOffset(*next), &entry)?;
                *next += 1;
            }
        }
        Ok(())
    }

    /// What is lacking yet is lost, unless it is damaged; answers how many messages that are.
    pub(super) fn lose(&self, mending: &mut Mending) -> Result<u64, QueueError> {
        let mut lost = 0;
        if let Some(entry) = self.lost {
            for (at, from, to) in &self.unknown {
                lost += mending.lose(*at, *from, *to, entry)?;
            }
        }
        Ok(lost)
    }
}
