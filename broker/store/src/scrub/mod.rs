//! Reading again what nobody asks for, so that damage is found while there may still be a remedy: sealed segments, queue files,
//! sorted index files and checkpoints, one after another, a small piece at a time.
//!
//! It changes nothing itself, and holds nothing up: it reads by handles of its own, past maps, and leaves the system's cache
//! as it was. What it finds is dealt with where it would be if somebody else had come to it: a damaged queue file is noted for
//! the next start, an index file put aside, a message skipped for the groups that come to it.
//!
//! Where it stands is in memory only. A start goes on at a place that the clock chooses, so that restarts, however frequent, do
//! not always leave out the same.

mod names;

use crate::checkpoint::{CheckpointScrub, Expected};
use crate::index::IndexScrub;
use crate::io::LogIo;
use crate::log::{BadHeader, BadStretch};
use crate::store::Store;
use sluice_core::ids::{PhysicalOffset, QueueOffset, TimeMs, TopicQueue};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

pub use names::{LostMessage, Served};

/// Bytes that a step reads, about.
const STEP_BYTES: u64 = 1 << 20;
/// Entries of a queue file that are read under one lock.
const ENTRIES: u64 = 4096;
/// Blocks of an index file that a step reads.
const BLOCKS: u32 = 64;
/// What is so of a segment that is gone.
const SERVED: &str = "The broker has it open and serves its messages until it stops, and no start succeeds without it: get them before, and send them again";

/// Kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Segments of the log.
    Log,
    /// Queue files.
    Queue,
    /// Sorted files of the index.
    Index,
    /// Roots and packs.
    Checkpoint,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Log, Self::Queue, Self::Index, Self::Checkpoint];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Queue => "queue",
            Self::Index => "index",
            Self::Checkpoint => "checkpoint",
        }
    }
}

/// Something that is not as it was written.
#[derive(Debug)]
pub struct Finding {
    /// What kind of file it is in.
    pub kind: Kind,
    /// The file, the place, and what is wrong.
    pub what: String,
    /// The messages that cannot be read for it, as far as queues say where they are, and not too many.
    pub messages: Vec<LostMessage>,
    /// The messages that stand in a file which is gone, and are served until the store is closed, as far as queues say where they are.
    pub served: Vec<Served>,
}

/// What a step did.
#[derive(Debug, Default)]
pub struct Step {
    /// Bytes read.
    pub bytes: u64,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Whether a round has ended with it.
    pub is_last: bool,
}

/// What is left of a round.
enum Target {
    Segment(PhysicalOffset),
    Queue(TopicQueue, QueueOffset),
    Index(Box<IndexScrub>),
    Checkpoints(Box<CheckpointScrub>),
}

/// Reads everything in rounds.
pub struct Scrub {
    store: Store,
    io: Arc<dyn LogIo>,
    checkpoints: PathBuf,
    expected: Expected,
    left: VecDeque<Target>,
    started: bool,
}

impl Scrub {
    pub(crate) fn new(store: &Store, io: &Arc<dyn LogIo>, checkpoints: PathBuf, expected: Expected) -> Self {
        Self {
            store: store.clone(),
            io: Arc::clone(io),
            checkpoints,
            expected,
            left: VecDeque::new(),
            started: false,
        }
    }

    /// Reads the next piece; begins a round where none is under way. Blocks on the disk. `now` is the wall clock.
    pub fn step(&mut self, now: TimeMs) -> Step {
        let mut step = Step::default();
        if self.left.is_empty() {
            self.begin(now, &mut step);
        }
        while step.bytes < STEP_BYTES
            && let Some(target) = self.left.pop_front()
        {
            match target {
                Target::Segment(from) => self.segment(from, now, &mut step),
                Target::Queue(at, from) => self.queue(at, from, &mut step),
                Target::Index(scrub) => self.index(scrub, &mut step),
                Target::Checkpoints(scrub) => self.checkpoints(scrub, &mut step),
            }
        }
        step.is_last = self.left.is_empty();
        step
    }

