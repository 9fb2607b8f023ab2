//! What is done to a valid input. Several kinds in a row reach what random bytes do not: everything before the damage is still
//! as the decoder wants it.

use super::draw::{below, byte, bytes, number, once_in};
use bolero::Driver;
use std::ops::Range;

/// The longest input.
pub const BYTES_MAX: usize = 64 << 10;
/// Kinds of damage in a row.
const IN_A_ROW_MAX: usize = 4;
/// How often a piece is repeated.
const REPEATS_MAX: usize = 40;

/// Damages `bytes` up to a few times, and in one of four cases not at all. `other` is another valid input, whose parts are
/// put in.
pub fn some<D: Driver>(driver: &mut D, bytes: &mut Vec<u8>, other: &[u8]) -> Option<()> {
    if once_in(driver, 4)? {
        return Some(());
    }
    for _ in 0..=below(driver, IN_A_ROW_MAX)? {
        once(driver, bytes, other)?;
        bytes.truncate(BYTES_MAX);
    }
    Some(())
}

fn once<D: Driver>(driver: &mut D, bytes: &mut Vec<u8>, other: &[u8]) -> Option<()> {
    let at = below(driver, bytes.len())?;
    match below(driver, 10)? {
        0 | 1 => {
            let bit = below(driver, 8)?;
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        2 => {
            let new = byte(driver)?;
            if let Some(byte) = bytes.get_mut(at) {
                *byte = new;
            }
        }
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(piece(driver, bytes.len())?)),
        5 => {
            let new = self::bytes(driver, 64)?;
            drop(bytes.splice(at..at, new));
        }
        6 => {
            let piece = bytes[piece(driver, bytes.len())?].to_vec();
            let room = BYTES_MAX.saturating_sub(bytes.len()) / piece.len().max(1);
            let times = (1 + below(driver, REPEATS_MAX)?).min(room);
            drop(bytes.splice(at..at, piece.repeat(times)));
        }
        7 => {
            bytes.truncate(at);
            bytes.extend_from_slice(&other[below(driver, other.len())?..]);
        }
        8 => {
            let piece = piece(driver, other.len())?;
            let over = at..(at + piece.len()).min(bytes.len());
            drop(bytes.splice(over, other[piece].iter().copied()));
        }
        _ => overwrite(bytes, at, number(driver)?, once_in(driver, 2)?),
    }
    Some(())
}

/// A part of so many bytes.
fn piece<D: Driver>(driver: &mut D, len: usize) -> Option<Range<usize>> {
    let start = below(driver, len)?;
    let longest = len - start.min(len);
    Some(start.min(len)..start.min(len) + below(driver, longest + 1)?)
}

/// Writes the number over four bytes, where lengths and counts often are.
fn overwrite(bytes: &mut [u8], at: usize, number: u64, big_endian: bool) {
    let number = number as u32;
    let number = if big_endian {
        number.to_be_bytes()
    } else {
        number.to_le_bytes()
    };
    let aligned = at & !3;
    for (byte, new) in bytes.iter_mut().skip(aligned).zip(number) {
        *byte = new;
    }
}
