//! Errors of the disk at any call of a start: it ends with an error that names the file and what was done to it, and has kept
//! everything for the next start, or it goes on and serves everything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sluice_tests::process::Broker;
use sluice_tests::script::{Base, Script, copy};
use sluice_tests::seed::{self, Chance};
use sluice_tests::strace::{Injected, Injection, Traced, When, injecting_on, on_files, tracing_files};
use tempfile::TempDir;

use crate::block_on;
use crate::kills::{damage_newest_checkpoint, left_by_a_kill};
use crate::points::{Sample, Try};

/// For each kind of error.
const TIME: Duration = Duration::from_secs(9);
/// What the process ends with when it does not start, and when its store has failed.
const NOT_STARTED: [i32; 2] = [1, 3];
/// Calls to which a full disk says so, besides those that make a file.
const TAKE_SPACE: [&str; 8] = [
    "pwritev",
    "pwrite64",
    "fdatasync",
    "fsync",
    "syncfs",
    "rename",
    "ftruncate",
    "mkdir",
];

/// What a killed broker has left, and what it has acknowledged; its start makes these calls.
struct Left {
    folder: TempDir,
    script: Script,
    /// Whether retention gives nothing up.
    keeps: bool,
    /// How many checkpoints are damaged.
    damaged: usize,
    points: Vec<Point>,
}

/// A call of a start on a file.
#[derive(Debug, Clone)]
struct Point {
    /// Over which folder.
    left: usize,
    call: &'static str,
    /// Its path in the broker's folder.
    file: PathBuf,
    nth: u32,
}

impl Try for Point {
    type Kind = &'static str;

    fn kind(&self) -> Self::Kind {
        self.call
    }
}

/// What becomes of the folder before it is started.
#[derive(Debug, Clone, Copy)]
enum Before {
    /// Nothing: there is a checkpoint, and a part of the log behind it.
    AsItIs,
    /// All queue and index files go: they are made again.
    NothingDerived,
    /// The newest checkpoint is damaged.
    DamagedCheckpoint,
}

impl Before {
    fn done_to(self, shard: &Path) {
        match self {
            Self::AsItIs => {}
            Self::NothingDerived => ["queue", "index"]
                .iter()
                .for_each(|folder| std::fs::remove_dir_all(shard.join(folder)).unwrap()),
            Self::DamagedCheckpoint => damage_newest_checkpoint(shard),
        }
    }
}

impl Left {
    fn make(base: &Base, number: usize, before: Before, chance: &mut Chance) -> Self {
        let (script, broker) = left_by_a_kill(base, chance);
        before.done_to(&broker.shard_dir());
        let folder = tempfile::tempdir_in(broker.data_dir().parent().unwrap().parent().unwrap()).unwrap();
        copy(broker.data_dir(), &folder.path().join("data")).unwrap();
        let mut left = Self {
            folder,
            script,
            keeps: matches!(before, Before::NothingDerived),
            damaged: usize::from(matches!(before, Before::DamagedCheckpoint)),
            points: Vec::new(),
        };
        left.points = left.look(base, number);
        left
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The calls of a start that nothing is wrong with.
    fn look(&self, base: &Base, left: usize) -> Vec<Point> {
        let mut broker = base.stopped_over(&self.data(), self.keeps).unwrap();
        let calls = broker.data_dir().with_extension("calls");
        broker.spawn_under(tracing_files(&calls)).unwrap();
        assert_eq!(broker.ready_or_ended().unwrap(), None);
        broker.kill().unwrap();
        let counts = on_files(&calls, &broker.shard_dir()).unwrap();
        let points = counts.into_iter().flat_map(|((call, file), count)| {
            (1..=count).map(move |nth| Point {
                left,
                call,
                file: file.clone(),
                nth,
            })
        });
        points.collect()
    }

    fn is_there(&self, point: &Point) -> bool {
        self.data()
            .join(sluice_tests::process::BROKER_NAME)
            .join(&point.file)
            .exists()
    }
}

/// What came of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Comes {
    /// The process ended, and said why.
    Ends,
    /// It ended, and did not name the file or what was done to it.
    EndsWithoutAWord,
    /// It started, and served everything.
    GoesOn,
    /// The call was not made.
    NotMade,
}

/// What the broker calls what a call does.
fn words_of(call: &str) -> &'static [&'static str] {
    match call {
        "fdatasync" | "fsync" | "syncfs" => &["sync"],
        "pwritev" | "pwrite64" => &["write", "cut off", "zero-fill"],
        "ftruncate" => &["cut"],
        "rename" => &["rename"],
        "unlink" | "rmdir" => &["remove", "write"],
        "mkdir" => &["create", "make"],
        "getdents64" => &["list"],
        "flock" => &["lock"],
        "pread64" => &["read"],
        "fadvise64" => &["drop the cache"],
        // Before whatever is wanted of the file.
        _ => &["cannot "],
    }
}

/// Whether one of the warnings and errors of a start that has ended names the file, and what was done to it.
fn is_named(said: &str, shard: &Path, point: &Point) -> bool {
    let file = match point.file.to_str().unwrap() {
        // The folder is locked by it.
        "lock" => shard.to_owned(),
        _ => shard.join(&point.file),
    };
    let (file, words) = (file.display().to_string(), words_of(point.call));
    said.lines()
        .any(|line| line.contains(file.trim_end_matches('/')) && words.iter().any(|word| line.contains(word)))
}

