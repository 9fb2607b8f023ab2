//! The log begins later: what is gone, what is carried, and what that means to groups.

use super::*;
use crate::command::{
    Carry, Command, Minimum, NewCarry, Place, SetFloor, SubscribeAt, Target, Trim, record_of,
};

impl Bench {
    pub(super) fn at_level_3(fifo: bool) -> Self {
        let mut bench = Self::at_level_2(fifo);
        bench.run(encode_level(START, 3)).unwrap();
        bench
    }

    pub(super) fn send_some(&mut self, count: usize) {
        self.send_groups(&vec![""; count]);
    }

    /// Where the log ends: a place that it can begin at.
    pub(super) fn end(&self) -> PhysicalOffset {
        PhysicalOffset(self.physical)
    }

    /// The newest entry of a message.
    pub(super) fn entry(&self, at: TopicQueue, offset: u64) -> QueueEntry {
        let carried = self.state.tables().carried(at, QueueOffset(offset));
        let mut entries = self.seen.entries.iter();
        let found = entries.find(|(of, at_offset, _)| (*of, at_offset.0) == (at, offset));
        carried.unwrap_or_else(|| found.unwrap().2)
    }

    pub(super) fn place(&self, at: TopicQueue, offset: u64) -> Place {
        let (entry, offset) = (self.entry(at, offset), QueueOffset(offset));
        Place { at, offset, entry }
    }

    pub(super) fn carry_places(&mut self, places: &[Place]) -> Applied {
        let carry = NewCarry {
            topic: self.id.at.topic,
            old: places[0].entry.physical,
            record: b"a record",
            places,
        };
        self.run(carry.encode(self.clock))
    }

    pub(super) fn carry(&mut self, offset: u64) -> u64 {
        let place = self.place(self.id.at, offset);
        match self.carry_places(&[place]) {
            Ok(Done::Carried(places)) => places,
            other => panic!("carried, not {other:?}"),
        }
    }

    /// No more links to what stands before `to`.
    pub(super) fn close(&mut self, to: PhysicalOffset) {
        let start = self.state.tables().bounds().start;
        let trim = Trim {
            start,
            links_from: to,
            minimums: Vec::new(),
        };
        assert_eq!(self.run(trim.encode(self.clock)), Ok(Done::Trimmed(0)));
    }

    pub(super) fn trim(&mut self, start: PhysicalOffset, first: u64) -> Applied {
        let minimum = Minimum {
            at: self.id.at,
            first: QueueOffset(first),
        };
        let trim = Trim {
            start,
            links_from: start,
            minimums: vec![minimum],
        };
        self.run(trim.encode(self.clock))
    }

    pub(super) fn ready(&self) -> Vec<(u64, u64)> {
        let topic = self.state.tables().topic_by_id(self.id.at.topic).unwrap();
        let tail = topic.tail(self.id.at.queue).unwrap();
        self.queue().ready_ranges(tail, self.state.now())
    }
}

#[test]
fn below_level_3_its_kinds_are_unknown() {
    let mut bench = Bench::at_level_2(false);
    bench.send();
    let place = bench.place(bench.id.at, 0);
    let unknown = Err(Refused::Malformed(crate::codec::Malformed::Range("command kind")));
    assert_eq!(bench.carry_places(&[place]), unknown);
    assert_eq!(bench.trim(PhysicalOffset(0), 0), unknown);
}

#[test]
fn what_is_gone_is_passed_by_and_counted_and_what_was_carried_comes_again() {
    let mut bench = Bench::at_level_3(false);
    bench.send_some(6);
    let delivery = bench.deliver("c", &[1, 2, 4]).delivery;
    assert!(bench.ack(2, delivery));
    let start = bench.end();
    bench.send();
    bench.close(start);
    let old = bench.entry(bench.id.at, 1);
    assert_eq!(bench.carry(1), 1);
    let new = bench.entry(bench.id.at, 1);
    assert!(new.physical >= start && new.size != old.size);
    assert_eq!(new.flags, old.flags | crate::entry::CARRIED);
    assert_eq!(
        QueueEntry {
            physical: old.physical,
            size: old.size,
            flags: old.flags,
            ..new
        },
        old
    );
    assert_eq!(bench.seen.carried, [(bench.id.at, QueueOffset(1), new)]);
    let record = record_of(bench.log.last().unwrap().as_bytes()).unwrap();
    assert_eq!(record, b"a record");

    // 0, 3 and 5 were never delivered, 4 is in flight and not carried.
    assert_eq!(bench.trim(start, 6), Ok(Done::Trimmed(4)));
    assert_eq!(bench.seen.trimmed, [(bench.id.at, QueueOffset(6))]);
    let queue = bench.queue();
    assert_eq!((queue.floor(), queue.expired()), (QueueOffset(1), 4));
    assert_eq!(bench.lag(), (1, 1));
    assert!(!bench.ack(4, delivery), "nobody has it any more");
    bench.clock += HIDDEN;
    assert_eq!(
        bench.deliver("d", &[1, 4, 6]).taken,
        [1, 6].map(|offset| { (QueueOffset(offset), if offset == 1 { 2 } else { 1 }) })
    );
}

