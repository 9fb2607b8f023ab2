//! Snapshots: what changed, frozen; and state back from all of them.

use super::*;
use crate::codec::Malformed;
use std::collections::BTreeMap;

/// A checkpoint as the store keeps it: the newest bytes of each part.
#[derive(Default)]
struct Stored {
    header: Vec<u8>,
    parts: BTreeMap<ShardKey, Vec<u8>>,
}

impl Stored {
    fn add(&mut self, mut snapshot: Snapshot) {
        for (key, view) in snapshot.take_changed() {
            let mut bytes = Vec::new();
            view.encode(&mut bytes);
            self.parts.insert(key, bytes);
        }
        self.header = snapshot.header;
    }

    fn restore(&self) -> Result<State, RestoreError> {
        let parts = self.parts.iter().rev();
        State::restore(&self.header, parts.map(|(key, bytes)| (*key, bytes.as_slice())))
    }
}

/// Some of everything: pending in several deliveries, settled ranges, a dead letter.
fn full() -> Bench {
    let mut bench = Bench::with_group(true);
    bench.send_groups(&["a", "b", "c", "d", "", "a", "b"]);
    let renewed = Deliver {
        auto_renew: true,
        attempt_id: 7,
        ..bench.taking("c", &[0, 1, 4])
    };
    let first = bench.deliver_with(renewed).delivery;
    let second = bench.deliver("d", &[2, 3]).delivery;
    bench.settle(Change::VisibleIn(500), &[(4, first)]);
    bench.ack(3, second);
    bench.dead_letter(1, Some(first)).unwrap();
    bench.clock += 600;
    bench.deliver("d", &[4]);
    bench
}

fn keys(mut snapshot: Snapshot) -> Vec<ShardKey> {
    snapshot.take_changed().iter().map(|(key, _)| *key).collect()
}

#[test]
fn a_snapshot_holds_what_changed_since_the_last_one() {
    let mut bench = full();
    let first = bench.state.snapshot();
    assert_eq!(keys(first).len(), bench.state.all_views().len());
    assert_eq!(keys(bench.state.snapshot()), []);
    bench.send();
    assert_eq!(keys(bench.state.snapshot()), [ShardKey::Topic(TopicId(0))]);
    bench.release("c", 0);
    assert_eq!(keys(bench.state.snapshot()), [ShardKey::GroupQueue(bench.id)]);
    bench.send();
    bench.topic("more", 1);
    let both = [ShardKey::Topic(TopicId(0)), ShardKey::Topic(TopicId(2))];
    assert_eq!(keys(bench.state.snapshot()), both);
}

#[test]
fn state_comes_back_equal_from_its_parts_in_any_order() {
    let mut bench = full();
    let mut stored = Stored::default();
    stored.add(bench.state.snapshot());
    let mut back = stored.restore().unwrap();
    assert_eq!(encoded(&back), encoded(&bench.state));
    assert_eq!(
        (back.digest(), back.now()),
        (bench.state.digest(), bench.state.now())
    );
    assert_eq!((back.level(), back.term()), (1, Term(1)));
    assert_eq!(back.next_index(), bench.state.next_index());
    assert_eq!(back.tables().now(), back.now());
    assert_eq!(keys(back.snapshot()), [], "it stands on its checkpoint");
    let at = bench.id.at.queue.0 as usize;
    let restored = back.tables().subscription(bench.id.group, bench.id.at.topic);
    restored.unwrap().shards[at].read(|queue| assert_eq!(*queue, *bench.queue()));
}

#[test]
fn what_an_attempt_holds_is_the_same_after_a_restore() {
    let mut bench = Bench::with_group(false);
    bench.send_groups(&["", ""]);
    for offset in [1, 0] {
        let command = Deliver {
            attempt_id: 7,
            ..bench.taking("c", &[offset])
        };
        bench.deliver_with(command);
    }
    let mut stored = Stored::default();
    stored.add(bench.state.snapshot());
    let back = stored.restore().unwrap();
    let subscription = back.tables().subscription(bench.id.group, bench.id.at.topic);
    let held = subscription.unwrap().shards[0].read(|queue| queue.held_by_attempt("c", 7, START));
    assert_eq!(held, bench.queue().held_by_attempt("c", 7, START));
    assert_eq!(held.len(), 2);
}

#[test]
fn a_restored_state_goes_on_as_the_old_one_does() {
    let mut bench = full();
    let mut stored = Stored::default();
    stored.add(bench.state.snapshot());
    let mut back = Bench::blank();
    (back.state, back.physical) = (stored.restore().unwrap(), bench.physical);
    let (from, seen) = (bench.log.len(), bench.seen.entries.len());
    bench.clock += HIDDEN;
    let delivery = bench.deliver("e", &[0, 2, 4, 5, 6]).delivery;
    bench.ack(0, delivery);
    bench.send();
    bench.topic("more", 3);
    bench.group("others", false);
    bench.release("d", 0);
    for command in &bench.log[from..] {
        back.run(command.clone()).unwrap();
    }
    assert_eq!(encoded(&back.state), encoded(&bench.state));
    assert_eq!(back.state.digest(), bench.state.digest());
    assert_eq!(back.seen.entries, bench.seen.entries[seen..]);
}

#[test]
fn a_snapshot_is_not_touched_by_later_changes() {
    let mut bench = full();
    let before = encoded(&bench.state);
    let snapshot = bench.state.snapshot();
    let delivery = bench.deliver("e", &[5, 6]).delivery;
    bench.settle(Change::Done, &[(5, delivery), (6, delivery)]);
    bench.send();
    bench.release("c", 0);
    assert_ne!(encoded(&bench.state), before);
    let mut stored = Stored::default();
    let digest = snapshot.digest;
    stored.add(snapshot);
    assert_eq!(encoded(&stored.restore().unwrap()), before);
    assert_eq!(digest, stored.restore().unwrap().digest());
}