/// How many checkpoints were found damaged.
fn put_aside(broker: &Broker) -> usize {
    let files = std::fs::read_dir(broker.shard_dir().join("checkpoint")).unwrap();
    let names = files.map(|file| file.unwrap().file_name());
    names
        .filter(|name| name.to_string_lossy().ends_with(".root.bad"))
        .count()
}

/// The warnings and errors.
fn said(broker: &Broker) -> String {
    let log = broker.log().unwrap();
    let lines = log
        .lines()
        .filter(|line| line.contains("WARN") || line.contains("ERROR"));
    lines.collect::<Vec<_>>().join("\n")
}

/// One start with an error at a point.
fn start_with(base: &Base, left: &Left, point: &Point, error: &'static str, what: &str) -> Comes {
    let script = left.script.fork();
    let mut broker = base.stopped_over(&left.data(), left.keeps).unwrap();
    let calls = broker.data_dir().with_extension("calls");
    let injection = Injection {
        call: point.call,
        what: Injected::Error(error),
        when: When::Nth(point.nth),
    };
    let words = injecting_on(&broker.shard_dir().join(&point.file), &injection, &calls);
    broker.spawn_under(words).unwrap();
    let status = match broker.ready_or_ended().unwrap() {
        Some(status) => status,
        None => match block_on(script.hear_everything(&mut broker, base)) {
            Ok(()) => broker.stop().unwrap(),
            // By the fault, behind the start.
            Err(error) => {
                assert!(!broker.runs().unwrap(), "{what}: {error:#}");
                broker.wait_for_end().unwrap()
            }
        },
    };
    assert!(
        put_aside(&broker) <= left.damaged,
        "{what}: a checkpoint that was not read counts as damaged"
    );
    if status.success() {
        let verdict = script
            .finish(&broker)
            .unwrap_or_else(|error| panic!("{what}: {error:#}"));
        assert!(verdict.is_clean(), "{what}: {verdict}");
        let injected = Traced::read(&calls).unwrap().injected;
        return if injected > 0 {
            Comes::GoesOn
        } else {
            Comes::NotMade
        };
    }
    let (said, shard) = (said(&broker), broker.shard_dir());
    let code = status.code();
    assert!(
        code.is_some_and(|code| NOT_STARTED.contains(&code)),
        "{what}: {status}: {said}"
    );
    broker
        .restart()
        .unwrap_or_else(|error| panic!("{what}: {error:#}"));
    let verdict =
        block_on(script.audit(&mut broker, base)).unwrap_or_else(|error| panic!("{what}: {error:#}"));
    assert!(verdict.is_clean(), "{what}: {verdict}");
    match is_named(&said, &shard, point) {
        true => Comes::Ends,
        false => {
            println!("{what}: {said}");
            Comes::EndsWithoutAWord
        }
    }
}

#[test]
fn an_error_at_any_call_of_a_start_ends_it_or_not_and_the_next_start_has_everything() {
    let seed = seed::from_environment().unwrap();
    let mut chance = Chance::new(seed);
    let base = block_on(Base::make()).unwrap();
    let befores = [Before::AsItIs, Before::NothingDerived, Before::DamagedCheckpoint];
    let left: Vec<_> = befores
        .into_iter()
        .enumerate()
        .map(|(number, before)| Left::make(&base, number, before, &mut chance))
        .collect();
    let mut without_a_word = Vec::new();
    for error in ["EIO", "ENOSPC"] {
        let fits = |point: &&Point| {
            let makes_it = point.call == "openat" && !left[point.left].is_there(point);
            error == "EIO" || makes_it || TAKE_SPACE.contains(&point.call)
        };
        let points: Vec<_> = left
            .iter()
            .flat_map(|left| &left.points)
            .filter(fits)
            .cloned()
            .collect();
        let mut came = BTreeMap::<_, u32>::new();
        let mut sample = Sample::of(points, TIME, &mut chance);
        for point in &mut sample {
            let what = format!(
                "SLUICE_SEED={seed}, {error} at {point:?}, {:?}",
                befores[point.left]
            );
            let comes = start_with(&base, &left[point.left], &point, error, &what);
            if comes == Comes::EndsWithoutAWord {
                without_a_word.push(what);
            }
            *came.entry((comes, point.call)).or_default() += 1;
        }
        println!(
            "SLUICE_SEED={seed}: {error} at some of {} calls: {came:?}",
            sample.total()
        );
        let not_made: u32 = came
            .iter()
            .filter(|((comes, _), _)| *comes == Comes::NotMade)
            .map(|(_, n)| n)
            .sum();
        let all: u32 = came.values().sum();
        assert!(not_made * 3 <= all, "{not_made} of {all} calls were not made");
        for call in ["pwritev", "fdatasync", "rename"] {
            let mut kinds = came.keys();
            let is_made = kinds.any(|(comes, of)| *of == call && *comes != Comes::NotMade);
            assert!(is_made, "{error} came to no {call}: {came:?}");
        }
    }
    assert!(without_a_word.is_empty(), "{without_a_word:#?}");
}
