//! What the fold makes of dead letters.

use super::*;
use sluice_core::command::{Minimum, SettleItem, Take};
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{GroupId, QueueId, TopicId};

const ID: GroupQueueId = GroupQueueId {
    group: GroupId(0),
    at: TopicQueue {
        topic: TopicId(0),
        queue: QueueId(0),
    },
};
const OFFSET: QueueOffset = QueueOffset(5);

/// A log that begins at 100, with commands at each hundredth byte.
struct Log {
    letters: Letters,
    next: u64,
}

impl Log {
    fn new() -> Self {
        Self {
            letters: Letters::new(PhysicalOffset(100)),
            next: 1000,
        }
    }

    fn command(&mut self, now: TimeMs, command: &Command<'_>) -> DeliveryId {
        let id = DeliveryId(self.next);
        self.next += 1;
        self.letters.command(id, PhysicalOffset(id.0 * 100), now, command);
        id
    }

    fn deliver(&mut self, now: TimeMs) -> DeliveryId {
        let taken = vec![Take {
            offset: OFFSET,
            group_hash: 0,
        }];
        let deliver = Deliver {
            id: ID,
            client: "client".to_owned(),
            attempt_id: 0,
            auto_renew: false,
            resume: false,
            standing: Default::default(),
            invisible_ms: 100,
            taken,
            skipped: Vec::new(),
        };
        self.command(now, &Command::Deliver(deliver))
    }

    fn move_to(&mut self, now: TimeMs, id: GroupQueueId, target: Target) {
        let moves = SetFloor { id, target, epoch: 0 };
        self.command(now, &Command::SetFloor(moves));
    }

    fn settle(&mut self, now: TimeMs, delivery: DeliveryId, change: Change) -> DeliveryId {
        let items = vec![SettleItem {
            offset: OFFSET,
            delivery,
        }];
        let settle = Settle {
            id: ID,
            change,
            items,
        };
        self.command(now, &Command::Settle(settle))
    }

    fn bury(&mut self, now: TimeMs, delivery: DeliveryId, physical: u64) -> (Verdict, PhysicalOffset) {
        let id = DeliveryId(self.next);
        self.next += 1;
        let at = PhysicalOffset(id.0 * 100);
        let dead = DeadLetter {
            id: ID,
            offset: OFFSET,
            delivery: Some(delivery),
            entry: QueueEntry {
                physical: PhysicalOffset(physical),
                ..QueueEntry::default()
            },
        };
        (self.letters.dead(id, at, now, &dead), at)
    }
}

#[test]
fn only_who_holds_a_message_makes_a_dead_letter_of_it_and_once() {
    let mut log = Log::new();
    let first = log.deliver(0);
    let second = log.deliver(150);
    assert_eq!(log.bury(160, first, 200).0, Verdict::Refused, "it is over");
    let hidden = log.settle(170, second, Change::VisibleIn(500));
    assert_eq!(log.bury(180, second, 200).0, Verdict::Refused, "another follows");
    assert_eq!(log.bury(300, hidden, 200).0, Verdict::Accepted);
    assert_eq!(
        log.bury(310, hidden, 200).0,
        Verdict::Refused,
        "it is one already"
    );
    let mut log = Log::new();
    let first = log.deliver(0);
    log.settle(10, first, Change::Done);
    assert_eq!(log.bury(20, first, 200).0, Verdict::Refused, "it is done");
}

#[test]
fn a_record_that_retention_is_about_to_take_is_no_dead_letter() {
    let mut log = Log::new();
    let first = log.deliver(0);
    let minimums: Vec<Minimum> = Vec::new();
    let trim = Trim {
        start: PhysicalOffset(100),
        links_from: PhysicalOffset(300),
        minimums,
    };
    log.command(1, &Command::Trim(trim));
    assert_eq!(log.bury(2, first, 200).0, Verdict::Refused);
    assert_eq!(log.bury(3, first, 400).0, Verdict::Accepted);
}

#[test]
fn of_a_delivery_from_before_something_that_follows_may_tell() {
    let before = DeliveryId(7);
    let mut log = Log::new();
    let earlier = log.deliver(0);
    log.settle(1, earlier, Change::VisibleIn(0));
    assert_eq!(log.bury(2, before, 200).0, Verdict::Refused, "another took it");

    let mut log = Log::new();
    log.command(0, &Command::Level(3));
    let (verdict, at) = log.bury(10, before, 200);
    assert_eq!(verdict, Verdict::Unsure);
    assert!(!log.letters.was_refused(at));
    let later = log.deliver(20);
    log.settle(30, later, Change::Done);
    assert!(log.letters.was_refused(at), "it was delivered again");

    let mut log = Log::new();
    log.command(0, &Command::Level(3));
    let (_, at) = log.bury(10, before, 200);
    let undone = HoldSpan {
        floor: 3,
        settled: RangeSet::default(),
        end: 6,
    };
    log.letters.hold(ID, &undone, PhysicalOffset(u64::MAX));
    assert!(log.letters.was_refused(at), "the checkpoint has it undone");
}

#[test]
fn across_a_place_that_cannot_be_read_nothing_is_sure() {
    let mut log = Log::new();
    let first = log.deliver(0);
    log.letters.gap();
    assert_eq!(log.bury(10, first, 200).0, Verdict::Unsure);
    assert_eq!(
        log.bury(200, first, 200).0,
        Verdict::Refused,
        "it is over in any case"
    );
}

#[test]
fn of_a_message_that_nobody_holds_any_more_no_claim_is_kept() {
    let mut log = Log::new();
    let done = log.deliver(0);
    log.settle(10, done, Change::Done);
    let dead = log.deliver(20);
    assert_eq!(log.bury(30, dead, 200).0, Verdict::Accepted);
    log.settle(40, DeliveryId(7), Change::Done);
    log.deliver(50);
    log.move_to(60, ID, Target::Latest);
    let kept = log.letters.claims.values().map(BTreeMap::len);
    assert_eq!((kept.sum::<usize>(), log.letters.kept), (0, 0));
}

#[test]
fn a_move_makes_room_for_letters_that_are_not_sure_and_touches_those_of_its_queue_alone() {
    let other = GroupQueueId {
        group: GroupId(1),
        ..ID
    };
    let before = DeliveryId(7);
    let mut log = Log::new();
    log.letters.unsure = NotSure::with_room_for(1);
    log.command(0, &Command::Level(3));
    let (_, forgotten) = log.bury(10, before, 200);
    log.move_to(20, ID, Target::Latest);
    let (_, kept) = log.bury(30, before, 200);
    log.move_to(40, other, Target::Latest);
    let later = log.deliver(50);
    log.settle(60, later, Change::Done);
    assert!(!log.letters.was_refused(forgotten), "the group was moved since");
    assert!(log.letters.was_refused(kept), "it was delivered again");
}
