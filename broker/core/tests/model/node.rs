//! A node: `State` behind a log, with checkpoints and restarts, beside a twin that never restarts.

use super::common::{Queues, encoded};
use sluice_core::command::EncodedCommand;
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{GroupQueueId, PhysicalOffset, QueueOffset, Term, TimeMs, TopicQueue};
use sluice_core::state::{Applied, Changed, CommandAt, Effects, ShardKey, Snapshot, State};
use std::collections::BTreeMap;

impl Queues {
    /// The entries of one queue.
    pub fn of(&self, at: TopicQueue) -> &[QueueEntry] {
        self.0.get(&at).map_or(&[], Vec::as_slice)
    }
}

/// Some commands that stand in the log together.
struct Frame {
    term: Term,
    commands: Vec<(CommandAt, EncodedCommand)>,
}

/// The queues, and the message groups that may go on.
struct Watched<'a> {
    queues: &'a mut Queues,
    unlocked: &'a mut Vec<(GroupQueueId, u32)>,
    moved: &'a mut Vec<GroupQueueId>,
}

impl Effects for Watched<'_> {
    fn entry(&mut self, at: TopicQueue, offset: QueueOffset, entry: &QueueEntry) {
        self.queues.entry(at, offset, entry);
    }

    fn ready(&mut self, _: GroupQueueId, _: TimeMs) {}

    fn unlocked(&mut self, id: GroupQueueId, group_hash: u32) {
        self.unlocked.push((id, group_hash));
    }

    fn moved(&mut self, id: GroupQueueId) {
        self.moved.push(id);
    }

    fn changed(&mut self, _: Changed) {}

    fn carried(&mut self, at: TopicQueue, offset: QueueOffset, entry: &QueueEntry) {
        self.queues.carried(at, offset, entry);
    }

    fn trimmed(&mut self, at: TopicQueue, first: QueueOffset) {
        self.queues.trimmed(at, first);
    }

    fn dropped(&mut self, at: TopicQueue, offset: QueueOffset) {
        self.queues.dropped(at, offset);
    }
}

pub struct Node {
    pub state: State,
    pub queues: Queues,
    /// Message groups that may go on, until the cursors hear of it.
    pub unlocked: Vec<(GroupQueueId, u32)>,
    /// Queues in which a group was moved, until the cursors hear of it.
    pub moved: Vec<GroupQueueId>,
    twin: State,
    term: Term,
    physical: u64,
    /// The frames since the last checkpoint.
    frames: Vec<Frame>,
    header: Option<Vec<u8>>,
    parts: BTreeMap<ShardKey, Vec<u8>>,
    /// The last checkpoint while it is still being written.
    frozen: Option<Snapshot>,
    /// A planted fault: replay leaves the last frame out, and nobody compares digests.
    pub forgets: bool,
}

impl Node {
    pub fn new() -> Self {
        Self {
            state: State::new(),
            queues: Queues::default(),
            unlocked: Vec::new(),
            moved: Vec::new(),
            twin: State::new(),
            term: Term(1),
            physical: 0,
            frames: Vec::new(),
            header: None,
            parts: BTreeMap::new(),
            frozen: None,
            forgets: false,
        }
    }

    /// Appends a frame and applies it.
    pub fn propose(&mut self, commands: Vec<EncodedCommand>) -> Vec<Applied> {
        let index = self.state.next_index();
        let mut placed = Vec::new();
        self.physical += 48;
        for (place, command) in commands.into_iter().enumerate() {
            let physical = PhysicalOffset(self.physical);
            self.physical += command.len() as u64;
            placed.push((
                CommandAt {
                    index,
                    place: place as u16,
                    physical,
                },
                command,
            ));
        }
        self.physical = self.physical.next_multiple_of(8);
        let frame = Frame {
            term: self.term,
            commands: placed,
        };
        let mut watched = Watched {
            queues: &mut self.queues,
            unlocked: &mut self.unlocked,
            moved: &mut self.moved,
        };
        let answers = frame.apply(&mut self.state, &mut watched);
        if !self.forgets {
            assert_eq!(frame.apply(&mut self.twin, &mut self.queues), answers);
            assert_eq!(self.twin.digest(), self.state.digest(), "the twin's digest");
        }
        self.frames.push(frame);
        answers
    }

    /// Where the next frame begins.
    pub fn end(&self) -> u64 {
        self.physical
    }

    pub fn propose_one(&mut self, command: EncodedCommand) -> Applied {
        self.propose(vec![command]).remove(0)
    }

    /// Freezes what changed; it is written only when the next checkpoint or a restart needs it.
    pub fn checkpoint(&mut self) {
        self.write_frozen();
        self.frozen = Some(self.state.snapshot());
        self.frames.clear();
    }

    fn write_frozen(&mut self) {
        let Some(mut snapshot) = self.frozen.take() else {
            return;
        };
        let changed = snapshot.take_changed();
        for key in snapshot.removed {
            self.parts.remove(&key);
        }
        for (key, view) in changed {
            let mut bytes = Vec::new();
            view.encode(&mut bytes);
            self.parts.insert(key, bytes);
        }
        self.header = Some(snapshot.header);
    }

    /// State again, from the last checkpoint and the frames since.
    pub fn restart(&mut self) {
        self.write_frozen();
        let parts = self.parts.iter().map(|(key, bytes)| (*key, bytes.as_slice()));
        let mut state = match &self.header {
            Some(header) => State::restore(header, parts).unwrap(),
            None => State::new(),
        };
        let frames = self.frames.len() - usize::from(self.forgets && !self.frames.is_empty());
        for frame in &self.frames[..frames] {
            frame.apply(&mut state, &mut self.queues);
        }
        if !self.forgets {
            assert_eq!(state.digest(), self.state.digest(), "the digest after a restart");
            assert_eq!(encoded(&state), encoded(&self.state), "state after a restart");
        }
        self.state = state;
        self.term = Term(self.term.0 + 1);
    }

    /// Compares with the twin that never restarted.
    pub fn check_twin(&self) {
        if !self.forgets {
            assert_eq!(encoded(&self.twin), encoded(&self.state), "the twin's state");
        }
    }
}

impl Frame {
    fn apply(&self, state: &mut State, effects: &mut impl Effects) -> Vec<Applied> {
        let answers = self
            .commands
            .iter()
            .map(|(at, command)| state.apply(*at, command.as_bytes(), effects));
        let answers = answers.collect();
        state.end_frame(self.term, state.next_index());
        answers
    }
}
