//! Damage to checkpoints: a start takes the newest whole one and works from the log. It is refused only where no whole one is left
//! and the log's beginning is gone, whose state stands nowhere else; then it changes nothing, and says what to do.
//!
//! `SLUICE_SEED` is the first seed, `SLUICE_LONG` makes them many.
#![cfg(test)]

mod damage;
mod workload;

use damage::{Class, Harm, Sound, try_harms, untrimmed_store, whole_roots, whole_store};
use sluice_store::io::FaultyIo;
use std::collections::BTreeMap;
use std::slice::from_ref;

const DAMAGES: u64 = 80;
const DAMAGES_LONG: u64 = 4_000;
/// What a start says that has nothing to begin with.
const REFUSAL: &str = "/data/broker-a/checkpoint has no whole checkpoint at all: bring it back from a backup";

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
            assert_eq!(told.len(), 1, "{}: {told:?}", harms[0]);
            assert!(told[0].starts_with(REFUSAL), "{}: {told:?}", harms[0]);
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
