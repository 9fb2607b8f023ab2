//! Damage to a place of the log.

use super::DIR;
use crate::workload::Dice;
use sluice_core::ids::PhysicalOffset;
use sluice_store::io::{FaultyIo, LogIo, read_exact_at, write_all_at};
use sluice_store::log::Frame;
use sluice_store::repair::Range;
use std::path::{Path, PathBuf};

const PAGE: u64 = 4096;

pub fn segment_path(base: u64) -> PathBuf {
    Path::new(DIR).join("log").join(format!("{base:020}.seg"))
}

/// Where in which file an offset of the log stands.
pub fn place(bases: &[u64], at: u64) -> (PathBuf, u64) {
    let base = *bases.iter().rev().find(|base| **base <= at).unwrap();
    (segment_path(base), PAGE + at - base)
}

pub fn flip(io: &FaultyIo, path: &Path, at: u64, bit: u8) {
    let file = io.open(path).unwrap();
    let mut byte = [0];
    read_exact_at(file.as_ref(), &mut byte, at).unwrap();
    write_all_at(file.as_ref(), &[byte[0] ^ (1 << bit)], at).unwrap();
    file.sync_data().unwrap();
}

/// Damages a frame's header, or the body of one of its commands. Answers what is lost.
pub fn damage_frame(io: &FaultyIo, bases: &[u64], frame: &Frame, dice: &mut Dice) -> Range {
    let commands: Vec<_> = frame.commands().collect();
    let (path, at) = place(bases, frame.start().0);
    if commands.is_empty() || dice.roll(2) == 0 {
        // Any byte of the header counts.
        flip(io, &path, at + dice.roll(40), dice.roll(8) as u8);
        return Range {
            from: frame.start(),
            to: Some(frame.end()),
        };
    }
    let (_, from, bytes) = &commands[dice.roll(commands.len() as u64) as usize];
    let within = 8 + dice.roll(bytes.len() as u64 - 8);
    flip(
        io,
        &path,
        at + (from.0 - frame.start().0) + within,
        dice.roll(8) as u8,
    );
    Range {
        from: *from,
        to: Some(PhysicalOffset(from.0 + bytes.len() as u64)),
    }
}
