//! The spare segment has one name, and two threads that use it: whichever file the log goes on in is the one that its name leads to.
#![cfg(test)]

mod log_bench;

use log_bench::{Answer, Bench, identity, message, options};
use sluice_core::ids::LogIndex;
use sluice_core::log::{Outcome, ReplicatedLog};
use sluice_store::io::{DirLock, FileHandle, LogIo, RealIo};
use sluice_store::log::{
    Identity, LocalLog, LogId, LogOptions, LogWriter, Parts, Prefill, Prefilled, Progress,
};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const SEGMENT: u64 = 1 << 20;
const PAGE: u64 = 4096;
/// How long the helper gets to put another file under the name; it needs a few milliseconds where nothing holds it up.
const CHANCE: Duration = Duration::from_millis(500);

/// The real files. When the spare gets a segment's name, `helper` begins, and has the first move.
struct Between {
    io: RealIo,
    helper: Mutex<Option<Prefill>>,
    runs: Mutex<Option<JoinHandle<()>>>,
    named: (Mutex<Sender<()>>, Mutex<Receiver<()>>),
}

impl Between {
    fn new() -> Arc<Self> {
        let (named, is_named) = channel();
        Arc::new(Self {
            io: RealIo::new(),
            helper: Mutex::default(),
            runs: Mutex::default(),
            named: (Mutex::new(named), Mutex::new(is_named)),
        })
    }

    /// Another file stands under the spare's name.
    fn tell(&self, path: &Path) {
        if path.ends_with("spare.seg") {
            self.named.0.lock().unwrap().send(()).unwrap();
        }
    }

    fn let_the_helper_begin(&self) {
        let Some(mut helper) = self.helper.lock().unwrap().take() else {
            return;
        };
        let is_named = self.named.1.lock().unwrap();
        is_named.try_iter().for_each(drop);
        let runs = std::thread::spawn(move || while helper.step().unwrap() == Prefilled::Worked {});
        *self.runs.lock().unwrap() = Some(runs);
        let _ = is_named.recv_timeout(CHANCE);
    }
}

impl LogIo for Between {
    fn create(&self, path: &Path) -> io::Result<FileHandle> {
        let created = self.io.create(path);
        self.tell(path);
        created
    }
    fn open(&self, path: &Path) -> io::Result<FileHandle> {
        self.io.open(path)
    }
    fn open_read(&self, path: &Path) -> io::Result<FileHandle> {
        self.io.open_read(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if from.ends_with("spare.seg") {
            self.let_the_helper_begin();
        }
        let renamed = self.io.rename(from, to);
        self.tell(to);
        renamed
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.io.remove(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.io.create_dir(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.io.remove_dir(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.io.list(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.io.sync_dir(path)
    }
    fn sync_all_files(&self, path: &Path) -> io::Result<()> {
        self.io.sync_all_files(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>> {
        self.io.lock(path)
    }
}

fn wide(dir: &Path) -> LogOptions {
    let identity = Identity {
        segment_bytes: SEGMENT,
        ..identity()
    };
    LogOptions {
        identity,
        ..options(dir)
    }
}

/// A log in whose active segment a spare is wanted, and there.
fn with_a_spare(io: &Arc<Between>, dir: &Path, segments: u64) -> Bench {
    let mut bench = Bench::open_with(Arc::clone(io) as Arc<dyn LogIo>, wide(dir)).unwrap();
    let until = segments * SEGMENT - SEGMENT / 4;
    fill(&bench.parts.log, &mut bench.parts.writer, until);
    bench.prefill().unwrap();
    assert!(dir.join("log/spare.seg").exists());
    bench
}

/// Sends until the log is at `until`; each is answered.
fn fill(log: &LocalLog, writer: &mut LogWriter, until: u64) {
    while writer.tail().physical.0 < until {
        let (done, answer): (_, Answer) = channel();
        let done = Box::new(move |outcome| done.send(outcome).unwrap());
        log.propose([message(7, 20_000)].into(), done);
        run(writer);
        assert!(matches!(answer.try_recv(), Ok(Outcome::Applied(_))));
    }
}

fn run(writer: &mut LogWriter) {
    while let Progress::Worked = writer.step(Duration::ZERO).unwrap() {}
}

/// Gives up the first segment: the log goes on being one.
fn purge_first(bench: &mut Bench) {
    let frames = bench.all();
    let last = frames
        .iter()
        .rfind(|frame| frame.end().0 <= SEGMENT - PAGE)
        .unwrap();
    let upto = LogId {
        term: last.header().term,
        index: LogIndex(last.index().0 + 1),
    };
    let (done, answer) = channel();
    let done = Box::new(move |result| done.send(result).unwrap());
    bench.parts.log.purge_to(upto, done);
    bench.run();
    answer.recv().unwrap().unwrap();
}

/// Rolls into the spare while the helper gets its chance, and one segment further. A start finds every frame.
fn roll_with_the_helper_between(bench: Bench, io: &Between, dir: &Path) {
    let Parts {
        log,
        mut writer,
        prefill,
        lock,
    } = bench.parts;
    *io.helper.lock().unwrap() = Some(prefill);
    let end = writer.tail().physical.0;
    fill(&log, &mut writer, end + SEGMENT);
    let helper = io.runs.lock().unwrap().take();
    helper
        .expect("the log rolled into the spare")
        .join()
        .expect("the helper works");
    let end = writer.tail().physical.0;
    fill(&log, &mut writer, end + SEGMENT);
    let tail = writer.tail().physical;
    drop((log, writer, lock));
    let again = Bench::open_with(Arc::new(RealIo::new()), wide(dir)).unwrap();
    assert!(again.parts.writer.tail().physical >= tail, "{:?}", again.cut);
}

#[test]
fn a_spare_that_is_made_while_the_log_takes_the_one_before_leaves_that_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let io = Between::new();
    let bench = with_a_spare(&io, folder.path(), 1);
    roll_with_the_helper_between(bench, &io, folder.path());
}

#[test]
fn a_file_that_gets_clean_while_the_log_takes_the_spare_leaves_that_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let io = Between::new();
    let mut bench = with_a_spare(&io, folder.path(), 2);
    purge_first(&mut bench);
    assert!(folder.path().join("log/recycled.seg").exists());
    roll_with_the_helper_between(bench, &io, folder.path());
}
