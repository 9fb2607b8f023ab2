//! Places in one queue by time and by what entries point at, through binary searches: put times never fall within a queue.

use super::FindError;
use crate::engine::EngineError;
use crate::engine::records::Entries;
use sluice_core::entry::{CARRIED, LINKED, QueueEntry};
use sluice_core::ids::{PhysicalOffset, QueueOffset, TimeMs};
use sluice_core::plan::EntrySource;
use std::ops::Range;

/// Entries read at a time where links stand between.
const BLOCK: usize = 64;

impl From<EngineError> for FindError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Read(reason) => Self::Read(reason),
            other => Self::Read(other.to_string()),
        }
    }
}

/// The entry at `offset`, if there is one.
pub(super) fn entry<S: EntrySource>(source: &S, offset: QueueOffset) -> Result<Option<QueueEntry>, S::Error> {
    let mut one = Vec::with_capacity(1);
    source.entries(offset, 1, &mut one)?;
    Ok(one.first().copied())
}

/// The first offset of a queue whose entry was put at `time` or later; its end if none was. Messages that retention has left, before what it
/// has taken behind them, count too.
pub(super) fn put_at_or_after(entries: &Entries<'_>, time: TimeMs) -> Result<QueueOffset, FindError> {
    let found = entries.store.queues().find_by_time(entries.at, time);
    found.map_err(|error| FindError::Read(error.to_string()))
}

/// The first offset in `span` whose entry was put at `time` or later; its end if none was. What is not there is taken for older than all that
/// is left: so no message may stand before a gap in `span`.
fn put_since<S: EntrySource>(
    source: &S,
    span: Range<QueueOffset>,
    time: TimeMs,
) -> Result<QueueOffset, S::Error> {
    let (mut low, mut high) = (span.start.0, span.end.0);
    while low < high {
        let middle = low + (high - low) / 2;
        match entry(source, QueueOffset(middle))? {
            Some(entry) if entry.put_ms >= time => high = middle,
            // Nothing there: retention went past it meanwhile, so it is older than all that is left.
            _ => low = middle + 1,
        }
    }
    Ok(QueueOffset(low))
}

/// The message that was appended, not linked, with its command at `physical` at `time`; `None` if it has left the queue.
/// Many may have come at one time. They stand in the order of the log, but for links, which point anywhere.
pub(super) fn appended_at<S: EntrySource>(
    source: &S,
    span: Range<QueueOffset>,
    time: TimeMs,
    physical: PhysicalOffset,
) -> Result<Option<(QueueOffset, QueueEntry)>, S::Error> {
    let mut low = put_since(source, span.clone(), time)?;
    let mut high = put_since(source, low..span.end, time.saturating_add(1))?;
    while low < high {
        let middle = QueueOffset(low.0 + (high.0 - low.0) / 2);
        match appended_from(source, middle..high)? {
            // Behind the middle are only links.
            None => high = middle,
            Some((_, entry)) if entry.physical > physical => high = middle,
            Some((offset, entry)) if entry.physical < physical => low = QueueOffset(offset.0 + 1),
            found => return Ok(found),
        }
    }
    Ok(None)
}

