//! Many damaged places in one word of a command line: `FROM..TO/N:BYTES`, at most N places with at most BYTES bytes from FROM to TO, and
//! nothing between them.

use super::covered;
use super::plan::Accepted;
use super::range::{self, Range};
use super::{RepairError, way_on};
use crate::survey::Survey;
use sluice_core::ids::PhysicalOffset;
use std::cmp::Reverse;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// Everything damaged that stands between two physical offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// Where the first one begins.
    pub from: PhysicalOffset,
    /// Where the last one ends.
    pub to: PhysicalOffset,
    /// How many there are at most: whatever is damaged beyond that came after somebody had looked.
    pub count: u64,
    /// Bytes of the log in all of them, at most. What is damaged later can make one place of two, or a longer one of one: then there are no
    /// more of them, but more bytes. A repair that was stopped only leaves fewer of both.
    pub bytes: u64,
}

/// What one `--accept-loss` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of a range.
    Range(Range),
    /// What is damaged in it.
    Places(Places),
}

impl Places {
    /// What is damaged from the first to the last of these ranges, as somebody finds it who looks: what is given up with others is damaged
    /// there too. `None` of none, and of those that have no end.
    pub(super) fn among(ranges: &[Range], damaged: &[Range]) -> Option<Self> {
        let to = ranges.iter().map(|range| range.to).collect::<Option<Vec<_>>>()?;
        let mut places = Self {
            from: ranges.iter().map(|range| range.from).min()?,
            to: to.into_iter().max()?,
            count: 0,
            bytes: 0,
        };
        let held = damaged.iter().filter(|range| places.hold(range));
        let held: Vec<Range> = held.copied().collect();
        (places.count, places.bytes) = (held.len() as u64, bytes_in(&held));
        Some(places)
    }

    fn hold(&self, range: &Range) -> bool {
        range.from >= self.from && range.to.is_some_and(|to| to <= self.to)
    }
}

/// Bytes of the log in all of them; what has no end counts as none.
fn bytes_in(ranges: &[Range]) -> u64 {
    let closed = ranges.iter().filter_map(|range| Some((range.from, range.to?)));
    closed.map(|(from, to)| to.0.saturating_sub(from.0)).sum()
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}/{}:{}", self.from, self.to, self.count, self.bytes)
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((range, most)) = text.rsplit_once('/') else {
            return text.parse().map(Self::Range);
        };
        let range: Range = range.parse()?;
        let most = most.split_once(':');
        let most = most.and_then(|(count, bytes)| Some((count.parse().ok()?, bytes.parse().ok()?)));
        let (Some(to), Some((count, bytes))) = (range.to, most.filter(|(count, _)| *count > 0)) else {
            return Err(
                "it is FROM..TO/N:BYTES with how many places are damaged there, and how many bytes of the log these have"
                    .to_owned(),
            );
        };
        Ok(Self::Places(Places {
            from: range.from,
            to,
            count,
            bytes,
        }))
    }
}

/// Ranges and places, each in the order in which they were named.
pub fn told_apart(parts: &[Part]) -> (Vec<Range>, Vec<Places>) {
    let (mut ranges, mut places) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Part::Range(range) => ranges.push(*range),
            Part::Places(some) => places.push(*some),
        }
    }
    (ranges, places)
}

/// The ranges that are accepted one by one, with those that `accepted.places` mean, in rising order but for what has no end.
pub(super) fn spelled_out(
    dir: &Path,
    accepted: &Accepted<'_>,
    found: &Survey,
) -> Result<Vec<Range>, RepairError> {
    if accepted.places.is_empty() {
        return Ok(accepted.ranges.to_vec());
    }
    let (open, mut ranges): (Vec<Range>, Vec<Range>) =
        accepted.ranges.iter().partition(|range| range.to.is_none());
    for places in accepted.places {
        ranges.extend(meant(dir, places, found)?);
    }
    // The survey gives up from an offset on what the first range says that begins there: a place in a wider one must not hide it.
    ranges.sort_by_key(|range| (range.from, Reverse(range.to)));
    let mut reach = None;
    ranges.retain(|range| {
        let is_more = range.to > reach || range.to == Some(range.from);
        reach = reach.max(range.to);
        is_more
    });
    ranges.dedup();
    ranges.extend(open);
    Ok(ranges)
}

