//! What a pull reads of a queue, and where the next one goes on.

use super::*;

/// As far as there is no bound in the way.
const FAR: Reach = Reach {
    from: QueueOffset(0),
    tail: QueueOffset(0),
    messages: usize::MAX,
    entries: u64::MAX,
    bytes: usize::MAX,
};

/// A queue of messages with these tags, 100 bytes each.
fn tagged(tags: &[&str]) -> Entries {
    let mut queue = Queue::new(false);
    queue.send_tags(tags);
    let mut entries = queue.entries;
    entries.all.iter_mut().for_each(|entry| entry.size = 100);
    entries
}

/// The offsets that are chosen, and where the next stretch begins.
fn stretch(entries: &Entries, expression: &str, reach: Reach) -> (Vec<u64>, u64) {
    let reach = Reach {
        tail: QueueOffset(entries.all.len() as u64),
        ..reach
    };
    let stretch = Stretch::select(entries, &TagFilter::parse(expression).unwrap(), reach).unwrap();
    for (offset, entry) in &stretch.chosen {
        assert_eq!(*entry, entries.all[offset.0 as usize]);
    }
    let offsets = stretch.chosen.iter().map(|(offset, _)| offset.0);
    (offsets.collect(), stretch.next.0)
}

#[test]
fn a_stretch_ends_at_the_first_bound_that_it_comes_to() {
    let entries = tagged(&["a", "b", "a", "b", "b", "a"]);
    for (expression, reach, chosen, next) in [
        ("*", FAR, &[0, 1, 2, 3, 4, 5][..], 6),
        ("*", Reach { messages: 2, ..FAR }, &[0, 1], 2),
        ("*", Reach { entries: 3, ..FAR }, &[0, 1, 2], 3),
        ("*", Reach { bytes: 300, ..FAR }, &[0, 1, 2], 3),
        ("*", Reach { bytes: 299, ..FAR }, &[0, 1], 2),
        ("*", Reach { bytes: 1, ..FAR }, &[0], 1),
        ("*", Reach { messages: 0, ..FAR }, &[], 0),
        ("*", Reach { entries: 0, ..FAR }, &[], 0),
        ("a", FAR, &[0, 2, 5], 6),
        ("a", Reach { messages: 2, ..FAR }, &[0, 2], 5),
        ("a", Reach { bytes: 200, ..FAR }, &[0, 2], 5),
        ("b", Reach { entries: 1, ..FAR }, &[], 1),
        ("c", FAR, &[], 6),
    ] {
        let found = stretch(&entries, expression, reach);
        assert_eq!(found, (chosen.to_vec(), next), "{expression} {reach:?}");
    }
}

#[test]
fn stretches_one_after_the_other_bring_each_message_once() {
    let tags: Vec<&str> = (0..1000).map(|at| if at % 7 == 0 { "a" } else { "b" }).collect();
    let entries = tagged(&tags);
    let expected: Vec<u64> = (0..1000).filter(|at| at % 7 == 0).collect();
    for (messages, looked_at, bytes) in [(1, 1, 1), (32, 50, 1000), (3, 64, 150), (32, 1000, 100_000)] {
        let (mut all, mut from) = (Vec::new(), 0);
        while from < 1000 {
            let reach = Reach {
                from: QueueOffset(from),
                messages,
                entries: looked_at,
                bytes,
                ..FAR
            };
            let (chosen, next) = stretch(&entries, "a", reach);
            assert!(next > from && next - from <= looked_at && chosen.len() <= messages);
            all.extend(chosen);
            from = next;
        }
        assert_eq!(
            all, expected,
            "{messages} messages, {looked_at} entries, {bytes} bytes"
        );
    }
}

#[test]
fn a_stretch_beyond_the_end_is_empty_and_one_that_cannot_be_read_is_an_error() {
    let entries = tagged(&["a"]);
    for from in [1, 2, u64::MAX] {
        let from = QueueOffset(from);
        assert_eq!(
            stretch(&entries, "*", Reach { from, ..FAR }),
            (Vec::new(), from.0)
        );
    }
    entries.fails_at.set(entries.reads.get() + 1);
    let tail = QueueOffset(1);
    let failed = Stretch::select(&entries, &TagFilter::default(), Reach { tail, ..FAR });
    assert_eq!(failed, Err(Unreadable));
}
