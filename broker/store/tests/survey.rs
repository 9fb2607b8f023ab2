//! A survey of a broker's files finds nothing wrong with sound ones, names file and place of what is damaged, and changes
//! nothing.
#![cfg(test)]

mod workload;

use sluice_store::CheckpointPolicy;
use sluice_store::io::{LogIo, RealIo};
use sluice_store::retention::Settings;
use sluice_store::survey::{Depth, Note, SegmentState, Survey, Weight, survey};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use workload::{Dice, Driver, check, open, wait};

const CHECKPOINT_BYTES: u64 = 60_000;

fn io() -> Arc<dyn LogIo> {
    Arc::new(RealIo::new())
}

fn look(dir: &Path) -> Survey {
    survey(&io(), dir, Depth::Everything).unwrap()
}

/// A store over a new folder after some rounds, with several segments, checkpoints, and index files of several hours.
fn used(seed: u64) -> (TempDir, Driver) {
    let dir = tempfile::tempdir().unwrap();
    let driver = Driver::new(open(io(), dir.path(), CHECKPOINT_BYTES).unwrap(), seed);
    let mut driver = driver.without_administrators();
    driver.make().unwrap();
    for _ in 0..5 {
        for _ in 0..120 {
            driver.round(900).unwrap();
        }
        driver.pass_time(3_700_000);
    }
    (dir, driver)
}

fn stopped(seed: u64) -> TempDir {
    let (dir, driver) = used(seed);
    check(&driver.opened.store, &driver.memory);
    driver.opened.store.close().unwrap();
    dir
}

/// Every file below `dir`, by its path from there.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(&folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn names(survey: &Survey) -> Vec<String> {
    let damage = survey.findings.damage.iter();
    damage
        .map(|damage| format!("{} at {}: {}", damage.file.display(), damage.offset, damage.what))
        .collect()
}

#[test]
fn a_checkpoint_that_a_kill_has_left_before_the_log_is_no_damage_and_goes_with_the_next_start() {
    let (dir, mut driver) = used(9);
    let checkpoints = dir.path().join("checkpoint");
    let before = files(&checkpoints);
    let settings = Settings {
        keep_bytes: Some(1),
        full: true,
        ..Settings::default()
    };
    driver.begin_later(&settings, 900);
    driver.opened.store.close().unwrap();
    let start = look(dir.path()).log.segments[0].base;
    let is_before = |name: &Path| {
        let offset = name.to_str().and_then(|name| name.strip_suffix(".root"));
        offset.is_some_and(|offset| offset.parse::<u64>().unwrap() < start.0)
    };
    // As if the removal were not on the disk yet.
    for (name, bytes) in &before {
        if !checkpoints.join(name).exists() {
            std::fs::write(checkpoints.join(name), bytes).unwrap();
        }
    }
    let left: Vec<PathBuf> = files(&checkpoints)
        .into_keys()
        .filter(|name| is_before(name))
        .collect();
    assert!(!left.is_empty(), "there is one");
    let found = look(dir.path());
    assert!(found.findings.is_sound(), "{:?}", names(&found));
    for name in &left {
        let notes = found.findings.notes.iter();
        let mut of_it = notes.filter(|note| note.file == checkpoints.join(name));
        assert!(
            of_it.any(|note| note.what.contains("stands before the log")),
            "{name:?}"
        );
    }
    let opened = open(io(), dir.path(), CHECKPOINT_BYTES).unwrap();
    opened.store.close().unwrap();
    assert!(
        left.iter().all(|name| !checkpoints.join(name).exists()),
        "{left:?}"
    );
}

