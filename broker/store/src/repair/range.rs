//! Parts of the log that somebody accepts to lose, as they are written: `FROM..TO`, `FROM..END` for all that follows, or `FROM..PAGE` for
//! a segment's first page.

use super::places::Places;
use crate::log::{LogDamage, LogSurvey, Lost};
use sluice_core::ids::PhysicalOffset;
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// Places that a command line names one by one. With more it would be longer than what a terminal takes at once (4,095 bytes): then those
/// that are damaged are named together. What is given up besides is still named one by one, and the line may be longer by that: a repair with
/// `--wider`, and the frames in which commands were lost before where no checkpoint can be read
/// ([`super::way_on_without_state`]).
const NAMED_MAX: usize = 32;
/// What stands before a command in a sentence: it is what the sentence ends with.
const BEFORE_COMMAND: &str = ": sluicectl log repair ";
pub(super) const MAKE_META: &str = " --make-meta";

/// From a physical offset up to but without another one, or to the log's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Where it begins.
    pub from: PhysicalOffset,
    /// Where what stays begins; `None` if nothing does. Nothing of the log is between both if it is a segment's first page.
    pub to: Option<PhysicalOffset>,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to {
            Some(to) if to == self.from => write!(f, "{to}..PAGE"),
            Some(to) => write!(f, "{}..{to}", self.from),
            None => write!(f, "{}..END", self.from),
        }
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "it is FROM..TO with two physical offsets as `sluicectl log verify` prints them, FROM..END, FROM..PAGE, or FROM..TO/N:BYTES"
                .to_owned()
        };
        let (from, to) = text.split_once("..").ok_or_else(wrong)?;
        let number = |text: &str| text.parse().map(PhysicalOffset).map_err(|_| wrong());
        let from = number(from)?;
        let to = match to {
            "END" => None,
            "PAGE" => Some(from),
            to => Some(number(to)?),
        };
        let range = Self { from, to };
        match range.to {
            Some(to) if to < range.from => Err("it ends before it begins".to_owned()),
            _ => Ok(range),
        }
    }
}

/// What has to be given up for this damage.
pub(super) fn of(damage: &LogDamage) -> Range {
    let from = match damage.lost {
        Lost::Command { frame, .. } if damage.to.is_none() => frame,
        _ => damage.from,
    };
    Range { from, to: damage.to }
}

/// What has to be given up for all of it, in the order of the log.
pub fn needed(damage: &[LogDamage]) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    for damage in damage {
        let range = of(damage);
        ranges.push(range);
        if range.to.is_none() {
            break;
        }
    }
    ranges
}

/// The command that gives up these ranges, all of them damaged, for a shell.
pub fn command(dir: &Path, ranges: &[Range]) -> String {
    command_with(dir, ranges, ranges)
}

/// As [`command`], where `damaged` is all that is damaged. Of that some may be no range by itself, but given up with a wider one: it counts
/// among the places that are named together all the same, for whoever reads the command finds it there.
pub(super) fn command_with(dir: &Path, ranges: &[Range], damaged: &[Range]) -> String {
    let folder = dir.display().to_string();
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+:@%".contains(letter);
    let folder = match folder.chars().all(is_plain) {
        true => folder,
        false => format!("'{}'", folder.replace('\'', r"'\''")),
    };
    let key = |range: &Range| (range.from, range.to);
    let are_damaged: BTreeSet<_> = damaged.iter().map(key).collect();
    let can_be_together = |range: &&Range| range.to.is_some() && are_damaged.contains(&key(range));
    let (together, alone): (Vec<Range>, Vec<Range>) = match ranges.len() > NAMED_MAX {
        true => ranges.iter().partition(can_be_together),
        false => (Vec::new(), ranges.to_vec()),
    };
    let (open, alone): (Vec<Range>, Vec<Range>) = alone.into_iter().partition(|range| range.to.is_none());
    let alone = alone.iter().map(Range::to_string);
    let words = alone
        .chain(Places::among(&together, damaged).map(|places| places.to_string()))
        // Where the log ends is said last.
        .chain(open.iter().map(Range::to_string));
    let words: Vec<String> = words.map(|word| format!(" --accept-loss {word}")).collect();
    format!("sluicectl log repair {folder}{}", words.concat())
}

