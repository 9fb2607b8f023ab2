//! Damage to any file of a store: bits that flip, files that are cut or gone, pages that are zeros, or another's. Each damaged
//! copy is started and used, and then it is known where that was found: at the start, on a read, or nowhere, because
//! everything is as in the sound store. Nothing wrong is ever served, nothing is missing without a word, and nothing panics or
//! hangs. A read that is answered with an error is one that needs what is damaged (`damage/reach.rs`).
//!
//! `SLUICE_SEED` is the first seed, `SLUICE_DAMAGES` how many; 100,000 with `SLUICE_LONG`.
#![cfg(test)]

mod damage;
mod workload;

use damage::{Class, DIR, Harm, KINDS, Sound, classify, shared_blobs, try_harms, whole_store};
use sluice_store::io::{LogIo, write_all_at};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use workload::Dice;

const DAMAGES: u64 = 2_600;
/// Of so many the most are flipped bits and cuts: at least so many.
const FLIPS_AND_CUTS: u64 = 2_000;
const DAMAGES_LONG: u64 = 100_000;
const THREADS: usize = 2;
/// Longer than any start, whatever else the machine does.
const HANG: Duration = Duration::from_secs(300);

const CLASSES: [Class; 4] = [Class::Refused, Class::Mended, Class::OnRead, Class::Harmless];

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// The kind of file, what happened to it, and where that was found.
type Tried = (&'static str, &'static str, Class);
/// How many there were of each.
type Counts = BTreeMap<Tried, u64>;

/// How many were so.
fn so_many(counts: &Counts, are_so: impl Fn(&Tried) -> bool) -> u64 {
    let so = counts.iter().filter(|(tried, _)| are_so(tried));
    so.map(|(_, count)| count).sum()
}

/// Damages a copy, starts it and uses it. Panics where something is wrong.
fn try_one(sound: &Sound, seed: u64) -> Tried {
    let io = sound.io.crash_keeping_all();
    let kind = damage::pick(&mut Dice(seed), &KINDS);
    let harm = Harm::done(&io, seed, kind, &sound.files[kind]);
    let (class, told) = try_harms(sound, &io, std::slice::from_ref(&harm));
    // A second start makes good what is derived from the log: damage to anything else was told.
    if class == Class::OnRead && !["seg", "meta"].contains(&kind) {
        let (after, _) = classify(sound, &io, &harm);
        assert_ne!(
            after,
            Class::OnRead,
            "{harm}: a second start does not mend {told:?}"
        );
    }
    (kind, harm.what, class)
}

/// Runs the seeds `first..first + count` on a few threads.
fn try_all(sound: &Arc<Sound>, first: u64, count: u64) -> Counts {
    let next = Arc::new(AtomicU64::new(first));
    let (answer, answers) = channel();
    for _ in 0..THREADS {
        let (sound, next, answer) = (Arc::clone(sound), Arc::clone(&next), answer.clone());
        std::thread::spawn(move || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + count {
                    return;
                }
                let tried = catch_unwind(AssertUnwindSafe(|| try_one(&sound, seed)));
                if answer.send((seed, tried.ok())).is_err() {
                    return;
                }
            }
        });
    }
    drop(answer);
    let (mut counts, mut failed) = (Counts::new(), Vec::new());
    for _ in 0..count {
        match answers.recv_timeout(HANG) {
            Ok((_, Some(tried))) => *counts.entry(tried).or_default() += 1,
            Ok((seed, None)) => failed.push(seed),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                panic!("a damaged copy hangs: one of the seeds up to {next:?}")
            }
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {count}, with SLUICE_DAMAGES=1 and SLUICE_SEED one of {failed:?}",
        failed.len()
    );
    counts
}

fn print(counts: &Counts) {
    println!("| file | refused | mended | on read | harmless |\n|---|---|---|---|---|");
    for (kind, _) in KINDS {
        let of = CLASSES.map(|class| so_many(counts, |of| (of.0, of.2) == (kind, class)).to_string());
        println!("| {kind} | {} |", of.join(" | "));
    }
}

#[test]
fn damage_to_any_file_is_found_or_harmless_and_never_served() {
    let long = std::env::var_os("SLUICE_LONG").is_some();
    let count = number("SLUICE_DAMAGES", if long { DAMAGES_LONG } else { DAMAGES });
    let first = number("SLUICE_SEED", 1);
    let sound = Arc::new(Sound::of(whole_store(5)));
    let (messages, looked_for) = sound.picture.counts();
    println!(
        "{messages} messages, {looked_for} ids and keys; seeds {first}..{}",
        first + count
    );
    let shared = shared_blobs(&sound.io);
    println!("all checkpoints count on {shared:?}");
    assert!(
        shared.iter().any(|blob| blob.len > 1024),
        "no large part is in all checkpoints"
    );
    let counts = try_all(&sound, first, count);
    print(&counts);
    assert_eq!(counts.values().sum::<u64>(), count);
    if count < DAMAGES {
        return;
    }
    let random = so_many(&counts, |(_, what, _)| ["flip", "cut"].contains(what));
    assert!(random >= FLIPS_AND_CUTS, "{random} flipped bits and cuts");
    let some = |kind, class| so_many(&counts, |of| (of.0, of.2) == (kind, class)) > 0;
    // Where each class must occur, and where it must not.
    for (kind, class, expected) in [
        ("seg", Class::Refused, true),
        ("seg", Class::OnRead, true),
        ("seg", Class::Harmless, true),
        ("cq", Class::Mended, true),
        ("cq", Class::OnRead, true),
        ("idx", Class::Mended, true),
        ("idx", Class::OnRead, true),
        ("run", Class::Mended, true),
        ("root", Class::Mended, true),
        ("pack", Class::Mended, true),
        // All its checkpoints count on one part's bytes, some with patches against them, and the log's beginning is gone.
        ("pack", Class::Refused, true),
        ("pack", Class::Harmless, true),
        ("root", Class::Refused, false),
        // One of a pair: the other one says the same, and that it is gone is told.
        ("meta", Class::Mended, true),
        ("meta", Class::Harmless, false),
        ("meta", Class::Refused, false),
        ("cq", Class::Refused, false),
        ("sparse", Class::Refused, false),
        ("root", Class::OnRead, false),
        ("pack", Class::OnRead, false),
        ("meta", Class::OnRead, false),
    ] {
        assert_eq!(some(kind, class), expected, "{kind}: {class:?}");
    }
}

#[test]
fn files_that_hold_nothing_for_a_start_may_hold_anything() {
    let sound = Sound::of(whole_store(5));
    let places = [
        "lock",
        "reserve",
        "log/spare.seg",
        "log/recycled.seg",
        "log/cut-00000000000000000007.bak",
        "log/00000000000000000007.repair.tmp",
        "checkpoint/00000000000000000007.root.tmp",
        "checkpoint/00000000000000000007.root.bad",
        "index/00000001-0-000000000000.idx.tmp",
        "index/00000001-0-000000000000.idx.bad",
    ];
    for place in places {
        let io = sound.io.crash_keeping_all();
        let path = Path::new(DIR).join(place);
        let file = io.open(&path).or_else(|_| io.create(&path)).unwrap();
        write_all_at(&*file, &[0xA5; 5_000], 0).unwrap();
        let harm = Harm::flip(&io, 1, "other", &path, 17);
        let (class, told) = classify(&sound, &io, &harm);
        assert_eq!(class, Class::Harmless, "{harm}: {told:?}");
    }
}
