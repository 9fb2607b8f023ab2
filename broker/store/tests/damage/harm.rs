//! What happens to a file.

use crate::workload::Dice;
use sluice_store::io::{FaultyIo, LogIo, read_exact_at, write_all_at};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

const PAGE: usize = 4096;

/// What happens, and how many of a hundred are so.
const HARMS: [(&str, u64); 6] = [
    ("flip", 56),
    ("cut", 22),
    ("zeros", 6),
    ("swap", 6),
    ("copy", 6),
    ("gone", 4),
];

/// One damage.
#[derive(Clone, Debug)]
pub struct Harm {
    pub seed: u64,
    pub kind: &'static str,
    pub path: PathBuf,
    pub what: &'static str,
    at: usize,
    other: usize,
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            what,
            at,
            other,
            seed,
            ..
        } = self;
        write!(
            f,
            "seed {seed}: {what} at {at} (other {other}) of {}",
            path.display()
        )
    }
}

/// One of these by their shares of a hundred.
pub fn pick(dice: &mut Dice, shares: &[(&'static str, u64)]) -> &'static str {
    let mut left = dice.roll(100);
    for (name, share) in shares {
        if left < *share {
            return name;
        }
        left -= share;
    }
    panic!("the shares are a hundred");
}

impl Harm {
    /// Damages one of these files, so that it differs afterwards.
    pub fn done(io: &FaultyIo, seed: u64, kind: &'static str, paths: &[PathBuf]) -> Self {
        let mut dice = Dice(seed ^ 0xDA_3A6E);
        loop {
            let path = &paths[dice.roll(paths.len() as u64) as usize];
            let what = pick(&mut dice, &HARMS);
            let before = read(io, path);
            if before.is_empty() {
                continue;
            }
            let pages = (before.len() as u64).div_ceil(PAGE as u64);
            let (at, other) = match what {
                "flip" => (dice.roll(before.len() as u64), dice.roll(8)),
                "cut" => (dice.roll(before.len() as u64), 0),
                _ => (dice.roll(pages), dice.roll(pages)),
            };
            let harm = Self {
                seed,
                kind,
                path: path.clone(),
                what,
                at: at as usize,
                other: other as usize,
            };
            let after = harm.of(before.clone());
            if after.as_ref() != Some(&before) {
                write(io, path, after.as_deref());
                return harm;
            }
        }
    }

    /// Flips a bit of this byte.
    pub fn flip(io: &FaultyIo, seed: u64, kind: &'static str, path: &Path, at: usize) -> Self {
        let harm = Self {
            seed,
            kind,
            path: path.to_owned(),
            what: "flip",
            at,
            other: (seed % 8) as usize,
        };
        let after = harm.of(read(io, path));
        write(io, path, after.as_deref());
        harm
    }

    /// Puts the file back as it is in the sound store.
    pub fn undone(&self, io: &FaultyIo, sound: &FaultyIo) {
        let bytes = read(sound, &self.path);
        if io.open(&self.path).is_err() {
            io.create(&self.path).unwrap();
            io.sync_dir(self.path.parent().unwrap()).unwrap();
        }
        write(io, &self.path, Some(&bytes));
    }

    /// Where these bytes of the file are others then, or gone.
    pub fn touched(&self, sound: &[u8]) -> Vec<Range<usize>> {
        let damaged = self.of(sound.to_vec()).unwrap_or_default();
        let mut touched: Vec<Range<usize>> = Vec::new();
        for at in (0..sound.len()).filter(|at| damaged.get(*at) != Some(&sound[*at])) {
            match touched.last_mut() {
                Some(last) if last.end == at => last.end += 1,
                _ => touched.push(at..at + 1),
            }
        }
        touched
    }

    /// The bytes as they are then; `None` for no file.
    fn of(&self, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        let len = bytes.len();
        let page = |n: usize| n * PAGE..((n + 1) * PAGE).min(len);
        match self.what {
            "flip" => bytes[self.at] ^= 1 << self.other,
            "cut" => bytes.truncate(self.at),
            "zeros" => bytes[page(self.at)].fill(0),
            "swap" | "copy" => {
                let (one, other) = (bytes[page(self.at)].to_vec(), bytes[page(self.other)].to_vec());
                let both = one.len().min(other.len());
                bytes[page(self.other)][..both].copy_from_slice(&one[..both]);
                if self.what == "swap" {
                    bytes[page(self.at)][..both].copy_from_slice(&other[..both]);
                }
            }
            _ => return None,
        }
        Some(bytes)
    }
}

/// What a file holds.
pub fn read(io: &FaultyIo, path: &Path) -> Vec<u8> {
    let file = io.open_read(path).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    read_exact_at(&*file, &mut bytes, 0).unwrap();
    bytes
}

fn write(io: &FaultyIo, path: &Path, bytes: Option<&[u8]>) {
    let Some(bytes) = bytes else {
        return io.remove(path).unwrap();
    };
    let file = io.open(path).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    write_all_at(&*file, bytes, 0).unwrap();
    file.sync_data().unwrap();
}
