//! The scrub: what a read would meet, it finds before; a sound store is sound; and nothing is changed by looking.
#![cfg(test)]

mod damage;
mod workload;

use damage::{Difference, Harm, Picture, files, open_copy, whole_store};
use sluice_core::command::Place;
use sluice_core::ids::{QueueId, TopicId, TopicQueue};
use sluice_store::Store;
use sluice_store::io::{FaultyIo, LogIo, write_all_at};
use sluice_store::log::PAGE_BYTES;
use sluice_store::scrub::{Finding, Kind, LostMessage, Step};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const NOW: u64 = 1_000;

/// A whole round: what was read, and what was found.
fn round(store: &Store) -> (u64, Vec<Finding>) {
    let (mut scrub, mut bytes, mut findings) = (store.scrub(), 0, Vec::new());
    for _ in 0..10_000 {
        let step: Step = scrub.step(NOW);
        bytes += step.bytes;
        findings.extend(step.findings);
        if step.is_last {
            return (bytes, findings);
        }
    }
    panic!("a round has no end");
}

fn whole() -> (FaultyIo, Picture) {
    let io = whole_store(6);
    let copy = io.crash_keeping_all();
    let opened = open_copy(&copy).unwrap();
    let picture = Picture::whole(&opened.store);
    opened.store.close().unwrap();
    (io, picture)
}

#[test]
fn a_sound_store_is_read_as_a_whole_and_found_sound() {
    let (io, _) = whole();
    let opened = open_copy(&io).unwrap();
    let (bytes, findings) = round(&opened.store);
    assert!(findings.is_empty(), "{findings:?}");
    let sealed: u64 = opened.store.log().segments() as u64 - 1;
    assert!(
        sealed >= 2 && bytes > sealed * 200_000,
        "{bytes} of {sealed} segments"
    );
    opened.store.close().unwrap();
}

#[test]
fn a_message_that_the_disk_has_lost_and_memory_not_yet_is_named() {
    let io = FaultyIo::new(8);
    let opened = workload::open(Arc::new(io.clone()), Path::new(damage::DIR), 60_000).unwrap();
    let mut driver = workload::Driver::new(opened, 8);
    driver.make().unwrap();
    let at = TopicQueue {
        topic: TopicId(0),
        queue: QueueId(0),
    };
    let offset = driver.send_one(at, 500).unwrap();
    driver
        .send_until(3000, |driver| driver.opened.store.log().segments() >= 3)
        .unwrap();
    let store = driver.opened.store.clone();
    let mut entries = Vec::new();
    store.queues().read(at, offset, 1, &mut entries).unwrap();
    let entry = entries[0];
    let file = io.open(&files(&io, "seg")[0]).unwrap();
    write_all_at(
        &*file,
        b"?",
        PAGE_BYTES + entry.physical.0 + u64::from(entry.size) - 1,
    )
    .unwrap();
    let (_, findings) = round(&store);
    let named: Vec<_> = findings.iter().flat_map(|finding| &finding.messages).collect();
    let expected = LostMessage {
        at,
        offset,
        in_memory: true,
    };
    assert_eq!(named, [&expected], "{findings:?}");
    assert!(store.read_message(&Place { at, offset, entry }, NOW).is_ok());
    store.close().unwrap();
}

#[test]
fn what_a_read_would_meet_the_scrub_finds_and_names() {
    let (io, sound) = whole();
    let kinds = [
        ("seg", Kind::Log),
        ("cq", Kind::Queue),
        ("idx", Kind::Index),
        ("root", Kind::Checkpoint),
        ("pack", Kind::Checkpoint),
    ];
    let mut found_before: BTreeMap<&str, u32> = BTreeMap::new();
    let count = |found_before: &BTreeMap<&str, u32>, kind| found_before.get(kind).copied().unwrap_or(0);
    // Where checkpoints stand is not the same in each run, and so how many damaged files are none of the scrub's.
    let has_found_few = |found_before: &BTreeMap<&str, u32>| {
        let few = |kind| count(found_before, kind) <= 3;
        ["seg", "cq", "idx"].into_iter().any(few) || count(found_before, "pack") == 0
    };
    for seed in 0..200 {
        if seed >= 100 && !has_found_few(&found_before) {
            break;
        }
        let copy = io.crash_keeping_all();
        let (kind, expected) = kinds[seed as usize % kinds.len()];
        let paths = files(&copy, kind);
        // The log's last segment is not sealed, and a start that needs the newest checkpoint does not come to a scrub.
        let paths = &paths[..paths.len() - usize::from(paths.len() > 1)];
        let harm = Harm::done(&copy, seed, kind, paths);
        // What a start puts right or refuses is none of the scrub's.
        let Ok(opened) = open_copy(&copy) else { continue };
        let (_, findings) = round(&opened.store);
        let lost: Vec<_> = findings.iter().flat_map(|finding| &finding.messages).collect();
        let picture = Picture::again(&opened.store, &sound, 0, 2);
        match picture.difference(&sound) {
            Difference::Wrong(what) => panic!("{harm}: {what}"),
            Difference::Told(errors) => {
                assert!(
                    findings.iter().any(|finding| finding.kind == expected),
                    "{harm}: {findings:?}, but {errors:?}"
                );
                *found_before.entry(kind).or_default() += 1;
            }
            Difference::None => {
                if !findings.is_empty() {
                    *found_before.entry(kind).or_default() += 1;
                }
            }
        }
        if kind == "seg" {
            for (at, offset) in picture.unread_of_topics() {
                let named = lost.iter().any(|lost| (lost.at, lost.offset.0) == (at, offset));
                assert!(named, "{harm}: {offset} of {at:?} is not named");
            }
        }
        for finding in &findings {
            assert!(finding.what.contains(damage::DIR), "{harm}: {}", finding.what);
        }
        opened.store.close().unwrap();
    }
    println!("{found_before:?}");
    assert!(!has_found_few(&found_before), "{found_before:?}");
}
