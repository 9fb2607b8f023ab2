//! Damage to checkpoints: a start takes the newest whole one and works from the log. It is refused only where no whole one is left
//! and the log's beginning is gone, whose state stands nowhere else; then it changes nothing, and says what to do.
//!
//! `SLUICE_SEED` is the first seed, `SLUICE_LONG` makes them many.
#![cfg(test)]

mod damage;
mod workload;

use damage::{
    Class, Difference, Harm, Picture, Sound, files, has_patches, open_copy, read, shared_blobs, try_harms,
    untrimmed_store, whole_roots, whole_store,
};
use sluice_store::io::FaultyIo;
use std::collections::BTreeMap;
use std::slice::from_ref;

const DAMAGES: u64 = 80;
const DAMAGES_LONG: u64 = 4_000;
/// What a start says that has nothing to begin with,
const REFUSAL: &str = "/data/broker-a/checkpoint has no whole checkpoint at all: bring it back from a backup";
/// and where a root tells at least what state has.
const WAY_ON: &str = "sluicectl log repair /data/broker-a --accept-lost-state";

fn seeds() -> std::ops::Range<u64> {
    let number = |name, otherwise| std::env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let long = std::env::var_os("SLUICE_LONG").is_some();
    let (first, count) = (
        number("SLUICE_SEED", 1),
        if long { DAMAGES_LONG } else { DAMAGES },
    );
    println!("SLUICE_SEED={first}, {count} damages");
    first..first + count
}

/// A file, or every file of a kind.
fn harms(sound: &Sound, io: &FaultyIo, seed: u64) -> Vec<Harm> {
    let kind = if seed.is_multiple_of(3) { "root" } else { "pack" };
    let files = &sound.files[kind];
    match seed % 4 {
        0 => vec![Harm::done(io, seed, kind, files)],
        _ => files
            .iter()
            .map(|file| Harm::done(io, seed, kind, from_ref(file)))
            .collect(),
    }
}

/// What became of damaged copies: whether a checkpoint was whole, and where the damage was found.
fn try_all(sound: &Sound) -> BTreeMap<(bool, Class), u32> {
    let mut came = BTreeMap::new();
    for seed in seeds() {
        let io = sound.io.crash_keeping_all();
        let harms = harms(sound, &io, seed);
        let has_whole = !whole_roots(&io, &sound.io).is_empty();
        let (class, told) = try_harms(sound, &io, &harms);
        assert_ne!(class, Class::OnRead, "{}: {told:?}", harms[0]);
        if class == Class::Refused {
            let said = &told[0];
            assert!(said.starts_with(REFUSAL), "{}: {said}", harms[0]);
            let has_root = harms[0].kind == "pack";
            assert_eq!(said.ends_with(WAY_ON), has_root, "{}: {said}", harms[0]);
        }
        if class == Class::Harmless && !has_whole {
            // Whoever takes all of them away is told of none: they are derived.
            assert!(
                harms[0].what == "gone" && harms[0].kind == "root",
                "{}: not a word",
                harms[0]
            );
        }
        *came.entry((has_whole, class)).or_default() += 1;
    }
    println!("(whole, came): {came:?}");
    came
}

#[test]
fn a_start_is_refused_only_where_no_checkpoint_is_whole_and_the_logs_beginning_is_gone() {
    let came = try_all(&Sound::of(whole_store(5)));
    for (whole, class, expected) in [
        (true, Class::Mended, true),
        (true, Class::Harmless, true),
        (true, Class::Refused, false),
        (false, Class::Mended, false),
        (false, Class::Harmless, false),
        (false, Class::Refused, true),
    ] {
        assert_eq!(
            came.contains_key(&(whole, class)),
            expected,
            "whole: {whole}, {class:?}"
        );
    }
}

#[test]
fn a_log_that_begins_at_its_first_frame_starts_whatever_is_damaged_of_its_checkpoints() {
    let came = try_all(&Sound::of(untrimmed_store(5)));
    for (whole, class, expected) in [
        (true, Class::Mended, true),
        (true, Class::Harmless, true),
        (true, Class::Refused, false),
        (false, Class::Mended, true),
        (false, Class::Refused, false),
    ] {
        assert_eq!(
            came.contains_key(&(whole, class)),
            expected,
            "whole: {whole}, {class:?}"
        );
    }
}

/// Flips a bit of the bytes that the patches of all checkpoints are against.
fn flip_what_all_share(io: &FaultyIo, seed: u64) -> Harm {
    let largest = shared_blobs(io).into_iter().max_by_key(|blob| blob.len).unwrap();
    assert!(largest.len > 1024, "{largest:?} is too small for a patch");
    let at = largest.offset + seed as usize % largest.len;
    Harm::flip(io, seed, "pack", &largest.path(), at)
}

#[test]
fn one_bit_of_what_patches_are_against_costs_all_checkpoints_that_count_on_it() {
    let stores = [
        (whole_store(5), Class::Refused),
        (untrimmed_store(5), Class::Mended),
    ];
    for (io, expected) in stores {
        let sound = Sound::of(io);
        let roots = &sound.files["root"];
        for seed in [1, 500, 1_000] {
            let io = sound.io.crash_keeping_all();
            let harm = flip_what_all_share(&io, seed);
            let whole = whole_roots(&io, &sound.io);
            let is_first = |root| expected == Class::Mended && root == &roots[0];
            assert!(whole.iter().all(is_first), "{harm}: {whole:?} are whole");
            let (class, told) = try_harms(&sound, &io, from_ref(&harm));
            assert_eq!(class, expected, "{harm}: {told:?}");
            if class == Class::Refused {
                assert!(told[0].ends_with(WAY_ON), "{harm}: {}", told[0]);
            }
        }
    }
}

#[test]
fn the_scrub_finds_it_and_the_next_checkpoint_is_whole_and_has_no_patch() {
    let sound = Sound::of(whole_store(5));
    let io = sound.io.crash_keeping_all();
    let opened = open_copy(&io).unwrap();
    let harm = flip_what_all_share(&io, 7);
    let (mut scrub, mut findings) = (opened.store.scrub(), Vec::new());
    loop {
        let step = scrub.step(1_000);
        findings.extend(step.findings);
        if step.is_last {
            break;
        }
    }
    let named = harm.path.display().to_string();
    assert!(
        findings.iter().any(|finding| finding.what.contains(&named)),
        "{harm}: {findings:?}"
    );
    opened.store.close().unwrap();
    let newest = files(&io, "root").pop().unwrap();
    assert!(!has_patches(&read(&io, &newest)), "{harm}: {}", newest.display());
    let opened = open_copy(&io).unwrap();
    let picture = Picture::again(&opened.store, &sound.picture, 0, 4);
    assert_eq!(picture.difference(&sound.picture), Difference::None, "{harm}");
    opened.store.close().unwrap();
}
