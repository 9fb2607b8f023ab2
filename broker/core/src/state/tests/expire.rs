//! Topics give up messages while the log stays.

use super::administer::put_topic;
use super::*;
use crate::codec::Malformed;
use crate::command::{Expire, Minimum};
use crate::ids::QueueId;

impl Bench {
    fn expire(&mut self, first: Option<u64>, dropped: &[u64]) -> Applied {
        let at = self.id.at;
        let minimum = |first| Minimum {
            at,
            first: QueueOffset(first),
        };
        let expire = Expire {
            minimums: first.map(minimum).into_iter().collect(),
            dropped: dropped.iter().map(|offset| (at, QueueOffset(*offset))).collect(),
        };
        self.run(expire.encode(self.clock))
    }
}

#[test]
fn below_level_3_a_topic_gives_up_nothing_and_has_no_bound() {
    let mut bench = Bench::at_level_2(false);
    bench.send();
    let unknown = |what| Err(Refused::Malformed(Malformed::Range(what)));
    assert_eq!(bench.expire(Some(1), &[]), unknown("command kind"));
    let mut put = put_topic("bounded", 1);
    put.spec.retention_bytes = 1 << 20;
    assert_eq!(bench.run(put.encode(START)), unknown("topic flags"));
}

#[test]
fn what_a_topic_gives_up_is_passed_by_and_counted_and_the_log_stays() {
    let mut bench = Bench::at_level_3(false);
    bench.send_some(6);
    let delivery = bench.deliver("c", &[1, 2, 4]).delivery;
    assert!(bench.ack(2, delivery));
    assert_eq!(bench.carry(1), 1);
    let bounds = bench.state.tables().bounds();
    // 0 and 3 were never delivered, 4 is in flight and was not carried.
    assert_eq!(bench.expire(Some(5), &[]), Ok(Done::Expired(3)));
    assert_eq!(bench.state.tables().bounds(), bounds);
    assert_eq!(bench.seen.trimmed, [(bench.id.at, QueueOffset(5))]);
    assert_eq!(bench.queue().expired(), 3);
    assert_eq!(bench.lag(), (1, 1), "5 is to be read, 1 is held");
    assert!(!bench.ack(4, delivery), "nobody has it any more");
    assert!(bench.ack(1, delivery));
    assert_eq!(bench.ready(), [(5, 6)]);
}

#[test]
fn carried_messages_go_one_by_one_and_only_from_before_where_the_queue_begins() {
    let mut bench = Bench::at_level_3(true);
    bench.send_groups(&["a", "b", "c"]);
    bench.deliver("c", &[0, 1]);
    assert_eq!((bench.carry(0), bench.carry(1)), (1, 1));
    let refused = Err(Refused::OutOfBounds("the queue's minimum offset"));
    let before = encoded(&bench.state);
    assert_eq!(
        bench.expire(None, &[0]),
        refused,
        "the queue has its own entry there"
    );
    assert_eq!(bench.expire(Some(4), &[]), refused, "behind the last message");
    assert_eq!(encoded(&bench.state), before, "nothing has changed");
    assert_eq!(bench.expire(Some(1), &[0]), Ok(Done::Expired(1)));
    assert_eq!(bench.seen.dropped, [(bench.id.at, QueueOffset(0))]);
    assert_eq!(bench.seen.unlocked.last().unwrap().1, hash::message_group("a"));
    assert_eq!(bench.expire(Some(2), &[0, 1, 1]), Ok(Done::Expired(1)));
    assert_eq!(bench.state.tables().carried_len(), 0);
    assert_eq!(bench.queue().floor(), QueueOffset(2));
    assert_eq!(
        bench.expire(Some(1), &[0]),
        Ok(Done::Expired(0)),
        "it never begins earlier"
    );
    assert_eq!(bench.seen.trimmed.len(), 2);
}

#[test]
fn a_topic_that_is_gone_meanwhile_gives_up_nothing() {
    let mut bench = Bench::at_level_3(false);
    bench.id.at.topic = TopicId(77);
    bench.id.at.queue = QueueId(3);
    assert_eq!(bench.expire(Some(9), &[4]), Ok(Done::Expired(0)));
}

#[test]
fn a_bound_of_a_topic_is_part_of_what_it_is() {
    let mut bench = Bench::at_level_3(false);
    for (hours, bytes) in [(0, 5 << 20), (3, 5 << 20), (3, 0)] {
        let mut put = put_topic("bounded", 1);
        (put.spec.retention_hours, put.spec.retention_bytes) = (hours, bytes);
        bench.run(put.encode(bench.clock)).unwrap();
        let (parts, header) = (encoded(&bench.state), bench.state.snapshot().header);
        let borrowed = parts.iter().map(|(key, bytes)| (*key, bytes.as_slice()));
        let back = State::restore(&header, borrowed).unwrap();
        let spec = back.tables().topic("bounded").unwrap().spec.clone();
        assert_eq!((spec.retention_hours, spec.retention_bytes), (hours, bytes));
    }
    let mut put = put_topic("bounded", 1);
    put.spec.retention_bytes = crate::limits::RETENTION_BYTES_MAX + 1;
    let refused = bench.run(put.encode(bench.clock));
    assert_eq!(refused, Err(Refused::OutOfBounds("the topic's retention")));
}
