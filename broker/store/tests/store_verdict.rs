//! Whatever is damaged: what a look at the files says of a start is what the start does, word for word; and a refused start prints a
//! command that leads on, and has changed nothing.
//!
//! `SLUICE_SEED` is the first seed, `SLUICE_DAMAGES` how many; 5,000 with `SLUICE_LONG`.
#![cfg(test)]

mod damage;
mod workload;

use damage::{DIR, Harm, KINDS, every_file, every_folder, files, killed_store, open_copy, read, whole_store};
use sluice_core::command::{EncodedCommand, NewMessage};
use sluice_core::ids::TopicId;
use sluice_core::record::{NewRecord, property, put_property};
use sluice_store::io::{FaultyIo, LogIo};
use sluice_store::repair::{Accepted, Part, RepairError, plan, told_apart};
use sluice_store::survey::{Depth, Survey, survey};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use workload::{Dice, Driver, open_with};

const DAMAGES: u64 = 160;
const DAMAGES_LONG: u64 = 5_000;
const COMMAND: &str = "sluicectl log repair /data/broker-a";

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn shared(io: &FaultyIo) -> Arc<dyn LogIo> {
    Arc::new(io.clone())
}

fn look(io: &FaultyIo) -> Survey {
    survey(&shared(io), Path::new(DIR), Depth::Everything).unwrap()
}

/// What a start says that is refused. It may change files where it is not.
fn start(io: &FaultyIo) -> Option<String> {
    match open_copy(io) {
        Ok(opened) => {
            opened.store.close().unwrap();
            None
        }
        Err(error) => Some(error.to_string()),
    }
}

/// What every file holds, and every folder, which holds none.
fn contents(io: &FaultyIo) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let files = every_file(io).into_iter();
    let files = files.map(|path| (path.clone(), Some(read(io, &path))));
    let folders = every_folder(io).into_iter().map(|path| (path, None));
    files.chain(folders).collect()
}

/// Panics if files or folders are not as they were before.
fn assert_unchanged(before: &BTreeMap<PathBuf, Option<Vec<u8>>>, io: &FaultyIo, harm: &str) {
    let after = contents(io);
    let names = before.keys().chain(after.keys()).collect::<BTreeSet<_>>();
    let changed: Vec<_> = names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .collect();
    assert!(
        changed.is_empty(),
        "{harm}: a refused start has changed {changed:?}"
    );
}

/// One to three files are damaged, or all of a kind are gone, but no more than one kind.
fn damaged(whole: &FaultyIo, seed: u64) -> (FaultyIo, String) {
    let io = whole.crash_keeping_all();
    let mut dice = Dice(seed ^ 0x7E2D);
    if dice.roll(8) == 0 {
        let kind = ["seg", "root", "pack", "meta", "cq"][dice.roll(5) as usize];
        for file in files(&io, kind) {
            io.remove(&file).unwrap();
        }
        return (io, format!("seed {seed}: all files {kind} are gone"));
    }
    let mut told = Vec::new();
    for n in 0..=dice.roll(3) {
        let kind = damage::pick(&mut dice, &KINDS);
        let there: Vec<PathBuf> = files(&io, kind);
        let has_bytes = |path: &PathBuf| io.open_read(path).unwrap().len().unwrap() > 0;
        if there.iter().any(has_bytes) {
            told.push(Harm::done(&io, seed * 4 + n, kind, &there).to_string());
        }
    }
    (io, told.join("; "))
}

/// The last command in these words.
fn command(words: &str) -> Option<&str> {
    words.rsplit_once(COMMAND).map(|(_, command)| command)
}

/// Does what stands behind the last command in these words. Answers what it says instead of doing it, if it is refused.
fn follow(io: &FaultyIo, words: &str, harm: &str) -> Option<String> {
    let command = command(words)?;
    let words: Vec<&str> = command.split_whitespace().collect();
    let parts: Vec<Part> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let (ranges, places) = told_apart(&parts);
    let accepted = Accepted {
        ranges: &ranges,
        places: &places,
        wider: words.contains(&"--wider"),
        new_meta: words.contains(&"--make-meta"),
        lost_state: words.contains(&"--accept-lost-state"),
    };
    match plan(&shared(io), Path::new(DIR), &accepted) {
        Ok(plan) => {
            assert!(!plan.is_done, "{harm}: {command}");
            let tells = |told: &String| told.contains("the next start prints the command for that too");
            let tells = plan.loss.warnings.iter().any(tells);
            plan.run(&shared(io)).unwrap();
            if accepted.lost_state {
                let next = start(&io.crash_keeping_all()).filter(|said| said.contains(COMMAND));
                assert_eq!(tells, next.is_some(), "{harm}: {next:?}");
            }
            None
        }
        Err(RepairError::Refused { what, hint }) => Some(format!("{what}; {hint}")),
        Err(error) => panic!("{harm}: {error}"),
    }
}

