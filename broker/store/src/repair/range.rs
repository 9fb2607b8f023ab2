//! Parts of the log that somebody accepts to lose, as they are written: `FROM..TO`, or `FROM..END` for all that follows.

use crate::log::{LogDamage, LogSurvey, Lost};
use sluice_core::ids::PhysicalOffset;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// Places that a command line names one by one; of more damage than that the log's end is given up.
const NAMED_MAX: usize = 64;
pub(super) const MAKE_META: &str = " --make-meta";

/// From a physical offset up to but without another one, or to the log's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Where it begins.
    pub from: PhysicalOffset,
    /// Where what stays begins; `None` if nothing does.
    pub to: Option<PhysicalOffset>,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to {
            Some(to) => write!(f, "{}..{to}", self.from),
            None => write!(f, "{}..END", self.from),
        }
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "it is FROM..TO with two physical offsets as `sluicectl log verify` prints them, or FROM..END"
                .to_owned()
        };
        let (from, to) = text.split_once("..").ok_or_else(wrong)?;
        let number = |text: &str| text.parse().map(PhysicalOffset).map_err(|_| wrong());
        let to = if to == "END" { None } else { Some(number(to)?) };
        let range = Self {
            from: number(from)?,
            to,
        };
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
        let mut range = of(damage);
        if ranges.len() + 1 == NAMED_MAX {
            range.to = None;
        }
        ranges.push(range);
        if range.to.is_none() {
            break;
        }
    }
    ranges
}

/// The command that gives them up, for a shell.
pub fn command(dir: &Path, ranges: &[Range]) -> String {
    let folder = dir.display().to_string();
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+:@%".contains(letter);
    let folder = match folder.chars().all(is_plain) {
        true => folder,
        false => format!("'{}'", folder.replace('\'', r"'\''")),
    };
    let ranges: Vec<String> = ranges
        .iter()
        .map(|range| format!(" --accept-loss {range}"))
        .collect();
    format!("sluicectl log repair {folder}{}", ranges.concat())
}

/// The command that goes on without all that is damaged of the log, and makes meta again where it is lost; `None` if nothing is to be
/// done, or nothing helps.
pub fn way_on(dir: &Path, log: &LogSurvey) -> Option<String> {
    let ranges = needed(&log.damage);
    let new_meta = log.meta_is_lost && (log.meta.is_some() || !ranges.is_empty());
    if ranges.is_empty() && !new_meta {
        return None;
    }
    let option = if new_meta { MAKE_META } else { "" };
    Some(format!("{}{option}", command(dir, &ranges)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_written_as_it_is_read() {
        for text in ["0..40", "4096..END", "8..8"] {
            assert_eq!(text.parse::<Range>().unwrap().to_string(), text);
        }
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
}