#[test]
fn sound_files_have_no_damage_and_are_told_about_exactly() {
    let dir = stopped(1);
    let before = files(dir.path());

    let found = look(dir.path());

    assert_eq!(names(&found), [""; 0]);
    assert!(found.findings.notes.is_empty(), "{:?}", found.findings.notes);
    assert_eq!(found.folded_to, Some(found.log.end));
    let segments = &found.log.segments;
    assert!(segments.len() > 2, "{} segments", segments.len());
    let states: Vec<_> = segments
        .iter()
        .map(|segment| segment.state == SegmentState::Active)
        .collect();
    assert!(states.iter().rev().skip(1).all(|active| !active) && states[states.len() - 1]);
    assert!(segments.windows(2).all(|pair| pair[0].end == pair[1].base));
    let frames: u64 = segments.iter().map(|segment| segment.frames).sum();
    assert_eq!(frames, found.log.end.index.0);
    assert!(found.checkpoints.len() > 2 && found.checkpoints.iter().all(|checkpoint| checkpoint.whole));
    let messages: u64 = segments
        .iter()
        .filter_map(|segment| segment.commands.get(&16))
        .sum();
    let queued: u64 = found.queues.iter().map(|queue| queue.end.0).sum();
    assert_eq!(messages, queued);
    assert_eq!(found.topics.values().collect::<Vec<_>>(), ["topic-0", "topic-1"]);
    assert!(found.index.sorted > 2 && found.index.items == messages * 3);
    assert!(files(dir.path()) == before, "a survey changes nothing");
}

#[test]
fn with_all_checkpoints_lost_what_else_there_is_is_sound_and_all_of_it_is_told() {
    let dir = stopped(11);
    let before = look(dir.path());
    let queues =
        |found: &Survey| -> Vec<_> { found.queues.iter().map(|queue| (queue.at, queue.end)).collect() };
    for name in std::fs::read_dir(dir.path().join("checkpoint")).unwrap() {
        std::fs::remove_file(name.unwrap().path()).unwrap();
    }

    let found = look(dir.path());

    assert_eq!(names(&found), [""; 0]);
    assert!(found.checkpoints.is_empty() && found.index.runs > 0);
    assert_eq!(queues(&found), queues(&before));
    assert_eq!(found.topics, before.topics);
    assert_eq!(found.index.items, before.index.items);
    // A queue of which no file was written is one too.
    std::fs::remove_dir_all(dir.path().join("queue")).unwrap();
    assert_eq!(queues(&look(dir.path())), queues(&before));

    let runs = files(dir.path()).into_keys();
    let run = runs.filter(|name| name.extension().is_some_and(|kind| kind == "run"));
    let run = dir.path().join(run.max().unwrap());
    let whole = std::fs::read(&run).unwrap();
    let mut damaged = whole.clone();
    damaged[5] ^= 4;
    std::fs::write(&run, damaged).unwrap();
    let told = names(&look(dir.path()));
    assert!(
        told.len() == 1 && told[0].contains("not those that the log gives"),
        "{told:?}"
    );
    // As of a broker that was killed.
    std::fs::write(&run, &whole[..whole.len() - 40]).unwrap();
    let found = look(dir.path());
    assert_eq!(names(&found), [""; 0]);
    let is_told = |note: &Note| note.what.contains("the next start makes it again");
    assert!(
        found.findings.notes.iter().any(is_told),
        "{:?}",
        found.findings.notes
    );
}

#[test]
fn what_is_left_of_deleted_topics_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let mut driver = Driver::new(open(io(), dir.path(), CHECKPOINT_BYTES).unwrap(), 10);
    driver.make().unwrap();
    for _ in 0..300 {
        driver.round(900).unwrap();
    }
    assert!(driver.memory.administered["TopicDeleted"] > 1);
    driver.opened.store.close().unwrap();
    let found = look(dir.path());
    assert_eq!(names(&found), [""; 0]);
    assert!(found.topics.len() >= 2);
}