/// Where the last command in these words has the log end.
fn end_of(words: &str) -> Option<u64> {
    let (before, _) = command(words)?.split_once("..END")?;
    before.rsplit_once(' ')?.1.parse().ok()
}

/// Damages, and goes the way that is told. Answers what was told.
fn try_one(whole: &FaultyIo, seed: u64) -> &'static str {
    let (io, harm) = damaged(whole, seed);
    let (mut way, mut all) = ("it starts", Vec::new());
    while let Some(said) = refused(&io, &harm) {
        all.push(said.clone());
        // Another command is needed only where what state was is lost.
        let may_be = all.len() == 1 || all.len() == 2 && all[0].contains("--accept-lost-state");
        assert!(may_be, "{harm}\n-- said: {}", all.join("\n-- and then: "));
        if !said.contains(COMMAND) {
            let ways = ["`truncate -s", "move the folder away"];
            let told = ways.into_iter().find(|way| said.contains(way));
            return told.unwrap_or_else(|| panic!("{harm}: no way is told: {said}"));
        }
        let first = all.len() == 1;
        way = match follow_wider(&io, said, &harm) {
            way if first => way,
            _ => "one command after another",
        };
    }
    way
}

/// A start, which does what a look says of it; what it says if it is refused, and then it has changed nothing.
fn refused(io: &FaultyIo, harm: &str) -> Option<String> {
    let refused = look(io).refused;
    let before = contents(io);
    let said = start(io);
    assert_eq!(refused.is_some(), said.is_some(), "{harm}: {refused:?} {said:?}");
    assert_eq!(
        refused.as_deref().map(command),
        said.as_deref().map(command),
        "{harm}"
    );
    if said.is_some() {
        assert_unchanged(&before, io, harm);
    }
    said
}

/// Does what stands behind the last command in these words, or what that says instead.
fn follow_wider(io: &FaultyIo, mut words: String, harm: &str) -> &'static str {
    let mut way = "one command";
    // What follows would mean something else. A log that ends before a checkpoint is folded from an earlier one, which may meet the like.
    while let Some(instead) = follow(io, &words, harm) {
        assert!(instead.contains("--wider"), "{harm}: {instead}");
        let gives_up_more = match (end_of(&words), end_of(&instead)) {
            (Some(before), Some(now)) => now < before,
            _ => way == "one command",
        };
        assert!(gives_up_more, "{harm}: after {words}: {instead}");
        (way, words) = ("wider commands", instead);
    }
    way
}

#[test]
fn a_look_says_of_a_start_what_it_does_and_what_a_refused_start_prints_leads_on() {
    let long = std::env::var_os("SLUICE_LONG").is_some();
    let count = number("SLUICE_DAMAGES", if long { DAMAGES_LONG } else { DAMAGES });
    let first = number("SLUICE_SEED", 1);
    println!("seeds {first}..{}", first + count);
    let stores = [whole_store(5), killed_store(6)];
    let mut ways: BTreeMap<&str, u64> = BTreeMap::new();
    let mut failed = Vec::new();
    for seed in first..first + count {
        match catch_unwind(AssertUnwindSafe(|| try_one(&stores[(seed % 2) as usize], seed))) {
            Ok(way) => *ways.entry(way).or_default() += 1,
            Err(_) => failed.push(seed),
        }
    }
    println!("{ways:?}");
    assert!(
        failed.is_empty(),
        "with SLUICE_DAMAGES=1 and SLUICE_SEED one of {failed:?}"
    );
    if count >= DAMAGES {
        for way in ["it starts", "one command"] {
            assert!(ways.contains_key(way), "{way}: {ways:?}");
        }
    }
}

/// Where the log's last segment stands that is behind the newest checkpoint, from where on, and where the log ends; `None` if that is
/// next to nothing.
fn behind_the_newest(io: &FaultyIo) -> Option<(PathBuf, u64, u64, u64)> {
    let newest = files(io, "root").pop().unwrap();
    let newest: u64 = newest
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap()
        .parse()
        .unwrap();
    let found = look(io);
    let segment = found.log.segments.last().unwrap();
    let (from, end) = (newest.max(segment.base.0), found.log.durable.0);
    (end > from + 2000).then(|| (segment.file.clone(), segment.base.0, from, end))
}

/// Flips a bit in the middle of what is behind the newest checkpoint.
fn damage_the_end(io: &FaultyIo) {
    let (file, base, from, end) = behind_the_newest(io).unwrap();
    let at = sluice_store::log::PAGE_BYTES + (from + end) / 2 - base;
    Harm::flip(io, 3, "seg", &file, at as usize);
}

