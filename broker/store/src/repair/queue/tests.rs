use super::*;

/// Every message has this many bytes, from the log's begin on; the checkpoint stands behind the tenth.
const BYTES: u64 = 100;
const BEGINS: u64 = 1000;
const NOW: TimeMs = 50;

fn event(number: u64) -> Event {
    let at = PhysicalOffset(BEGINS + number * BYTES);
    let entry = QueueEntry {
        physical: at,
        put_ms: NOW,
        ..QueueEntry::default()
    };
    Event {
        at,
        entry,
        is_sure: true,
    }
}

/// Ten messages before the checkpoint, at offsets from 20 on, and five behind it.
fn evidence(known: impl IntoIterator<Item = u64>) -> Evidence {
    Evidence {
        known: known
            .into_iter()
            .map(|number| (20 + number, event(number).entry))
            .collect(),
        events: (0..10).map(event).collect(),
        behind: (10..15).map(event).collect(),
        ..Evidence::default()
    }
}

fn decided(evidence: &Evidence, gaps: &[u64], takes: bool) -> Decided {
    let gaps: Vec<PhysicalOffset> = gaps
        .iter()
        .map(|number| PhysicalOffset(BEGINS + number * BYTES - 10))
        .collect();
    let around = Around {
        begins: PhysicalOffset(BEGINS),
        checkpoint: (PhysicalOffset(BEGINS + 10 * BYTES), NOW),
        ends: PhysicalOffset(BEGINS + 15 * BYTES),
        gaps: &gaps,
        takes,
    };
    decide(evidence, &around)
}

fn put_back(decided: &Decided) -> Vec<u64> {
    decided.put_back.iter().map(|(offset, _)| *offset).collect()
}

#[test]
fn whole_files_tell_all_and_what_is_behind_the_checkpoint_is_not_counted() {
    for known in [0..10, 0..13] {
        for takes in [true, false] {
            let found = decided(&evidence(known.clone()), &[], takes);
            assert_eq!(
                (found.first, found.tail, found.lost, found.unknown),
                (20, 30, 0, 0)
            );
            assert!(found.put_back.is_empty() && !found.is_moved);
        }
    }
}

#[test]
fn entries_that_are_gone_are_counted_on_back_and_between() {
    for known in [vec![0], vec![4], vec![0, 1, 5, 9], vec![12], vec![0, 14]] {
        let found = decided(&evidence(known.clone()), &[], true);
        assert_eq!(
            (found.first, found.tail, found.lost, found.unknown),
            (20, 30, 0, 0),
            "{known:?}"
        );
        let lacking: Vec<u64> = (0..10)
            .filter(|number| !known.contains(number))
            .map(|number| number + 20)
            .collect();
        assert_eq!(put_back(&found), lacking, "{known:?}");
        assert!(
            found
                .put_back
                .iter()
                .all(|(offset, entry)| *entry == event(offset - 20).entry)
        );
    }
}

#[test]
fn where_the_queue_was_trimmed_tells_where_it_begins() {
    let mut evidence = evidence([]);
    evidence.ends.push((PhysicalOffset(BEGINS), 20));
    let found = decided(&evidence, &[], true);
    assert_eq!((found.first, found.tail, put_back(&found).len()), (20, 30, 10));
    evidence.at_least = 31;
    assert!(
        decided(&evidence, &[], true).is_moved,
        "a group has done more than the log can tell of"
    );
}

#[test]
fn without_a_place_that_is_known_all_come_again_behind_every_offset_that_there_was() {
    let found = decided(&evidence([]), &[], true);
    let behind = (BEGINS + 15 * BYTES) / 40;
    assert_eq!((found.first, found.tail, found.lost), (behind, behind + 10, 0));
    assert!(found.is_moved);
    // What may have been refused tells no place.
    let found = decided(&evidence([0, 1]), &[], false);
    assert!(found.is_moved && found.put_back.len() == 10 && found.lost == 0);
}

#[test]
fn nothing_is_counted_past_what_cannot_be_read() {
    // Before the gap nothing tells where messages stood, which come again rather than be lost.
    let behind = (BEGINS + 15 * BYTES) / 40;
    let found = decided(&evidence([7]), &[5], true);
    assert_eq!((found.first, found.tail, found.lost), (behind, behind + 10, 0));
    // Between two that are known nothing was lost with it, or something was.
    let found = decided(&evidence([0, 7]), &[5], true);
    assert_eq!(
        (found.first, found.tail, found.lost, found.unknown),
        (20, 30, 0, 0)
    );
    let mut more = evidence([0]);
    more.known.insert(29, event(7).entry);
    let found = decided(&more, &[5], true);
    assert_eq!(
        (found.first, found.tail, found.lost, found.unknown),
        (behind, behind + 10, 0, 0)
    );
    // No place behind it.
    let found = decided(&evidence([1]), &[5], true);
    assert_eq!((found.is_moved, found.put_back.len(), found.lost), (true, 10, 0));
}

#[test]
fn a_dead_letter_from_behind_the_checkpoint_is_not_counted_twice() {
    let link = |number: u64, old: u64, put_ms| {
        let at = PhysicalOffset(BEGINS + number * BYTES);
        let entry = QueueEntry {
            physical: PhysicalOffset(BEGINS + old * BYTES + 50),
            put_ms,
            flags: LINKED,
            ..QueueEntry::default()
        };
        Event {
            at,
            entry,
            is_sure: true,
        }
    };
    // At the checkpoint's time, and later; their records stand before it.
    for later in [NOW, NOW + 1] {
        let (old, new) = (
            [link(3, 1, 40), link(4, 2, NOW)],
            [link(11, 0, later), link(12, 3, later)],
        );
        let mut dead = Evidence {
            events: old.into(),
            behind: new.into(),
            ..Evidence::default()
        };
        dead.known = (0..)
            .zip(old.iter().chain(&new).map(|event| event.entry))
            .collect();
        let found = decided(&dead, &[], true);
        assert_eq!((found.first, found.tail, found.put_back.len()), (0, 2, 0));
    }
}

#[test]
fn what_is_too_much_to_be_kept_in_mind_is_counted() {
    let mut evidence = evidence([]);
    evidence.events.drain(..4);
    evidence.untold = Some((4, event(3).at));
    let found = decided(&evidence, &[], true);
    assert_eq!((found.is_moved, found.put_back.len(), found.lost), (true, 6, 4));
    evidence.known.insert(29, event(9).entry);
    let found = decided(&evidence, &[], true);
    assert_eq!(
        (found.first, found.tail, found.put_back.len(), found.lost),
        (24, 30, 5, 4)
    );
}