#[test]
fn an_acknowledgement_ends_a_carried_message_and_the_next_trim_drops_it() {
    let mut bench = Bench::at_level_3(true);
    bench.send_groups(&["a", "b"]);
    let delivery = bench.deliver("c", &[0, 1]).delivery;
    let start = bench.end();
    bench.close(start);
    assert_eq!((bench.carry(0), bench.carry(1)), (1, 1));
    bench.trim(start, 2).unwrap();
    assert!(bench.ack(0, delivery));
    let start = bench.end();
    bench.close(start);
    assert_eq!(
        bench.trim(start, 2),
        Ok(Done::Trimmed(1)),
        "the other one expires"
    );
    assert_eq!(
        bench.seen.dropped,
        [0, 1].map(|offset| (bench.id.at, QueueOffset(offset)))
    );
    assert_eq!(bench.state.tables().carried_len(), 0);
    assert_eq!(bench.queue().floor(), QueueOffset(2));
    let unlocked: Vec<_> = bench.seen.unlocked.iter().map(|(_, hash)| *hash).collect();
    assert_eq!(unlocked, ["a", "b"].map(hash::message_group));
}

#[test]
fn a_carry_moves_only_what_stands_where_the_proposer_saw_it() {
    let mut bench = Bench::at_level_3(false);
    bench.send_some(3);
    let first = bench.place(bench.id.at, 0);
    assert_eq!(bench.carry(0), 1);
    assert_eq!(bench.carry_places(&[first]), Ok(Done::Carried(0)), "it has moved");
    let mut other = bench.place(bench.id.at, 1);
    other.offset = QueueOffset(3);
    assert_eq!(
        bench.carry_places(&[other]),
        Ok(Done::Carried(0)),
        "nothing is there"
    );
    let mut other = bench.place(bench.id.at, 1);
    other.at.topic = TopicId(77);
    assert_eq!(
        bench.carry_places(&[other]),
        Ok(Done::Carried(0)),
        "no such topic"
    );
    let (start, gone) = (bench.end(), bench.place(bench.id.at, 2));
    bench.close(start);
    bench.trim(start, 3).unwrap();
    assert_eq!(bench.carry_places(&[gone]), Ok(Done::Carried(0)), "it is gone");
    assert_eq!(
        bench.state.tables().carried_len(),
        0,
        "the carried one stood before, too"
    );
}

#[test]
fn links_to_what_is_about_to_leave_are_refused_until_it_is_carried() {
    let mut bench = Bench::at_level_3(false);
    bench.send();
    let delivery = bench.deliver("c", &[0]).delivery;
    let (start, old) = (bench.end(), bench.entry(bench.id.at, 0));
    bench.close(start);
    let refused = bench.dead_letter(0, Some(delivery));
    assert_eq!(refused, Err(Refused::Leaving(old.physical)));
    assert_eq!(bench.lag(), (0, 1), "and nothing has changed");
    assert_eq!(bench.carry(0), 1);
    let command = DeadLetter {
        id: bench.id,
        offset: QueueOffset(0),
        delivery: Some(delivery),
        entry: bench.entry(bench.id.at, 0),
    };
    let topic = match bench.run(command.encode(bench.clock)) {
        Ok(Done::DeadLettered { topic, .. }) => topic,
        other => panic!("a dead letter, not {other:?}"),
    };
    // The dead letter and the message are two places of one record.
    let dead = TopicQueue {
        topic,
        queue: QueueId(0),
    };
    bench.trim(start, 1).unwrap();
    let next = bench.end();
    bench.close(next);
    let places = [bench.place(bench.id.at, 0), bench.place(dead, 0)];
    assert_eq!(places[0].entry.physical, places[1].entry.physical);
    assert_eq!(bench.carry_places(&places), Ok(Done::Carried(2)));
    assert_eq!(
        bench.entry(dead, 0).physical,
        bench.entry(bench.id.at, 0).physical
    );
    assert!(bench.entry(dead, 0).flags & crate::entry::LINKED != 0);
}