#[test]
fn a_refused_start_has_changed_nothing_whatever_else_would_be_made_again() {
    // When checkpoints come hangs on the machine.
    let mut killed = (7..20).map(killed_store);
    let killed = killed.find(|io| behind_the_newest(io).is_some()).unwrap();
    assert_eq!(start(&killed.crash_keeping_all()), None);
    let remove = |io: &FaultyIo, kind: &str| files(io, kind).iter().for_each(|file| io.remove(file).unwrap());
    let flip = |io: &FaultyIo, kind: &'static str| {
        let file = files(io, kind).pop().unwrap();
        let middle = read(io, &file).len() / 2;
        Harm::flip(io, 5, kind, &file, middle);
    };
    type Other<'a> = (&'a str, &'a dyn Fn(&FaultyIo));
    let others: [Other<'_>; 8] = [
        ("nothing", &|_| ()),
        ("no queue files", &|io| remove(io, "cq")),
        ("the newest of the index", &|io| {
            // Where a segment has begun since, all runs may be sorted.
            let has_run = !files(io, "run").is_empty();
            flip(io, if has_run { "run" } else { "idx" });
        }),
        ("no index files", &|io| remove(io, "idx")),
        ("the newest root", &|io| flip(io, "root")),
        ("an index file", &|io| flip(io, "idx")),
        ("the newest root and no queue files", &|io| {
            flip(io, "root");
            remove(io, "cq");
        }),
        ("all checkpoints but the first", &|io| {
            for root in &files(io, "root")[1..] {
                Harm::flip(io, 5, "root", root, 20);
            }
        }),
    ];
    for (what, harm) in others {
        let io = killed.crash_keeping_all();
        damage_the_end(&io);
        harm(&io);
        let before = contents(&io);
        let said = start(&io).unwrap_or_else(|| panic!("{what}: it starts"));
        assert_unchanged(&before, &io, what);
        let refused = look(&io).refused.unwrap_or_else(|| panic!("{what}: {said}"));
        assert_eq!(command(&refused), command(&said), "{what}");
        if let Some(instead) = follow(&io, &said, what) {
            assert_eq!(follow(&io, &instead, what), None, "{what}: {instead}");
        }
        assert_eq!(start(&io), None, "{what}: {said}");
    }
}

/// A message with so many keys.
fn message_with_keys(keys: usize) -> EncodedCommand {
    let keys: Vec<String> = (0..keys).map(|n| n.to_string()).collect();
    let mut properties = Vec::new();
    put_property(&mut properties, property::KEYS, &keys.join(" "));
    let host = "127.0.0.1:1".parse().unwrap();
    let record = NewRecord {
        topic: "topic-0",
        queue: 0,
        body: b"body",
        properties: &properties,
        born_ms: 2_000,
        born_host: host,
        store_ms: 2_000,
        store_host: host,
    };
    let message = NewMessage {
        topic: TopicId(0),
        tag: None,
        message_group: None,
        record,
    };
    message.encode()
}

#[test]
fn a_replay_that_writes_before_it_has_come_to_its_end_looks_ahead_first() {
    let io = FaultyIo::new(3);
    let open = || open_with(Arc::new(io.clone()), Path::new(DIR), u64::MAX, 8 << 20, 1_000).unwrap();
    let mut driver = Driver::new(open(), 3).without_administrators();
    driver.make().unwrap();
    (0..20).for_each(|_| driver.round(300).unwrap());
    driver.opened.store.close().unwrap();
    driver.opened = open();
    // More index items than a replay keeps in memory.
    for _ in 0..60 {
        driver
            .ask((0..10).map(|_| message_with_keys(1_000)).collect())
            .unwrap();
    }
    (0..20).for_each(|_| driver.round(300).unwrap());
    let killed = io.crash_keeping_all();
    driver.opened.store.close().unwrap();
    let left = Path::new(DIR).join("index/left.tmp");
    killed.create(&left).unwrap();
    let sound = killed.crash_keeping_all();
    assert_eq!(start(&sound), None);
    assert!(sound.open_read(&left).is_err(), "a start takes it away");

    let found = look(&killed);
    let segment = found.log.segments.last().unwrap();
    let at = sluice_store::log::PAGE_BYTES + found.log.durable.0 - segment.base.0 - 50;
    Harm::flip(&killed, 3, "seg", &segment.file, at as usize);
    let before = contents(&killed);
    let said = start(&killed).unwrap();
    assert!(said.contains("sluicectl log repair"), "{said}");
    assert_unchanged(&before, &killed, "the end of a long replay");
}
