//! Where a queue began and ended at a checkpoint that does not tell it any more, by what stands around it: entries that are known, and what
//! the log has for the queue.
//!
//! Between two places of which the queue's end is known the log's messages have their offsets again if they are as many as the offsets; behind
//! the last such place they are counted on, and before the first one back, where surely all of them were taken. Where nothing tells
//! where the queue ended, or messages would have no place though they were taken, it goes on behind every offset that it can ever have
//! given, with the messages that the log still has: groups get these again, and no offset is given twice.

use sluice_core::entry::{ENTRY_BYTES, LINKED, QueueEntry};
use sluice_core::ids::{PhysicalOffset, TimeMs};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::RangeBounds;

/// A message that was to go to a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    /// The command that was to bring it there.
    pub(super) at: PhysicalOffset,
    pub(super) entry: QueueEntry,
    /// Whether the command was accepted, as far as that does not depend on the topic.
    pub(super) is_sure: bool,
}

/// What is known of one queue.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// Entries by offset, from queue files, and from what the log carries later.
    pub(super) known: BTreeMap<u64, QueueEntry>,
    /// Of these what the log carries later, which stays wherever its record stood; and whether files lack it.
    pub(super) carried: BTreeMap<u64, bool>,
    /// Entries that retention has carried before the checkpoint, as they were until then.
    pub(super) carried_before: BTreeMap<u64, QueueEntry>,
    /// What stands in the log before the checkpoint, in its order.
    pub(super) events: VecDeque<Event>,
    /// What stands behind it.
    pub(super) behind: VecDeque<Event>,
    /// At these places of the log the queue ended at these offsets.
    pub(super) ends: Vec<(PhysicalOffset, u64)>,
    /// It ended here or later.
    pub(super) at_least: u64,
    /// Retention had it begin here or later.
    pub(super) first_at_least: u64,
    /// What the log has behind the checkpoint lets it begin here or later.
    pub(super) first_later: u64,
    /// Messages that were too many to be kept in mind, all before this place of the log.
    pub(super) untold: Option<(u64, PhysicalOffset)>,
    /// Entries that were too many: how many, and the least offset.
    pub(super) more: Option<(u64, u64)>,
}

/// What holds for all queues of a topic.
#[derive(Clone, Debug)]
pub(super) struct Around<'a> {
    /// Where the log begins.
    pub(super) begins: PhysicalOffset,
    /// Where the checkpoint stands, and its time.
    pub(super) checkpoint: (PhysicalOffset, TimeMs),
    /// Where the log ends.
    pub(super) ends: PhysicalOffset,
    /// What cannot be read of the log, in order.
    pub(super) gaps: &'a [PhysicalOffset],
    /// Whether all was surely taken that was to go there.
    pub(super) takes: bool,
}

/// Where a queue begins and ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) first: u64,
    pub(super) tail: u64,
    /// Entries that are put back, by offset.
    pub(super) put_back: Vec<(u64, QueueEntry)>,
    /// Whether it goes on behind all that it can have given: nothing tells where it ended, or where its messages stood.
    pub(super) is_moved: bool,
    /// Messages that have no place any more.
    pub(super) lost: u64,
    /// Dead letters without a place of which nothing tells whether they were accepted.
    pub(super) may_be_lost: u64,
    /// Offsets of which nothing tells what stood there.
    pub(super) unknown: u64,
}

/// Decides it.
pub(super) fn decide(evidence: &Evidence, around: &Around<'_>) -> Decided {
    let queue = Queue::new(evidence, around);
    let ends = queue.tail().map(|tail| queue.ends_at(tail));
    match ends {
        Some(ends) if ends.lost == 0 => ends,
        ends => {
            let moved = queue.moved();
            ends.filter(|ends| ends.lost <= moved.lost).unwrap_or(moved)
        }
    }
}

/// Before the message with this number the queue ended at this offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Anchor {
    number: usize,
    offset: u64,
}

