//! A log without threads: the tests step it, so that what happens is the same every time.
#![allow(dead_code, reason = "every suite uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use sluice_core::command::{EncodedCommand, NewMessage};
use sluice_core::ids::TopicId;
use sluice_core::log::{Outcome, ReplicatedLog, Results};
use sluice_core::record::NewRecord;
use sluice_store::io::LogIo;
use sluice_store::log::{
    Committed, Cut, Flush, Frame, Identity, LogError, LogOptions, Opening, Parts, Prefilled, Progress,
    ShardUuid, spawn,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const SEGMENT: u64 = 256 << 10;
pub type Answer = Receiver<Outcome>;

pub fn identity() -> Identity {
    Identity {
        cluster: "DefaultCluster".to_owned(),
        shard: "broker-a".to_owned(),
        node: 1,
        uuid: ShardUuid(*b"a shard of tests"),
        segment_bytes: SEGMENT,
    }
}

pub fn options(dir: &Path) -> LogOptions {
    LogOptions {
        ring_bytes: 64 << 10,
        mapped_segments: 2,
        ..LogOptions::new(dir.to_owned(), identity())
    }
}

/// A message whose body says which one it is.
pub fn message(n: u32, size: usize) -> EncodedCommand {
    let mut body = vec![(n % 251) as u8; size.max(4)];
    body[..4].copy_from_slice(&n.to_le_bytes());
    let host = SocketAddr::from((Ipv4Addr::LOCALHOST, 8081));
    NewMessage {
        topic: TopicId(1),
        tag: None,
        message_group: None,
        record: NewRecord {
            topic: "t",
            queue: 0,
            body: &body,
            properties: &[],
            born_ms: 1,
            born_host: host,
            store_ms: 2,
            store_host: host,
        },
    }
    .encode()
}

/// A seeded generator, so that a failure says how to come again.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = sluice_core::hash::mix(self.0, 1);
        self.0 % n
    }
}

/// What a proposer was told so far.
pub fn outcome(answer: &Answer) -> Option<Outcome> {
    answer.try_recv().ok()
}

type Frames = Arc<Mutex<Vec<Frame>>>;

pub struct Bench {
    pub parts: Parts,
    pub replayed: Vec<Frame>,
    pub cut: Option<Cut>,
    pub now: Duration,
    committed: Frames,
}

/// Applies by answering that it did.
fn sink(frames: Frames) -> impl FnMut(Committed) + Send {
    move |group: Committed| {
        for (frame, waiting) in group.frames {
            waiting
                .into_iter()
                .for_each(|one| (one.done)(Outcome::Applied(Results::new())));
            frames.lock().unwrap().push(frame);
        }
    }
}

impl Bench {
    pub fn begin(io: Arc<dyn LogIo>, dir: &Path) -> Result<Opening, LogError> {
        Opening::begin(io, options(dir))
    }

    pub fn open(io: Arc<dyn LogIo>, dir: &Path) -> Result<Self, LogError> {
        Self::open_with(io, options(dir))
    }

    pub fn open_flushing(io: Arc<dyn LogIo>, dir: &Path, flush: Flush) -> Result<Self, LogError> {
        Self::open_with(
            io,
            LogOptions {
                flush,
                ..options(dir)
            },
        )
    }

    pub fn open_with(io: Arc<dyn LogIo>, options: LogOptions) -> Result<Self, LogError> {
        let mut bench = Self::open_only(io, options)?;
        bench.parts.writer.lead(1)?;
        Ok(bench)
    }

    /// Opens the log without beginning a term: nothing is appended.
    pub fn open_only(io: Arc<dyn LogIo>, options: LogOptions) -> Result<Self, LogError> {
        let opening = Opening::begin(io, options)?;
        let first = opening.first();
        let mut replayed = Vec::new();
        let opened = opening.replay(first, |frame| {
            replayed.push(frame.clone());
            Ok(())
        })?;
        let cut = opened.cut().cloned();
        let committed = Frames::default();
        let tail = opened.tail();
        let parts = opened.start(tail.index, sink(committed.clone()));
        Ok(Self {
            parts,
            replayed,
            cut,
            now: Duration::ZERO,
            committed,
        })
    }

    pub fn propose(&self, commands: Vec<EncodedCommand>) -> Answer {
        let (tx, rx): (Sender<Outcome>, Answer) = channel();
        self.parts.log.propose(
            commands.into(),
            Box::new(move |outcome| {
                let _ = tx.send(outcome);
            }),
        );
        rx
    }

    /// Steps the log until it is idle; errors if it fails.
    pub fn try_run(&mut self) -> Result<(), String> {
        loop {
            match self.parts.writer.step(self.now) {
                Ok(Progress::Worked) => {}
                Ok(Progress::Idle(_) | Progress::Stopped) => return Ok(()),
                Err(fatal) => return Err(fatal.to_string()),
            }
        }
    }

    pub fn run(&mut self) {
        self.try_run().unwrap();
    }

    /// Steps the zero-filling helper until it is idle.
    pub fn prefill(&mut self) -> Result<Prefilled, String> {
        loop {
            match self.parts.prefill.step() {
                Ok(Prefilled::Worked) => {}
                Ok(other) => return Ok(other),
                Err(fatal) => return Err(fatal.to_string()),
            }
        }
    }

    /// Runs the threads until everything queued is durable; answers how many frames they made.
    pub fn run_threads(self) -> usize {
        let Parts {
            writer,
            prefill,
            lock,
            ..
        } = self.parts;
        let before = self.committed.lock().unwrap().len();
        let threads = spawn(writer, prefill, |fatal| panic!("{fatal}")).unwrap();
        threads.stop();
        drop(lock);
        self.committed.lock().unwrap().len() - before
    }

    /// The frames handed on since the log was opened.
    pub fn committed(&self) -> Vec<Frame> {
        self.committed.lock().unwrap().clone()
    }

    /// Every frame: replayed, and handed on since.
    pub fn all(&self) -> Vec<Frame> {
        self.replayed.iter().cloned().chain(self.committed()).collect()
    }

    /// Reads every command of `frames` by offset and every frame by index.
    pub fn check_reads(&self, frames: &[Frame]) {
        let reader = self.parts.log.reader();
        for frame in frames {
            for (_, at, command) in frame.commands() {
                assert_eq!(reader.read_command(at, command.len() as u32).unwrap(), command);
            }
            let next = sluice_core::ids::LogIndex(frame.index().0 + 1);
            let read = reader.read_frames(frame.index(), next, 1).unwrap();
            assert_eq!(read, std::slice::from_ref(frame));
            assert_eq!(reader.position(frame.index()).unwrap().physical, frame.start());
        }
    }
}