    fn begin(&mut self, now: TimeMs, step: &mut Step) {
        let segments = self.store.reader().sealed_segments().into_iter();
        let queues = self.store.queues().all().into_iter();
        self.left = segments
            .map(Target::Segment)
            .chain(queues.map(|at| Target::Queue(at, QueueOffset(0))))
            .collect();
        self.left
            .push_back(Target::Index(Box::new(self.store.index().scrub())));
        match CheckpointScrub::new(&self.io, &self.checkpoints, &self.expected) {
            Ok(scrub) => self.left.push_back(Target::Checkpoints(Box::new(scrub))),
            Err(error) => step.tell(Kind::Checkpoint, error.to_string()),
        }
        if !std::mem::replace(&mut self.started, true) {
            let places = self.left.len();
            self.left.rotate_left((now / 1000) as usize % places.max(1));
        }
    }

    fn segment(&mut self, from: PhysicalOffset, now: TimeMs, step: &mut Step) {
        let scrubbed = match self.store.reader().scrub(from, STEP_BYTES) {
            Ok(Some(scrubbed)) => scrubbed,
            Ok(None) => return,
            Err(error) => return step.tell(Kind::Log, format!("the segment at {from} of the log: {error}")),
        };
        step.bytes += scrubbed.bytes;
        for BadHeader { file, offset } in scrubbed.headers {
            let file = file.display();
            step.tell(Kind::Log, format!("{file} is damaged at file offset {offset}: the length or the checksum of a command, and nothing else of its frame, which tells what it was: nothing is lost"));
        }
        for bad in scrubbed.bad {
            let BadStretch {
                file,
                offset,
                from,
                to,
                reason,
                is_gone,
            } = bad;
            let file = file.display();
            step.findings.push(if is_gone {
                Finding {
                    kind: Kind::Log,
                    what: format!("{file} is gone: {reason}. {SERVED}"),
                    messages: Vec::new(),
                    served: names::within(&self.store, from, to),
                }
            } else {
                Finding {
                    kind: Kind::Log,
                    what: format!("{file} is damaged at file offset {offset}: {reason}"),
                    messages: names::unreadable(&self.store, from, to, now),
                    served: Vec::new(),
                }
            });
        }
        if let Some(next) = scrubbed.next {
            self.left.push_front(Target::Segment(next));
        }
    }

    fn queue(&mut self, at: TopicQueue, from: QueueOffset, step: &mut Step) {
        match self.store.queues().scrub(at, from, ENTRIES) {
            Ok(Some((bytes, next))) => {
                step.bytes += bytes;
                self.left.push_front(Target::Queue(at, next));
            }
            Ok(None) => {}
            // The rest of the queue is made again together with this.
            Err(error) => step.tell(Kind::Queue, error.to_string()),
        }
    }

    fn index(&mut self, mut scrub: Box<IndexScrub>, step: &mut Step) {
        match scrub.step(BLOCKS) {
            Some(Ok(bytes)) => step.bytes += bytes,
            Some(Err(error)) => step.tell(Kind::Index, error.to_string()),
            None => return,
        }
        self.left.push_front(Target::Index(scrub));
    }

    fn checkpoints(&mut self, mut scrub: Box<CheckpointScrub>, step: &mut Step) {
        match scrub.step(STEP_BYTES) {
            Some(Ok(bytes)) => step.bytes += bytes,
            Some(Err(error)) => {
                self.store.checkpoint_has_damage();
                step.tell(Kind::Checkpoint, error.to_string());
            }
            None => return,
        }
        self.left.push_front(Target::Checkpoints(scrub));
    }
}

impl Step {
    fn tell(&mut self, kind: Kind, what: String) {
        self.findings.push(Finding {
            kind,
            what,
            messages: Vec::new(),
            served: Vec::new(),
        });
    }
}
