//! Where damage was found: each damaged copy is started and used.

use super::base::{DIR, KINDS, files, open_copy};
use super::checkpoints::everything;
use super::harm::Harm;
use super::picture::{Difference, Picture};
use super::reach::Reach;
use super::told::Told;
use sluice_store::io::FaultyIo;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// Where damage was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The start refused, and named what is wrong.
    Refused,
    /// The start said so, and made it good.
    Mended,
    /// Reads were answered with errors.
    OnRead,
    /// Everything is as it was, and nothing was said.
    Harmless,
}

/// A store that nothing is wrong with.
pub struct Sound {
    pub io: FaultyIo,
    pub files: BTreeMap<&'static str, Vec<PathBuf>>,
    pub picture: Picture,
}

impl Sound {
    /// Of a closed store.
    pub fn of(io: FaultyIo) -> Self {
        let copy = io.crash_keeping_all();
        let opened = open_copy(&copy).unwrap();
        let picture = Picture::whole(&opened.store);
        // The same once more, or no copy could be compared with it.
        let again = Picture::again(&opened.store, &picture, 0, 1);
        assert_eq!(again.difference(&picture), Difference::None);
        opened.store.close().unwrap();
        let of_kind = |(kind, _): &(&'static str, u64)| (*kind, files(&io, kind));
        Self {
            files: KINDS.iter().map(of_kind).collect(),
            io,
            picture,
        }
    }
}

/// Starts a damaged copy and uses it: where these harms were found, and what was said of them. A start that is refused has changed
/// nothing, and with the files back everything is there. Panics where something is wrong.
pub fn try_harms(sound: &Sound, io: &FaultyIo, harms: &[Harm]) -> (Class, Vec<String>) {
    let before = io.crash_keeping_all();
    let (class, told) = classify(sound, io, &harms[0]);
    if class == Class::Refused {
        let harm = &harms[0];
        let (before, after) = (everything(&before), everything(io));
        let changed: Vec<_> = before
            .iter()
            .filter(|(path, bytes)| after.get(*path) != Some(*bytes))
            .map(|(path, _)| path)
            .collect();
        assert!(
            changed.is_empty() && before.len() == after.len(),
            "{harm}: refused, and yet changed {changed:?}"
        );
        harms.iter().for_each(|harm| harm.undone(io, &sound.io));
        let (class, said) = classify(sound, io, harm);
        assert_eq!(
            class,
            Class::Harmless,
            "{harm}: {told:?}; with the file back {said:?}"
        );
    }
    (class, told)
}

/// One start.
pub fn classify(sound: &Sound, io: &FaultyIo, harm: &Harm) -> (Class, Vec<String>) {
    let (opened, mut told) = Told::during(|| open_copy(io));
    let opened = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let words = error.to_string();
            assert!(words.contains(DIR), "{harm}: no file is named in '{words}'");
            if harm.kind == "seg" {
                assert!(words.contains("is damaged at file offset"), "{harm}: {words}");
                // Of a file that is gone the next one says so.
                let is_named = harm.what == "gone" || words.contains(&harm.path.display().to_string());
                assert!(is_named, "{harm}: another file in '{words}'");
                // How far it reaches and what to do, also where the log begins: what stands in its first page the rest tells.
                let extent = ["message", "first page"].iter().any(|part| words.contains(part));
                let is_padding = words.contains("`truncate -s");
                let told = is_padding || extent && words.contains("sluicectl log repair");
                assert!(told, "{harm}: no extent in '{words}'");
            }
            return (Class::Refused, vec![words]);
        }
    };
    // The index is the slowest to look at: where it is not damaged itself, a part of it does.
    let nth = if ["idx", "run"].contains(&harm.kind) {
        4
    } else {
        16
    };
    let picture = Picture::again(&opened.store, &sound.picture, harm.seed as usize, nth);
    let class = match picture.difference(&sound.picture) {
        Difference::Wrong(what) => panic!("{harm}: {what} is wrong, and nobody says so; told: {told:?}"),
        Difference::Told(errors) => {
            Reach::of(sound, harm).check(&errors);
            told = errors.into_iter().map(|unanswered| unanswered.error).collect();
            Class::OnRead
        }
        Difference::None if told.is_empty() => Class::Harmless,
        Difference::None => Class::Mended,
    };
    let closed = opened.store.close();
    assert!(closed.is_ok(), "{harm}: {closed:?}");
    assert!(
        !opened.failed.load(Ordering::SeqCst),
        "{harm}: the process would have ended"
    );
    (class, told)
}
