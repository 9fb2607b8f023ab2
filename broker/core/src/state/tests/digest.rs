//! The digest: equal for equal logs, different for different ones.

use super::*;

/// Runs `commands` on a state of its own; answers the digest.
fn digest_of(commands: &[EncodedCommand]) -> u64 {
    let mut bench = Bench::blank();
    for command in commands {
        let _ = bench.run(command.clone());
    }
    bench.state.digest()
}

/// A log that ends with `last`: topic, group, subscription, three messages, two of them delivered.
fn log_with(last: impl Fn(&mut Bench, DeliveryId)) -> Vec<EncodedCommand> {
    let mut bench = Bench::with_group(true);
    bench.send_groups(&["a", "b", "c"]);
    let delivery = bench.deliver("c", &[0, 1]).delivery;
    last(&mut bench, delivery);
    bench.log
}

#[test]
fn equal_logs_have_equal_digests_and_each_command_moves_it() {
    let log = log_with(|bench, delivery| assert!(bench.ack(0, delivery)));
    assert_eq!(digest_of(&log), digest_of(&log.clone()));
    let mut digests: Vec<u64> = (0..=log.len()).map(|n| digest_of(&log[..n])).collect();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), log.len() + 1);
}

#[test]
fn logs_that_differ_in_anything_have_different_digests() {
    let (time, after) = (START, START + 1);
    let logs = [
        log_with(|_, _| ()),
        log_with(|bench, delivery| drop(bench.settle(Change::Done, &[(0, delivery)]))),
        log_with(|bench, delivery| drop(bench.settle(Change::Done, &[(1, delivery)]))),
        log_with(|bench, delivery| drop(bench.settle(Change::VisibleIn(1000), &[(0, delivery)]))),
        log_with(|bench, delivery| drop(bench.settle(Change::VisibleIn(2000), &[(0, delivery)]))),
        log_with(|bench, _| drop(bench.settle(Change::Done, &[(0, DeliveryId(1))]))),
        log_with(|bench, _| assert!(bench.release("c", 0) < 2)),
        log_with(|bench, _| assert!(bench.release("d", 0) < 2)),
        log_with(|bench, _| drop(bench.run(group_spec("more", true).encode(time)))),
        log_with(|bench, _| drop(bench.run(group_spec("more", false).encode(time)))),
        log_with(|bench, _| drop(bench.run(group_spec("more", false).encode(after)))),
        log_with(|bench, _| drop(bench.run(message(bench.id.at, time, Some("a"))))),
        log_with(|bench, _| drop(bench.run(message(bench.id.at, time, Some("b"))))),
        log_with(|bench, delivery| drop(bench.dead_letter(0, Some(delivery)))),
    ];
    for (i, left) in logs.iter().enumerate() {
        for (j, right) in logs.iter().enumerate().skip(i + 1) {
            assert_ne!(digest_of(left), digest_of(right), "logs {i} and {j}");
        }
    }
}

#[test]
fn order_place_and_term_are_part_of_the_digest() {
    let (a, b) = (topic_spec("a", 1).encode(START), topic_spec("b", 1).encode(START));
    assert_ne!(digest_of(&[a.clone(), b.clone()]), digest_of(&[b, a.clone()]));
    let placed = |physical, term| {
        let mut state = State::new();
        let at = CommandAt {
            index: LogIndex(0),
            place: 0,
            physical: PhysicalOffset(physical),
        };
        state.apply(at, a.as_bytes(), &mut Seen::default()).unwrap();
        state.end_frame(Term(term), LogIndex(0));
        state.digest()
    };
    assert_eq!(placed(0, 1), placed(0, 1));
    assert_ne!(placed(0, 1), placed(8, 1));
    assert_ne!(placed(0, 1), placed(0, 2));
}

#[test]
fn logs_that_differ_in_what_administrators_did_have_different_digests() {
    use crate::command::{Fence, SetFloor, Target};
    use crate::state::tests::administer::{delete_group, delete_topic, put_group, put_topic};
    let with = |last: &dyn Fn(&mut Bench)| {
        log_with(|bench, _| {
            bench.run(encode_level(START, 2)).unwrap();
            last(bench);
        })
    };
    let run = |bench: &mut Bench, command: EncodedCommand| drop(bench.run(command));
    let floor = |bench: &mut Bench, target| {
        let (id, epoch) = (bench.id, 0);
        run(bench, SetFloor { id, target, epoch }.encode(START));
    };
    let fence = |bench: &mut Bench, holder: &str| {
        let holder = holder.to_owned();
        run(bench, Fence { holder }.encode(START));
    };
    let logs = [
        with(&|_| ()),
        with(&|bench| run(bench, put_topic("orders", 3).encode(START))),
        with(&|bench| run(bench, put_topic("orders", 4).encode(START))),
        with(&|bench| run(bench, put_group("workers").encode(START))),
        with(&|bench| run(bench, put_group("others").encode(START))),
        with(&|bench| run(bench, delete_topic(bench.id.at.topic, false).encode(START))),
        with(&|bench| run(bench, delete_topic(bench.id.at.topic, true).encode(START))),
        with(&|bench| run(bench, delete_group(bench.id.group, false).encode(START))),
        with(&|bench| floor(bench, Target::Latest)),
        with(&|bench| floor(bench, Target::Newest(1))),
        with(&|bench| floor(bench, Target::Offset(QueueOffset(0)))),
        with(&|bench| fence(bench, "one")),
        with(&|bench| fence(bench, "two")),
    ];
    for (i, left) in logs.iter().enumerate() {
        for (j, right) in logs.iter().enumerate().skip(i + 1) {
            assert_ne!(digest_of(left), digest_of(right), "logs {i} and {j}");
        }
    }
}