#[test]
fn the_log_begins_no_later_than_links_were_closed_and_never_earlier() {
    let mut bench = Bench::at_level_3(false);
    bench.send_some(3);
    let (start, before) = (bench.end(), encoded(&bench.state));
    let refused = |answer| matches!(answer, Err(Refused::Bounds { .. }));
    assert!(refused(bench.trim(start, 3)), "links are not closed");
    let beyond = PhysicalOffset(bench.physical + 1);
    let trim = |start, links_from| Trim {
        start,
        links_from,
        minimums: Vec::new(),
    };
    assert!(refused(bench.run(trim(PhysicalOffset(0), beyond).encode(START))));
    bench.close(start);
    let less = PhysicalOffset(start.0 - 1);
    assert!(refused(bench.run(trim(start, less).encode(START))));
    assert_eq!(
        bench.trim(start, 4),
        Err(Refused::OutOfBounds("the queue's minimum offset"))
    );
    assert_eq!(encoded(&bench.state), before, "refusals change nothing");
    bench.trim(start, 3).unwrap();
    assert!(
        refused(bench.run(trim(less, start).encode(START))),
        "it never begins earlier"
    );
    assert_eq!(bench.trim(start, 1), Ok(Done::Trimmed(0)), "nor does a queue");
    let topic = bench.state.tables().topic_by_id(bench.id.at.topic).unwrap();
    assert_eq!(topic.first(bench.id.at.queue), Some(QueueOffset(3)));
    assert_eq!(
        (topic.messages(), bench.state.tables().bounds().start),
        (0, start)
    );
}

/// A queue that begins at 6, with 1 and 4 carried from below, and 8 messages.
fn trimmed(fifo: bool) -> Bench {
    let mut bench = Bench::at_level_3(fifo);
    bench.send_some(8);
    bench.deliver("c", &[1, 4]);
    let start = bench.end();
    bench.close(start);
    assert_eq!((bench.carry(1), bench.carry(4)), (1, 1));
    assert_eq!(bench.trim(start, 6), Ok(Done::Trimmed(4)));
    bench.clock += HIDDEN;
    bench
}

#[test]
fn a_group_that_comes_later_or_moves_back_has_only_what_is_there() {
    let mut bench = trimmed(false);
    let all = [(1, 2), (4, 5), (6, 8)];
    let group = bench.group("later", false);
    bench.subscribe(group, bench.id.at.topic);
    bench.id.group = group;
    assert_eq!((bench.ready(), bench.queue().expired()), (all.to_vec(), 0));
    let group = bench.group("somewhere", false);
    let topic = bench.id.at.topic;
    let floors = vec![QueueOffset(2)];
    bench
        .run(SubscribeAt { group, topic, floors }.encode(bench.clock))
        .unwrap();
    bench.id.group = group;
    assert_eq!(bench.ready(), all[1..]);

    let delivery = bench.deliver("c", &[4, 6, 7]).delivery;
    bench.settle(Change::Done, &[(4, delivery), (6, delivery)]);
    let (id, epoch, gone) = (bench.id, 0, bench.state.tables().gone(bench.id.at));
    for (target, to, repeated, skipped) in [
        (Target::Offset(QueueOffset(0)), 1, 2 + 1, 0),
        (Target::Offset(QueueOffset(5)), 6, 0, 2),
        (Target::Offset(QueueOffset(7)), 7, 0, 1),
        (Target::Offset(QueueOffset(2)), 4, 2, 0),
        (Target::Newest(3), 6, 0, 1),
    ] {
        let expected = bench
            .queue()
            .floor_move(target, QueueOffset(8), &gone, bench.state.now());
        let moved = match bench.run(SetFloor { id, target, epoch }.encode(bench.clock)) {
            Ok(Done::Moved(moved)) => *moved,
            other => panic!("moved, not {other:?}"),
        };
        assert_eq!(moved, expected);
        assert_eq!(
            (moved.to, moved.repeated, moved.skipped),
            (QueueOffset(to), repeated, skipped),
            "{target:?}"
        );
        assert_eq!(bench.queue().floor(), moved.to);
        assert_eq!(bench.queue().expired(), 0);
    }
}

