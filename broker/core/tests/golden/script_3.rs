//! The script of level 3: the log begins later, before the level is raised and after. It is never changed once level 3 is
//! released.

use super::common::{START, message};
use super::script::{Frame, at, named, of};
use sluice_core::command::{
    CreateGroup, CreateTopic, DeadLetter, Deliver, EncodedCommand, Expire, Minimum, NewCarry, Place,
    PutTopic, Standing, Subscribe, Take, Terms, TopicSpec, Trim, Types, encode_level,
};
use sluice_core::entry::{CARRIED, QueueEntry};
use sluice_core::ids::{DeliveryId, GroupId, LogIndex, PhysicalOffset, QueueOffset, TimeMs, TopicId};

const ORDERS: TopicId = TopicId(0);
const WORKERS: GroupId = GroupId(0);
const FIFO: GroupId = GroupId(1);

/// A frame for each command, so that it is known where each stands.
struct Script {
    frames: Vec<Frame>,
    end: u64,
}

impl Script {
    /// Answers where the command stands, and its size.
    fn add(&mut self, name: &'static str, command: EncodedCommand) -> (PhysicalOffset, u32) {
        let (stands, size) = (self.end + 48, command.len() as u32);
        self.end = (stands + u64::from(size)).next_multiple_of(8);
        self.frames.push((3, vec![named(name, command)]));
        (PhysicalOffset(stands), size)
    }

    fn end(&self) -> PhysicalOffset {
        PhysicalOffset(self.end)
    }

    fn trim(&mut self, name: &'static str, start: PhysicalOffset, links_from: PhysicalOffset, first: u64) {
        let minimum = |queue, first| Minimum {
            at: at(queue),
            first: QueueOffset(first),
        };
        let trim = Trim {
            start,
            links_from,
            minimums: [minimum(0, first), minimum(7, 1)][..usize::from(first > 0) * 2].to_vec(),
        };
        self.add(name, trim.encode(START + 100));
    }

    fn carry(&mut self, name: &'static str, places: &[Place], time: TimeMs) -> (PhysicalOffset, u32) {
        let carry = NewCarry {
            topic: ORDERS,
            old: places[0].entry.physical,
            record: b"a record",
            places,
        };
        self.add(name, carry.encode(time))
    }
}

fn take(offset: u64) -> Take {
    Take {
        offset: QueueOffset(offset),
        group_hash: 7,
    }
}

fn deliver(group: GroupId, offsets: &[u64]) -> EncodedCommand {
    let deliver = Deliver {
        id: of(group),
        client: "client".to_owned(),
        attempt_id: 0,
        auto_renew: false,
        resume: false,
        standing: Standing {
            in_order: group == FIFO,
            moves: 0,
        },
        invisible_ms: 60_000,
        taken: offsets.iter().map(|offset| take(*offset)).collect(),
        skipped: Vec::new(),
    };
    deliver.encode(START + 20)
}

fn dead_letter(offset: u64, delivery: DeliveryId, entry: QueueEntry) -> EncodedCommand {
    let dead = DeadLetter {
        id: of(WORKERS),
        offset: QueueOffset(offset),
        delivery: Some(delivery),
        entry,
    };
    dead.encode(START + 50)
}

fn put_kept() -> EncodedCommand {
    put_own("kept", 1000, 0)
}

fn put_own(name: &str, retention_hours: u32, retention_bytes: u64) -> EncodedCommand {
    let spec = TopicSpec {
        name: name.to_owned(),
        queues: 1,
        types: Types::ALL,
        closed: true,
        retention_hours,
        retention_bytes,
    };
    let put = PutTopic {
        spec,
        keep_queues: false,
        terms: Terms::default(),
    };
    put.encode(START + 1)
}

fn beginnings(script: &mut Script) {
    let topic = CreateTopic {
        name: "orders".to_owned(),
        queues: 2,
        types: Types::ALL,
    };
    script.add("level", encode_level(START, 1));
    script.add("topic", topic.encode(START));
    script.add("group", CreateGroup::on_first_use("workers").encode(START));
    let fifo = CreateGroup {
        fifo: true,
        ..CreateGroup::on_first_use("in-order")
    };
    script.add("group-fifo", fifo.encode(START));
    for group in [WORKERS, FIFO] {
        let subscribe = Subscribe { group, topic: ORDERS };
        script.add("subscribe", subscribe.encode(START));
    }
    script.add("level", encode_level(START, 2));
    script.trim("trim-unknown", PhysicalOffset(0), PhysicalOffset(0), 0);
    script.add("put-kept-unknown", put_kept());
    script.add("level", encode_level(START, 3));
    script.add("put-kept", put_kept());
}

/// A topic gives up what it has, with what is carried of it.
fn given_up(script: &mut Script) {
    script.add("append", message(at(0), START + 130, None, None, 30));
    let expire = Expire {
        minimums: vec![Minimum {
            at: at(0),
            first: QueueOffset(8),
        }],
        dropped: vec![(at(0), QueueOffset(1))],
    };
    script.add("expire", expire.encode(START + 140));
    script.add("put-bounded", put_own("bounded", 2, 5 << 20));
}

pub fn frames() -> Vec<Frame> {
    let mut script = Script {
        frames: Vec::new(),
        end: 0,
    };
    beginnings(&mut script);
    let mut places = Vec::new();
    for number in 0..6 {
        let command = message(at(0), START + number, Some("red"), Some("order"), number);
        let (physical, size) = script.add("append", command);
        let entry = QueueEntry {
            physical,
            size,
            put_ms: START + number,
            waiting_since_ms: START + number,
            ..QueueEntry::default()
        };
        places.push(Place {
            at: at(0),
            offset: QueueOffset(number),
            entry,
        });
    }
    let delivery = DeliveryId::new(LogIndex(script.frames.len() as u64), 0);
    script.add("deliver", deliver(WORKERS, &[1, 2, 4]));
    script.add("deliver-fifo", deliver(FIFO, &[0, 1]));
    let (start, zero) = (script.end(), PhysicalOffset(0));
    script.add("append", message(at(0), START + 30, None, None, 30));

    script.trim("trim-open", start, start, 6);
    script.trim("trim-close", zero, start, 0);
    script.add("dead-letter-leaving", dead_letter(1, delivery, places[1].entry));
    let (physical, size) = script.carry("carry", &places[1..2], START + 40);
    script.carry("carry-moved", &places[1..2], START + 41);
    let carried = QueueEntry {
        physical,
        size,
        flags: CARRIED,
        ..places[1].entry
    };
    script.add("dead-letter", dead_letter(1, delivery, carried));
    let other = Place {
        offset: QueueOffset(99),
        ..places[2]
    };
    script.carry("carry-some", &[places[2], other], START + 42);
    let beyond = PhysicalOffset(start.0 + 1_000_000);
    script.trim("trim-beyond", start, beyond, 6);
    script.trim("trim", start, start, 6);
    script.trim("trim-back", zero, start, 0);
    script.trim("trim-too-far", start, start, 8);

    let late = CreateGroup::on_first_use("later");
    script.add("group-later", late.encode(START + 110));
    let subscribe = Subscribe {
        group: GroupId(2),
        topic: ORDERS,
    };
    script.add("subscribe-later", subscribe.encode(START + 110));
    let next = script.end();
    script.trim("trim-close", start, next, 0);
    script.carry(
        "carry-again",
        &[Place {
            entry: carried,
            ..places[1]
        }],
        START + 120,
    );
    script.trim("trim-carried", next, next, 7);
    given_up(&mut script);
    script.frames
}
