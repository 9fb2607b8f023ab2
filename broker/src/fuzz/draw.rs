//! Numbers, texts and bytes as chance has them, with a liking for those that something depends on.

use bolero::Driver;
use std::ops::Bound::{Excluded, Included, Unbounded};

/// Texts that something in the broker looks at: names, tags, prefixes, blanks, control characters, addresses, numbers.
const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "orders",
    "billing",
    "ns%orders",
    "%DLQ%billing",
    "%RETRY%billing",
    "%",
    "rmq_sys_x",
    "TBW102",
    "*",
    "red",
    "red || blue",
    "||",
    "|",
    "a\u{a0}",
    "größe",
    "日本",
    "\u{1}",
    "a\u{2}b",
    "a\nb",
    "\u{85}",
    "KEYS",
    "TIMER_X",
    "DLQ_ORIGIN_TOPIC",
    "0.0.0.0",
    "10.0.0.1",
    "::1",
    "907060870",
    "5D41402ABC4B2A76B9719D911017C592",
    "00-1-2-01",
];
/// Bytes at which encodings change their ways.
const EDGES: [u8; 8] = [0, 1, 2, 0x16, 0x7f, 0x80, 0xfe, 0xff];

/// A number below `end`.
pub fn below<D: Driver>(driver: &mut D, end: usize) -> Option<usize> {
    driver.gen_usize(Included(&0), Excluded(&end.max(1)))
}

/// Whether something happens that happens once in `times`.
pub fn once_in<D: Driver>(driver: &mut D, times: usize) -> Option<bool> {
    Some(below(driver, times)? == 0)
}

/// One of the items.
pub fn one_of<D: Driver, T: Copy>(driver: &mut D, items: &[T]) -> Option<T> {
    items.get(below(driver, items.len())?).copied()
}

/// Any byte, and often one of the edges.
pub fn byte<D: Driver>(driver: &mut D) -> Option<u8> {
    if once_in(driver, 3)? {
        one_of(driver, &EDGES)
    } else {
        driver.gen_u8(Unbounded, Unbounded)
    }
}

/// A small number, one beside a power of two, or any.
pub fn number<D: Driver>(driver: &mut D) -> Option<u64> {
    match below(driver, 4)? {
        0 => driver.gen_u64(Included(&0), Included(&4)),
        1 => {
            let power = 1_u64 << below(driver, 64)?;
            Some(power.wrapping_sub(1).wrapping_add(below(driver, 3)? as u64))
        }
        2 => Some(u64::MAX.wrapping_sub(below(driver, 64)? as u64)),
        _ => {
            let shift = below(driver, 64)?;
            Some(driver.gen_u64(Unbounded, Unbounded)? >> shift)
        }
    }
}

/// Up to `max` bytes, mostly few.
pub fn bytes<D: Driver>(driver: &mut D, max: usize) -> Option<Vec<u8>> {
    let room = one_of(driver, &[8, 8, 64, 512])?;
    let count = below(driver, room.min(max) + 1)?;
    (0..count).map(|_| byte(driver)).collect()
}

/// A text that means something, several of them, a long one, or any characters.
pub fn text<D: Driver>(driver: &mut D) -> Option<String> {
    match below(driver, 12)? {
        0 => Some(one_of(driver, TEXTS)?.repeat(1 + below(driver, 300)?)),
        1 => Some([one_of(driver, TEXTS)?, one_of(driver, TEXTS)?].concat()),
        2 => {
            let count = below(driver, 12)?;
            (0..count)
                .map(|_| driver.gen_char(Unbounded, Unbounded))
                .collect()
        }
        _ => one_of(driver, TEXTS).map(str::to_owned),
    }
}