#[test]
fn carried_messages_minimums_and_counts_come_back_from_a_checkpoint() {
    let mut bench = trimmed(true);
    let (parts, header) = (encoded(&bench.state), bench.state.snapshot().header);
    let carried = ShardKey::Carried(bench.id.at, 0);
    assert!(parts.iter().any(|(key, _)| *key == carried));
    let (kind, ids) = carried.to_numbers();
    assert_eq!(ShardKey::from_numbers(kind, ids), Ok(carried));
    let borrowed = || parts.iter().map(|(key, bytes)| (*key, bytes.as_slice()));
    let back = State::restore(&header, borrowed()).unwrap();
    assert_eq!(encoded(&back), parts);
    assert_eq!(back.tables().bounds(), bench.state.tables().bounds());
    assert_eq!(
        back.tables().carried_of(bench.id.at),
        bench.state.tables().carried_of(bench.id.at)
    );
    let stray = (
        ShardKey::Carried(
            TopicQueue {
                topic: TopicId(9),
                ..bench.id.at
            },
            0,
        ),
        parts
            .iter()
            .find(|(key, _)| *key == carried)
            .unwrap()
            .1
            .as_slice(),
    );
    let error = State::restore(&header, borrowed().chain([stray])).unwrap_err();
    assert_eq!(error, RestoreError::Orphan(stray.0));

    bench.carry(1);
    let changed = bench.state.snapshot().take_changed();
    assert_eq!(changed.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [carried]);
    let delete = super::administer::delete_topic(bench.id.at.topic, false);
    bench.run(delete.encode(bench.clock)).unwrap();
    assert!(bench.state.snapshot().removed.contains(&carried));
    assert_eq!(bench.state.tables().carried_len(), 0);
}

#[test]
fn a_topic_without_groups_is_empty_when_nothing_of_it_is_left() {
    let mut bench = trimmed(false);
    let delete = |bench: &Bench| super::administer::delete_group(bench.id.group, false).encode(bench.clock);
    bench.run(delete(&bench)).unwrap();
    let empty = super::administer::delete_topic(bench.id.at.topic, true);
    assert_eq!(
        bench.run(empty.encode(bench.clock)),
        Err(Refused::NotEmpty(4)),
        "two of them carried"
    );
    let start = bench.end();
    bench.close(start);
    bench.trim(start, 8).unwrap();
    assert_eq!(bench.run(empty.encode(bench.clock)), Ok(Done::TopicDeleted(0)));
}

#[test]
fn a_topic_says_since_level_3_how_long_it_is_kept() {
    let mut put = super::administer::put_topic("kept", 1);
    put.spec.retention_hours = 100;
    let mut bench = Bench::at_level_2(false);
    let later = START + 5;
    let unknown = Refused::Malformed(crate::codec::Malformed::Range("topic flags"));
    assert_eq!(bench.run(put.encode(later)), Err(unknown));
    assert_eq!(bench.state.now(), START, "as of a build that does not know it");
    bench.run(encode_level(START, 3)).unwrap();
    bench.run(put.encode(later)).unwrap();
    put.spec.retention_hours = crate::limits::RETENTION_HOURS_MAX + 1;
    let refused = bench.run(put.encode(later));
    assert_eq!(refused, Err(Refused::OutOfBounds("the topic's retention")));
    let (parts, header) = (encoded(&bench.state), bench.state.snapshot().header);
    let borrowed = parts.iter().map(|(key, bytes)| (*key, bytes.as_slice()));
    let back = State::restore(&header, borrowed).unwrap();
    assert_eq!(encoded(&back), parts);
    assert_eq!(back.tables().topic("kept").unwrap().spec.retention_hours, 100);
}

#[test]
fn a_carry_decodes_as_it_was_proposed() {
    let mut bench = Bench::at_level_3(false);
    bench.send();
    let place = bench.place(bench.id.at, 0);
    bench.carry_places(&[place]).unwrap();
    let (_, command) = Command::decode(bench.log.last().unwrap().as_bytes()).unwrap();
    let expected = Carry {
        topic: bench.id.at.topic,
        time: bench.clock,
        old: place.entry.physical,
        record: b"a record",
        places: vec![place],
    };
    assert_eq!(command, Command::Carry(expected));
}
