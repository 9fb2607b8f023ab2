//! How far damage may reach: which reads of a store that goes on may be answered with errors. Each is one that needs bytes which are
//! not as they were, by the files' formats; whatever needs none of them has its answer. So one bit costs what it is of, and no more.

use super::classify::Sound;
use super::harm::{Harm, read};
use super::picture::{Asked, Unanswered};
use super::sorted::{BLOCK, Sorted};
use sluice_core::hash;
use sluice_core::ids::{QueueId, TopicId, TopicQueue};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

/// Bytes of a segment before its first frame.
const PAGE: u64 = 4096;
/// Bytes of a queue entry.
const ENTRY: u64 = 40;

/// What one damage touches.
pub struct Reach<'a> {
    sound: &'a Sound,
    harm: &'a Harm,
    bytes: Vec<u8>,
    touched: Vec<Range<u64>>,
}

impl<'a> Reach<'a> {
    pub fn of(sound: &'a Sound, harm: &'a Harm) -> Self {
        let bytes = read(&sound.io, &harm.path);
        let touched = harm.touched(&bytes).into_iter();
        let touched = touched.map(|part| part.start as u64..part.end as u64).collect();
        Self {
            sound,
            harm,
            bytes,
            touched,
        }
    }

    /// Panics where a read was answered with an error that needs nothing of what is damaged, or whose error names another file.
    pub fn check(&self, told: &[Unanswered]) {
        let Self { harm, .. } = self;
        let named = harm.path.display().to_string();
        let is_touched = self.is_touched();
        for Unanswered { asked, error } in told {
            assert!(
                error.contains(&named),
                "{harm}: another file, or none, is named in '{error}'"
            );
            assert!(
                is_touched(asked),
                "{harm}: {asked:?} needs nothing of it, and yet: {error}"
            );
        }
        if let ("idx", Some(first)) = (harm.kind, told.first()) {
            self.meets_it(first);
        }
    }

    /// Whether what is asked for needs what is damaged.
    fn is_touched(&self) -> Box<dyn Fn(&Asked) -> bool + '_> {
        match self.harm.kind {
            "seg" => {
                let (base, touched) = self.of_log();
                Box::new(move |asked| self.needs_log(asked, base, &touched))
            }
            "cq" => {
                let (at, touched) = self.entries();
                Box::new(
                    move |asked| matches!(asked, Asked::Message((of, offset)) if *of == at && touched.contains(offset)),
                )
            }
            // Once a read has come to it, the file is put aside: then whoever has to look into it is told so.
            "idx" => Box::new(|asked| hash_of(asked).is_some_and(|hash| Sorted(&self.bytes).may_hold(hash))),
            // The start reads them whole, or makes them again.
            _ => Box::new(|_| false),
        }
    }

    /// Where in the log the segment begins, and which of it is damaged: what stands behind its last frame is nobody's.
    fn of_log(&self) -> (u64, Vec<Range<u64>>) {
        let base = base_of(&self.harm.path);
        let bases = self.sound.files["seg"].iter().map(|path| base_of(path));
        let end = bases.filter(|other| *other > base).min().unwrap_or(u64::MAX);
        let place = |file: u64| (base + file.saturating_sub(PAGE)).min(end);
        let touched = self.touched.iter().map(|part| place(part.start)..place(part.end));
        (base, touched.filter(|part| !part.is_empty()).collect())
    }

    fn needs_log(&self, asked: &Asked, base: u64, touched: &[Range<u64>]) -> bool {
        let extents = self.sound.picture.extents();
        let is_in = |needed: &Range<u64>| {
            let meets = |part: &Range<u64>| part.start < needed.end && needed.start < part.end;
            touched.iter().any(meets)
        };
        match asked {
            Asked::Message(place) => is_in(&extents.messages[place]),
            Asked::Id(id) => extents.ids[id].iter().any(is_in),
            Asked::Key(..) => false,
            // The way to a frame is through those before it: a segment of this size has one place from which to look.
            Asked::Frame(index) => {
                extents.frames[index].start >= base && is_in(&(base..extents.frames[index].end))
            }
        }
    }

    /// The queue, and the offsets whose entries are damaged.
    fn entries(&self) -> (TopicQueue, BTreeSet<u64>) {
        let mut folders = self.harm.path.iter().rev().map(|name| name.to_str().unwrap());
        let first: u64 = folders.next().unwrap().trim_end_matches(".cq").parse().unwrap();
        let mut number = || folders.next().unwrap().parse().unwrap();
        let (queue, topic) = (QueueId(number()), TopicId(number()));
        let entries = |part: &Range<u64>| part.start / ENTRY..part.end.div_ceil(ENTRY);
        let touched = self.touched.iter().flat_map(entries).map(|n| first + n);
        (TopicQueue { topic, queue }, touched.collect())
    }

    /// Only who reads a block that is damaged can have put the file aside.
    fn meets_it(&self, first: &Unanswered) {
        let Self { harm, .. } = self;
        let needed = Sorted(&self.bytes).needed(hash_of(&first.asked).unwrap());
        let blocks = |part: &Range<u64>| part.start / BLOCK as u64..part.end.div_ceil(BLOCK as u64);
        let damaged: BTreeSet<_> = self.touched.iter().flat_map(blocks).collect();
        assert!(
            needed.iter().any(|block| damaged.contains(&(*block as u64))),
            "{harm}: the first that was not answered, {:?}, needs blocks {needed:?}, and {damaged:?} are damaged",
            first.asked
        );
    }
}

/// What the index is asked for.
fn hash_of(asked: &Asked) -> Option<u64> {
    match asked {
        Asked::Id(id) => Some(hash::message_id_key(id.as_bytes())),
        Asked::Key(topic, key) => Some(hash::message_key(*topic, key.as_bytes())),
        Asked::Message(_) | Asked::Frame(_) => None,
    }
}

fn base_of(segment: &Path) -> u64 {
    segment.file_stem().unwrap().to_str().unwrap().parse().unwrap()
}