struct Queue<'a> {
    evidence: &'a Evidence,
    around: &'a Around<'a>,
    /// Known entries from before the checkpoint end here.
    old_end: u64,
    /// The first known entry from behind it.
    new: Option<(u64, QueueEntry)>,
    /// In order.
    anchors: Vec<Anchor>,
    /// The number of the first message behind what cannot be read.
    whole_from: usize,
}

impl<'a> Queue<'a> {
    fn new(evidence: &'a Evidence, around: &'a Around<'a>) -> Self {
        let events = &evidence.events;
        let gap = around.gaps.iter().rfind(|gap| **gap < around.checkpoint.0);
        let numbers: HashMap<_, _> = (0..)
            .zip(events)
            .map(|(number, event)| (mark(&event.entry), number))
            .collect();
        // Of one message there may have been several dead letters, and some refused.
        let exact: HashMap<_, _> = (0..)
            .zip(events)
            .map(|(number, event)| ((mark(&event.entry), event.entry.put_ms), number))
            .collect();
        let mut queue = Self {
            evidence,
            around,
            old_end: 0,
            new: None,
            anchors: Vec::new(),
            whole_from: gap.map_or(0, |gap| events.partition_point(|event| event.at < *gap)),
        };
        let links: HashSet<PhysicalOffset> = links_of(&evidence.behind).collect();
        let mut next = 0;
        for (offset, entry) in &evidence.known {
            let number = exact
                .get(&(mark(entry), entry.put_ms))
                .or_else(|| numbers.get(&mark(entry)))
                .copied()
                .filter(|number| *number >= next);
            if queue.is_new(entry, number.is_some(), &links) {
                queue.new = Some((*offset, *entry));
                break;
            }
            queue.old_end = offset + 1;
            if let Some(number) = number {
                queue.anchors.extend(around_one(number, *offset));
                next = number + 1;
            }
        }
        for (offset, entry) in &evidence.carried_before {
            if let Some(number) = exact.get(&(mark(entry), entry.put_ms)).copied() {
                queue.anchors.extend(around_one(number, *offset));
            }
        }
        for (at, offset) in &evidence.ends {
            let number = events.partition_point(|event| event.at < *at);
            queue.anchors.push(Anchor {
                number,
                offset: *offset,
            });
        }
        queue.anchors.sort_unstable();
        queue.anchors.dedup();
        queue
    }

    /// Whether an entry came only behind the checkpoint. A dead letter's record is older than itself.
    fn is_new(&self, entry: &QueueEntry, is_told: bool, links: &HashSet<PhysicalOffset>) -> bool {
        let (end, now) = self.around.checkpoint;
        let is_later = entry.put_ms > now;
        let is_link = entry.flags & LINKED != 0;
        let comes = is_link && !is_told && entry.put_ms == now && links.contains(&entry.physical);
        entry.physical >= end || is_link && (is_later || comes)
    }

    /// Where it ended, if that is sure.
    fn tail(&self) -> Option<u64> {
        let at_least = self.evidence.at_least;
        let adjoins = self
            .new
            .map(|(offset, _)| offset)
            .filter(|new| *new == self.old_end);
        if let Some(tail) = adjoins {
            return Some(tail).filter(|tail| *tail >= at_least);
        }
        let sure = [self.counted_on(), self.counted_back()];
        let mut sure = sure.into_iter().flatten();
        let tail = sure.next()?;
        let agrees = sure.all(|other| other == tail) && tail >= at_least.max(self.old_end);
        let is_before = self.new.is_none_or(|(new, _)| tail <= new);
        Some(tail).filter(|_| agrees && is_before)
    }

    fn counted_on(&self) -> Option<u64> {
        let last = self.anchors.last()?;
        let mut same = self.anchors.iter().filter(|other| other.number == last.number);
        let more = self.evidence.events.len() - last.number;
        let is_sure = same.all(|other| other.offset == last.offset)
            && (more == 0 || self.around.takes && self.sure(last.number..) == more);
        (is_sure && !self.gap_behind(last.number)).then_some(last.offset + more as u64)
    }