#[test]
fn what_a_killed_broker_leaves_is_no_damage() {
    let (dir, mut driver) = used(2);
    driver.rest();
    driver.opened.store.set_checkpoint_policy(CheckpointPolicy {
        bytes: u64::MAX,
        every: Duration::from_secs(3600),
    });
    // Behind the newest checkpoint.
    (0..5).for_each(|_| driver.round(100).unwrap());
    let runs = || {
        let names = files(dir.path()).into_keys();
        names
            .filter(|name| name.extension().is_some_and(|ext| ext == "run"))
            .count()
    };
    wait("all runs of the index that are full are sorted", || runs() <= 1);
    let copy = tempfile::tempdir().unwrap();
    // A copy of an idle store without its close is what a kill leaves.
    for (name, bytes) in files(dir.path()) {
        let path = copy.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    driver.round(900);
    let found = look(copy.path());
    assert_eq!(names(&found), [""; 0]);
    assert_eq!(found.folded_to, Some(found.log.end));
    driver.opened.store.close().unwrap();
}

/// Where a file's bytes mean something: packs also hold parts that no checkpoint needs any more, and the last segment is
/// filled with zeros ahead.
fn meaningful(survey: &Survey, dir: &Path, name: &Path, len: usize) -> usize {
    let last = survey.log.segments.last().unwrap();
    if dir.join(name) == last.file {
        return 4096 + (last.end.0 - last.base.0) as usize;
    }
    len
}

#[test]
fn a_flipped_bit_is_found_in_every_kind_of_file_and_named() {
    let dir = stopped(3);
    let sound = look(dir.path());
    let mut dice = Dice(4);
    let mut kinds = BTreeMap::<String, u32>::new();
    for (name, bytes) in files(dir.path()) {
        let kind = name
            .extension()
            .map_or_else(|| name.display().to_string(), |kind| kind.display().to_string());
        // They mean nothing: the next segment is made anew by the next start, and the reserve is only there to be given back.
        let is_space = ["spare.seg", "recycled.seg", "reserve"]
            .iter()
            .any(|space| name.ends_with(space));
        if kind == "pack" || bytes.is_empty() || is_space {
            continue;
        }
        let room = meaningful(&sound, dir.path(), &name, bytes.len());
        let path = dir.path().join(&name);
        for _ in 0..2 {
            let at = dice.roll(room as u64) as usize;
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << dice.roll(8);
            std::fs::write(&path, &flipped).unwrap();
            let found = look(dir.path());
            let hit = found.findings.damage.iter().any(|damage| damage.file == path);
            assert!(hit, "byte {at} of {}: {:?}", name.display(), names(&found));
            *kinds.entry(kind.clone()).or_default() += 1;
        }
        std::fs::write(&path, &bytes).unwrap();
    }
    let kinds: Vec<&str> = kinds.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["a", "b", "cq", "idx", "root", "run", "seg", "sparse"]);
}

#[test]
fn damage_in_a_pack_is_found_where_a_checkpoint_needs_it() {
    let dir = stopped(5);
    let mut packs = files(dir.path())
        .into_iter()
        .filter(|(name, _)| name.extension().is_some_and(|kind| kind == "pack"));
    let (name, bytes) = packs.next_back().unwrap();
    // The newest pack's parts are all needed.
    for at in (0..bytes.len()).step_by(bytes.len() / 20 + 1) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x20;
        std::fs::write(dir.path().join(&name), &flipped).unwrap();
        let found = look(dir.path());
        assert!(
            names(&found).iter().any(|line| line.contains(".pack")),
            "byte {at}: {:?}",
            names(&found)
        );
    }
}

#[test]
fn the_place_of_damage_in_a_segment_is_named_and_later_frames_are_read() {
    let dir = stopped(6);
    let sound = look(dir.path());
    let first = &sound.log.segments[0];
    let mut bytes = std::fs::read(&first.file).unwrap();
    bytes[4096 + 10_000] ^= 1;
    std::fs::write(&first.file, &bytes).unwrap();

    let found = look(dir.path());

    let damage = &found.findings.damage[0];
    assert_eq!(damage.file, first.file);
    assert!(
        damage.weight == Weight::Lost && damage.offset <= 4096 + 10_000,
        "{damage:?}"
    );
    let frames = |survey: &Survey| -> u64 { survey.log.segments.iter().map(|segment| segment.frames).sum() };
    assert!(
        frames(&found) + 1 >= frames(&sound),
        "{} of {}",
        frames(&found),
        frames(&sound)
    );
    assert_eq!((found.log.is_whole, found.folded_to), (false, None));
}