/// The first message in `span` that was appended and not linked.
fn appended_from<S: EntrySource>(
    source: &S,
    span: Range<QueueOffset>,
) -> Result<Option<(QueueOffset, QueueEntry)>, S::Error> {
    let (mut from, mut max, mut block) = (span.start, 1, Vec::with_capacity(BLOCK));
    while from < span.end {
        block.clear();
        let left = usize::try_from(span.end.0 - from.0).unwrap_or(usize::MAX);
        source.entries(from, max.min(left), &mut block)?;
        if block.is_empty() {
            break;
        }
        let numbered = block.iter().zip(from.0..);
        if let Some((entry, offset)) = numbered
            .clone()
            .find(|(entry, _)| entry.flags & (LINKED | CARRIED) == 0)
        {
            return Ok(Some((QueueOffset(offset), *entry)));
        }
        from = QueueOffset(from.0 + block.len() as u64);
        max = BLOCK;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::convert::Infallible;

    /// A queue in memory that counts how often it is read.
    struct Queue {
        first: u64,
        entries: Vec<QueueEntry>,
        reads: Cell<u32>,
    }

    impl EntrySource for Queue {
        type Error = Infallible;

        fn entries(
            &self,
            from: QueueOffset,
            max: usize,
            out: &mut Vec<QueueEntry>,
        ) -> Result<(), Infallible> {
            self.reads.set(self.reads.get() + 1);
            if let Some(from) = from.0.checked_sub(self.first) {
                out.extend(self.entries.iter().skip(from as usize).take(max));
            }
            Ok(())
        }
    }

    impl Queue {
        fn span(&self) -> Range<QueueOffset> {
            QueueOffset(self.first)..QueueOffset(self.first + self.entries.len() as u64)
        }
    }

    /// Times and physical offsets; those of a link are negative.
    fn queue(first: u64, entries: &[(TimeMs, i64)]) -> Queue {
        let entry = |(put_ms, physical): &(TimeMs, i64)| QueueEntry {
            put_ms: *put_ms,
            physical: PhysicalOffset(physical.unsigned_abs()),
            flags: if *physical < 0 { LINKED } else { 0 },
            ..QueueEntry::default()
        };
        Queue {
            first,
            entries: entries.iter().map(entry).collect(),
            reads: Cell::new(0),
        }
    }

    #[test]
    fn the_first_message_of_a_time_is_found() {
        let queue = queue(100, &[(10, 1), (10, 2), (20, 3), (40, 4), (40, 5), (40, 6)]);
        for (time, expected) in [
            (0, 100),
            (10, 100),
            (11, 102),
            (20, 102),
            (21, 103),
            (40, 103),
            (41, 106),
        ] {
            assert_eq!(
                put_since(&queue, queue.span(), time),
                Ok(QueueOffset(expected)),
                "{time}"
            );
        }
        let empty = queue.first..queue.first;
        let empty = QueueOffset(empty.start)..QueueOffset(empty.end);
        assert_eq!(put_since(&queue, empty, 10), Ok(QueueOffset(100)));
    }

    #[test]
    fn a_message_is_told_from_those_of_the_same_time() {
        let queue = queue(5, &[(10, 1), (20, 3), (20, 4), (20, 7), (30, 8)]);
        for (time, physical, expected) in [
            (10, 1, Some(5)),
            (20, 3, Some(6)),
            (20, 4, Some(7)),
            (20, 7, Some(8)),
            (30, 8, Some(9)),
            (20, 5, None),
            (20, 8, None),
            (10, 3, None),
            (15, 3, None),
            (40, 9, None),
        ] {
            let found = appended_at(&queue, queue.span(), time, PhysicalOffset(physical)).unwrap();
            assert_eq!(
                found.map(|(offset, _)| offset.0),
                expected,
                "{physical} at {time}"
            );
        }
    }

    #[test]
    fn links_between_messages_of_one_time_are_passed_over() {
        let mut entries = vec![(20, 10), (20, -3)];
        entries.extend((0..200).map(|n| (20, -(500 - n))));
        entries.extend([(20, 11), (20, -11), (20, 12), (20, -2)]);
        let queue = queue(0, &entries);
        for (physical, expected) in [
            (10, Some(0)),
            (11, Some(202)),
            (12, Some(204)),
            (3, None),
            (400, None),
        ] {
            let found = appended_at(&queue, queue.span(), 20, PhysicalOffset(physical)).unwrap();
            assert_eq!(found.map(|(offset, _)| offset.0), expected, "{physical}");
        }
    }

    #[test]
    fn a_million_messages_of_one_time_take_some_dozens_of_reads() {
        let entries: Vec<_> = (0..1_000_000).map(|n| (20, n * 8 + 8)).collect();
        let queue = queue(0, &entries);
        for offset in [0, 1, 499_999, 999_998, 999_999] {
            queue.reads.set(0);
            let physical = PhysicalOffset(offset * 8 + 8);
            let found = appended_at(&queue, queue.span(), 20, physical).unwrap();
            assert_eq!(found.map(|(found, _)| found.0), Some(offset));
            assert!(queue.reads.get() <= 3 * 21, "{} reads", queue.reads.get());
        }
    }

    #[test]
    fn offsets_that_retention_takes_meanwhile_count_as_older() {
        let queue = queue(3, &[(30, 3), (40, 4)]);
        let before = QueueOffset(0)..QueueOffset(5);
        assert_eq!(put_since(&queue, before.clone(), 5), Ok(QueueOffset(3)));
        assert_eq!(
            appended_at(&queue, before, 40, PhysicalOffset(4))
                .unwrap()
                .map(|found| found.0.0),
            Some(4)
        );
    }
}