    /// Whether something cannot be read between the message before this number and the checkpoint, or the log's begin.
    fn gap_behind(&self, number: usize) -> bool {
        let from = match number.checked_sub(1) {
            Some(before) => self.evidence.events[before].at,
            None => self.around.begins,
        };
        let end = self.around.checkpoint.0;
        let untold = self.evidence.untold.map(|(_, at)| at);
        let mut gaps = self.around.gaps.iter().copied().chain(untold);
        gaps.any(|gap| gap >= from && gap < end)
    }

    /// How many of these messages were accepted for sure.
    fn sure(&self, numbers: impl RangeBounds<usize>) -> usize {
        let events = self.evidence.events.range(numbers);
        events.filter(|event| event.is_sure).count()
    }

    fn counted_back(&self) -> Option<u64> {
        let (offset, entry) = self.new?;
        let behind = &self.evidence.behind;
        let number = behind
            .iter()
            .position(|event| mark(&event.entry) == mark(&entry))?;
        let end = self.around.checkpoint.0;
        let mut gaps = self.around.gaps.iter();
        let reads = !gaps.any(|gap| *gap >= end && *gap < behind[number].at);
        offset
            .checked_sub(number as u64)
            .filter(|_| reads && (number == 0 || self.around.takes))
            .filter(|_| behind.range(..number).all(|event| event.is_sure))
    }

    /// The offsets of the log's messages, where they are sure, with this end.
    fn placed(&self, tail: u64) -> BTreeMap<u64, QueueEntry> {
        let events = &self.evidence.events;
        let mut anchors = self.anchors.clone();
        anchors.push(Anchor {
            number: events.len(),
            offset: tail,
        });
        let mut placed = BTreeMap::new();
        let mut put = |from: Anchor, to: usize, only_sure: bool| {
            let events = events.range(from.number..to);
            let events = events.filter(|event| event.is_sure || !only_sure);
            placed.extend((from.offset..).zip(events.map(|event| event.entry)));
        };
        for pair in anchors.windows(2) {
            let numbers = pair[1].number - pair[0].number;
            let offsets = pair[1].offset.checked_sub(pair[0].offset);
            if offsets == Some(numbers as u64) {
                put(pair[0], pair[1].number, false);
            } else if offsets == Some(self.sure(pair[0].number..pair[1].number) as u64) {
                put(pair[0], pair[1].number, true);
            }
        }
        let first = anchors[0];
        let before = events.range(self.whole_from.min(first.number)..first.number);
        let sure = before.rev().take_while(|event| event.is_sure).count();
        let back = sure.min(first.offset as usize);
        if self.around.takes || back == 0 {
            let begin = Anchor {
                number: first.number - back,
                offset: first.offset - back as u64,
            };
            put(begin, first.number, false);
        }
        // What has left the log stood there, and is gone.
        placed.retain(|_, entry| entry.physical >= self.around.begins);
        placed
    }

    fn ends_at(&self, tail: u64) -> Decided {
        let Evidence { known, carried, .. } = self.evidence;
        let placed = self.placed(tail);
        let first = self.first(&placed, tail);
        let lacks = |offset: &u64| !known.contains_key(offset);
        let by_carry = carried.range(first..tail).filter(|(_, is_lacking)| **is_lacking);
        let by_carry = by_carry.filter_map(|(offset, _)| Some((*offset, *known.get(offset)?)));
        let again = placed.range(first..tail).filter(|(offset, _)| lacks(offset));
        let put_back: BTreeMap<u64, QueueEntry> = again
            .map(|(offset, entry)| (*offset, *entry))
            .chain(by_carry)
            .collect();
        // Entries that were too many are there.
        let kept = self.evidence.more.and_then(|_| known.keys().next().copied());
        let from = first
            .max(self.evidence.first_later)
            .max(kept.unwrap_or(0))
            .min(tail);
        let all = known.range(from..tail).map(|(offset, _)| offset);
        let all: HashSet<&u64> = all
            .chain(put_back.range(from..tail).map(|(offset, _)| offset))
            .collect();
        Decided {
            first,
            tail,
            is_moved: false,
            lost: self.lost(&placed),
            may_be_lost: self.without_place(&placed, false),
            unknown: tail - from - all.len() as u64,
            put_back: put_back.into_iter().collect(),
        }
    }