/// The command with which a refusal ends, as these functions write it; `None` if it names none.
pub fn command_in(refusal: &str) -> Option<&str> {
    let at = refusal.rfind(BEFORE_COMMAND)?;
    Some(&refusal[at + 2..])
}

/// The command that goes on without all that is damaged of the log, and makes meta again where it is lost; `None` if nothing is to be
/// done, or nothing helps.
pub fn way_on(dir: &Path, log: &LogSurvey) -> Option<String> {
    way_on_with(dir, log, &needed(&log.damage))
}

/// As [`way_on`], where more counts as damaged than what is in `damaged`.
pub(super) fn way_on_with(dir: &Path, log: &LogSurvey, damaged: &[Range]) -> Option<String> {
    let ranges = needed(&log.damage);
    let new_meta = log.meta_is_lost && (log.meta.is_some() || !ranges.is_empty());
    if ranges.is_empty() && !new_meta {
        return None;
    }
    let option = if new_meta { MAKE_META } else { "" };
    Some(format!("{}{option}", command_with(dir, &ranges, damaged)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_written_as_it_is_read() {
        for text in ["0..40", "4096..END", "8..PAGE"] {
            assert_eq!(text.parse::<Range>().unwrap().to_string(), text);
        }
        // As it was written before.
        assert_eq!("8..8".parse::<Range>(), "8..PAGE".parse());
        for text in ["", "5", "9..8", "a..b", "1..", "..2", "1..end", "-1..4"] {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_command_can_be_pasted_into_a_shell() {
        let range = "8..16".parse().unwrap();
        let plain = command(Path::new("/data/broker-a"), &[range, range]);
        assert_eq!(
            plain,
            "sluicectl log repair /data/broker-a --accept-loss 8..16 --accept-loss 8..16"
        );
        let odd = command(Path::new("/my data/it's"), &[range]);
        assert_eq!(
            odd,
            r"sluicectl log repair '/my data/it'\''s' --accept-loss 8..16"
        );
    }

    #[test]
    fn a_refusal_ends_with_its_command() {
        let odd = command(Path::new("/data: x"), &["8..16".parse().unwrap()]);
        let refusal = format!("it cannot be read: restore it, or give up what is damaged: {odd}");
        assert_eq!(command_in(&refusal), Some(odd.as_str()));
        assert_eq!(command_in("restore the folder: it is gone"), None);
    }

    #[test]
    fn many_places_are_named_together_and_nothing_else_with_them() {
        let ranges: Vec<Range> = (0..200)
            .map(|n| format!("{}..{}", n * 100, n * 100 + 9))
            .map(|text| text.parse().unwrap())
            .collect();
        let dir = Path::new("/d");
        assert_eq!(
            command(dir, &ranges),
            "sluicectl log repair /d --accept-loss 0..19909/200:1800"
        );
        let mut with_end = ranges.clone();
        with_end.push("19950..END".parse().unwrap());
        assert_eq!(
            command(dir, &with_end),
            "sluicectl log repair /d --accept-loss 0..19909/200:1800 --accept-loss 19950..END"
        );
        let mut with_sound = ranges.clone();
        with_sound.insert(7, "640..660".parse().unwrap());
        assert_eq!(
            command_with(dir, &with_sound, &ranges),
            "sluicectl log repair /d --accept-loss 640..660 --accept-loss 0..19909/200:1800"
        );
        // Two of the places are given up with more.
        let mut wider: Vec<Range> = ranges.clone();
        wider.splice(7..9, ["690..820".parse().unwrap()]);
        assert_eq!(
            command_with(dir, &wider, &ranges),
            "sluicectl log repair /d --accept-loss 690..820 --accept-loss 0..19909/200:1800"
        );
    }
}