/// The damaged places that these are, or what a repair has left of them.
fn meant(dir: &Path, places: &Places, found: &Survey) -> Result<Vec<Range>, RepairError> {
    let log = &found.log;
    let damage = log.damage.iter().map(range::of);
    let there: Vec<Range> = damage.filter(|range| places.hold(range)).collect();
    let (count, bytes) = (there.len() as u64, bytes_in(&there));
    let what = if there.is_empty() {
        if let Some(done) = done_before(places, found) {
            return Ok(done);
        }
        if log.damage.is_empty() && !log.meta_is_lost {
            return Err(covered::nothing_damaged(found));
        }
        format!("{places} is not what is damaged, but something else")
    } else if count > places.count || bytes > places.bytes {
        format!("{places} is not what is damaged: there are {count} places with {bytes} bytes of the log")
    } else {
        return Ok(there);
    };
    let command = way_on(dir, log).unwrap_or_default();
    let hint = format!("look again, and give up what is damaged now: {command}");
    Err(RepairError::refused(what, hint))
}

/// What a repair has left of these places, if it begins and ends where they do, and is no more than they are.
fn done_before(places: &Places, found: &Survey) -> Option<Vec<Range>> {
    let log = &found.log;
    let done = log.repaired.iter().map(|done| Range {
        from: done.from,
        to: Some(done.to),
    });
    let mut done: Vec<Range> = done.filter(|range| places.hold(range)).collect();
    let is_base = |at: PhysicalOffset| log.segments.iter().any(|segment| segment.base == at);
    // Of a place that was longer than a segment there are several.
    let go_on = done
        .windows(2)
        .filter(|two| two[0].to == Some(two[1].from) && is_base(two[1].from));
    let count = (done.len() - go_on.count()) as u64;
    // A first page that was made again looks like one that never was damaged.
    let pages = [places.from, places.to].into_iter().filter(|at| is_base(*at));
    done.extend(pages.map(|at| Range {
        from: at,
        to: Some(at),
    }));
    let begins = done.iter().any(|range| range.from == places.from);
    let ends = done.iter().any(|range| range.to == Some(places.to));
    (begins && ends && count <= places.count).then_some(done)
}

/// Ranges cut where segments begin.
pub(super) fn within_segments(accepted: &[Range], found: &Survey) -> Vec<(PhysicalOffset, PhysicalOffset)> {
    let mut given_up = Vec::new();
    for (from, to) in accepted
        .iter()
        .filter_map(|range| range.to.map(|to| (range.from, to)))
        .filter(|(from, to)| from < to)
    {
        let bases = found.log.segments.iter().map(|segment| segment.base);
        let mut at = from;
        for base in bases.filter(|base| *base > from && *base < to) {
            given_up.push((at, base));
            at = base;
        }
        given_up.push((at, to));
    }
    given_up
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_written_as_they_are_read() {
        let Ok(Part::Places(places)) = "4096..9000/200:3000".parse() else {
            panic!("these are no places");
        };
        assert_eq!((places.from.0, places.to.0), (4096, 9000));
        assert_eq!((places.count, places.bytes), (200, 3000));
        assert_eq!(places.to_string(), "4096..9000/200:3000");
        // First pages have no bytes of the log.
        assert!("0..9000/40:0".parse::<Part>().is_ok());
        assert!(matches!("8..16".parse(), Ok(Part::Range(_))));
        for text in [
            "8..16/0:8",
            "8..16/2",
            "8..16/2:",
            "8..END/3:9",
            "16..8/1:8",
            "/3:1",
            "8..16/-1:8",
            "8..16/1:-8",
        ] {
            assert!(text.parse::<Part>().is_err(), "{text}");
        }
    }
}