#[test]
fn a_command_whose_length_or_checksum_is_damaged_is_found_and_costs_nothing() {
    let dir = stopped(6);
    let sound = look(dir.path());
    let first = &sound.log.segments[0];
    let bytes = std::fs::read(&first.file).unwrap();
    // The first command of the first frame: membership, which nothing could do without.
    for bit in 0..64 {
        let at = 4096 + 40;
        let mut flipped = bytes.clone();
        flipped[at + bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&first.file, &flipped).unwrap();
        let found = look(dir.path());
        let [damage] = &found.findings.damage[..] else {
            panic!("bit {bit}: {:?}", names(&found));
        };
        let told = (&damage.file, damage.offset, damage.weight);
        assert_eq!(told, (&first.file, at as u64, Weight::Harmless), "bit {bit}");
        assert_eq!(found.folded_to, sound.folded_to, "bit {bit}");
        assert!(
            found.log.damage.is_empty() && found.refused.is_none(),
            "bit {bit}"
        );
    }
}

#[test]
fn missing_files_are_found() {
    let dir = stopped(7);
    let all = files(dir.path());
    let segments: Vec<_> = look(dir.path())
        .log
        .segments
        .iter()
        .map(|segment| segment.file.clone())
        .collect();
    let of_kind = |kind: &str| {
        let mut names = all
            .keys()
            .filter(|name| name.extension().is_some_and(|found| found == kind));
        dir.path().join(names.next().unwrap())
    };
    let mut gone = vec![of_kind("cq"), of_kind("idx"), dir.path().join("meta.a")];
    gone.extend(segments);
    for path in gone {
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let found = look(dir.path());
        // One meta file alone is what a new broker has.
        if path.ends_with("meta.a") {
            assert!(found.log.meta.is_some());
        } else {
            assert!(!found.findings.is_sound(), "{}", path.display());
        }
        std::fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn whole_files_of_another_log_are_not_taken_for_this_ones() {
    let (dir, other) = (stopped(8), stopped(9));
    let others = files(other.path());
    for kind in ["cq", "run", "root"] {
        let ours = files(dir.path());
        let mut shared = ours
            .keys()
            .filter(|name| name.extension().is_some_and(|found| found == kind));
        let Some(name) = shared.rfind(|name| others.contains_key(*name) && others[*name] != ours[*name])
        else {
            continue;
        };
        let path = dir.path().join(name);
        std::fs::write(&path, &others[name]).unwrap();
        let found = look(dir.path());
        assert!(
            names(&found)
                .iter()
                // Of a root that is whole the parts are not where it says.
                .any(|line| line.contains(&path.display().to_string())
                    || kind == "root" && line.contains(".pack")),
            "{kind}: {:?}",
            names(&found)
        );
        std::fs::write(&path, &ours[name]).unwrap();
    }
}

#[test]
fn a_broker_and_those_who_read_its_files_keep_each_other_out() {
    let real = RealIo::new();
    let dir = tempfile::tempdir().unwrap();
    assert!(
        real.lock_for_reading(dir.path()).unwrap().is_none(),
        "no broker ever ran here"
    );
    assert_eq!(files(dir.path()).len(), 0, "and none is made believe");
    let running = open(io(), dir.path(), CHECKPOINT_BYTES).unwrap();
    let refused = real.lock_for_reading(dir.path()).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    running.store.close().unwrap();
    let one = real.lock_for_reading(dir.path()).unwrap();
    let two = real.lock_for_reading(dir.path()).unwrap();
    assert!(one.is_some() && two.is_some(), "readers do not mind each other");
    assert!(
        open(io(), dir.path(), CHECKPOINT_BYTES).is_err(),
        "a broker waits for them"
    );
}

#[test]
fn an_empty_folder_is_told_about() {
    let dir = tempfile::tempdir().unwrap();
    let found = look(dir.path());
    assert!(found.findings.is_sound() && found.log.segments.is_empty() && found.log.meta.is_none());
    assert_eq!(files(dir.path()).len(), 0);
}