    /// Where it begins: with the first entry whose message the log has yet, or has again later.
    fn first(&self, placed: &BTreeMap<u64, QueueEntry>, tail: u64) -> u64 {
        let Evidence { known, carried, .. } = self.evidence;
        let mut stays = known
            .range(..tail)
            .filter(|(offset, entry)| entry.physical >= self.around.begins || carried.contains_key(offset));
        let known = stays.next().map(|(offset, _)| *offset);
        let known = known.map(|known| self.evidence.more.map_or(known, |(_, least)| least.min(known)));
        let first = [known, placed.keys().next().copied()].into_iter().flatten().min();
        first.unwrap_or(tail).max(self.evidence.first_at_least).min(tail)
    }

    /// Messages that the log still has, and that have no place: those that were accepted for sure, or the others.
    fn without_place(&self, placed: &BTreeMap<u64, QueueEntry>, is_sure: bool) -> u64 {
        let known = self.evidence.known.values();
        let has_place: HashSet<_> = placed.values().chain(known).map(mark).collect();
        let events = self.evidence.events.iter();
        let there =
            events.filter(|event| event.is_sure == is_sure && event.entry.physical >= self.around.begins);
        let without = there.filter(|event| !has_place.contains(&mark(&event.entry)));
        without.count() as u64
    }

    /// Messages of the log that have no place.
    fn lost(&self, placed: &BTreeMap<u64, QueueEntry>) -> u64 {
        let untold = self.evidence.untold.map_or(0, |(untold, at)| {
            let known = self.evidence.known.values();
            let there = known.filter(|entry| (self.around.begins..=at).contains(&entry.physical));
            let more = self.evidence.more.map_or(0, |(more, _)| more);
            untold.saturating_sub(there.count() as u64 + more)
        });
        self.without_place(placed, true) + untold
    }

    /// Behind every offset that it may have given: each entry has taken its bytes of the log.
    fn moved(&self) -> Decided {
        let mut behind = self.around.ends.0 / ENTRY_BYTES as u64;
        let new = self.evidence.known.keys().next_back().map_or(0, |last| last + 1);
        behind = behind.max(self.evidence.at_least).max(new);
        let events = &self.evidence.events;
        let left = events.iter().map(|event| event.entry);
        let left = left.filter(|entry| entry.physical >= self.around.begins);
        let put_back: Vec<(u64, QueueEntry)> = (behind..).zip(left).collect();
        let comes: HashSet<_> = put_back.iter().map(|(_, entry)| mark(entry)).collect();
        let is_lost =
            |entry: &QueueEntry| entry.physical >= self.around.begins && !comes.contains(&mark(entry));
        let old = self.evidence.known.range(..self.old_end).map(|(_, entry)| entry);
        let lost: HashSet<_> = old
            .chain(events.iter().map(|event| &event.entry))
            .filter(|entry| is_lost(entry))
            .map(mark)
            .collect();
        let carried = self.evidence.carried.keys();
        let carried = carried.filter_map(|offset| self.evidence.known.get(offset));
        let carried = carried
            .filter(|entry| entry.physical < self.around.begins)
            .count();
        Decided {
            first: behind,
            tail: behind + put_back.len() as u64,
            put_back,
            is_moved: true,
            may_be_lost: 0,
            lost: (lost.len() + carried) as u64 + self.evidence.untold.map_or(0, |(untold, _)| untold),
            unknown: 0,
        }
    }
}

/// Before and behind a message of which number and offset are known.
fn around_one(number: usize, offset: u64) -> [Anchor; 2] {
    let behind = Anchor {
        number: number + 1,
        offset: offset + 1,
    };
    [Anchor { number, offset }, behind]
}

/// What tells one message of a queue from the others.
fn mark(entry: &QueueEntry) -> (PhysicalOffset, bool) {
    (entry.physical, entry.flags & LINKED != 0)
}

fn links_of(events: &VecDeque<Event>) -> impl Iterator<Item = PhysicalOffset> + '_ {
    let links = events.iter().filter(|event| event.entry.flags & LINKED != 0);
    links.map(|event| event.entry.physical)
}

#[cfg(test)]
mod tests;