type Encoded = Vec<(ShardKey, Vec<u8>)>;

/// Snapshots of a state that goes on: each with what is encoded of the state then.
fn taken_one_after_another(bench: &mut Bench) -> Vec<(Snapshot, Encoded)> {
    let mut taken = Vec::new();
    for attempt in 0..4 {
        taken.push((bench.state.snapshot(), encoded(&bench.state)));
        if attempt != 2 {
            bench.clock += HIDDEN;
            bench.deliver("e", &[4]);
        }
        bench.send();
    }
    taken
}

#[test]
fn snapshots_that_are_used_long_after_have_each_what_stood_when_it_was_taken() {
    let mut bench = full();
    let mut stored = Stored::default();
    for (snapshot, then) in taken_one_after_another(&mut bench) {
        stored.add(snapshot);
        assert_eq!(encoded(&stored.restore().unwrap()), then);
    }
    stored.add(bench.state.snapshot());
    assert_eq!(encoded(&stored.restore().unwrap()), encoded(&bench.state));
}

#[test]
fn a_snapshot_that_has_absorbed_older_ones_has_what_stood_when_it_was_taken_and_one_after_it_too() {
    let mut bench = full();
    let mut stored = Stored::default();
    let taken = taken_one_after_another(&mut bench);
    let [(first, _), (mut second, _), (mut third, then), (last, end)] = taken.try_into().unwrap();
    second.absorb(first);
    third.absorb(second);
    for (snapshot, then) in [(third, then), (last, end)] {
        stored.add(snapshot);
        assert_eq!(encoded(&stored.restore().unwrap()), then);
    }
}

#[test]
fn a_whole_snapshot_that_absorbs_an_older_one_has_what_stands_when_it_is_taken() {
    for changes_after in [false, true] {
        let mut bench = full();
        let older = bench.state.snapshot();
        bench.clock += HIDDEN;
        bench.deliver("e", &[4]);
        bench.send();
        let mut whole = bench.state.snapshot();
        whole.make_whole(bench.state.all_views());
        whole.absorb(older);
        let then = encoded(&bench.state);
        if changes_after {
            bench.clock += HIDDEN;
            bench.deliver("e", &[5]);
        }
        let mut stored = Stored::default();
        stored.add(whole);
        assert_eq!(encoded(&stored.restore().unwrap()), then);
        stored.add(bench.state.snapshot());
        assert_eq!(encoded(&stored.restore().unwrap()), encoded(&bench.state));
    }
}

#[test]
fn what_is_gone_is_not_taken_over_from_an_older_snapshot() {
    let mut bench = Bench::at_level_2(false);
    bench.send();
    bench.deliver("c", &[0]);
    let older = bench.state.snapshot();
    let delete = super::administer::delete_topic(bench.id.at.topic, false);
    bench.run(delete.encode(bench.clock)).unwrap();
    let mut snapshot = bench.state.snapshot();
    snapshot.absorb(older);
    assert!(snapshot.removed.contains(&ShardKey::GroupQueue(bench.id)));
    let mut stored = Stored::default();
    stored.add(snapshot);
    assert_eq!(encoded(&stored.restore().unwrap()), encoded(&bench.state));
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let mut bench = full();
    let mut stored = Stored::default();
    stored.add(bench.state.snapshot());
    let whole = |stored: &Stored| stored.restore().unwrap_err();
    let without = |gone: ShardKey| {
        let mut parts = stored.parts.clone();
        parts.remove(&gone);
        whole(&Stored {
            header: stored.header.clone(),
            parts,
        })
    };
    let first_queue = ShardKey::GroupQueue(bench.id);
    for gone in [
        ShardKey::Topic(TopicId(0)),
        ShardKey::Group(GroupId(0)),
        first_queue,
    ] {
        assert_eq!(
            without(gone),
            RestoreError::Orphan(first_queue),
            "without {gone:?}"
        );
    }
    for (key, bytes) in &stored.parts {
        for end in 0..bytes.len() {
            let mut parts = stored.parts.clone();
            parts.insert(*key, bytes[..end].to_vec());
            let cut = Stored {
                header: stored.header.clone(),
                parts,
            };
            let error = whole(&cut);
            assert!(
                matches!(error, RestoreError::Part(at, _) if at == *key),
                "{key:?} cut at {end}: {error}"
            );
        }
    }
    for end in 0..stored.header.len() {
        let cut = Stored {
            header: stored.header[..end].to_vec(),
            parts: stored.parts.clone(),
        };
        assert!(
            matches!(whole(&cut), RestoreError::Header(_)),
            "header cut at {end}"
        );
    }
}

#[test]
fn a_log_of_a_newer_level_is_refused() {
    let mut bench = full();
    let mut header = bench.state.snapshot().header;
    assert_eq!(header[0], 1, "the level comes first");
    header[0] = LEVEL as u8 + 1;
    let error = State::restore(&header, []).unwrap_err();
    assert_eq!(error, RestoreError::Level { found: LEVEL + 1 });
}

#[test]
fn a_parts_key_comes_back_from_its_numbers() {
    let bench = full();
    for (key, _) in bench.state.all_views() {
        let (kind, ids) = key.to_numbers();
        assert_eq!(ShardKey::from_numbers(kind, ids), Ok(key));
    }
    for kind in [0, 5] {
        assert_eq!(
            ShardKey::from_numbers(kind, [0; 3]),
            Err(Malformed::Range("shard kind"))
        );
    }
}
