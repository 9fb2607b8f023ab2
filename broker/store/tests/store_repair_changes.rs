//! Repairs of a log in which topics and groups were made, changed or deleted in what is lost, behind it, or both: nothing is done to another
//! one without a word, and what comes to nothing is told.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod repairs;
mod workload;

use repairs::*;
use sluice_core::command::{
    CreateGroup, DeleteTopic, EncodedCommand, Fence, GroupSpec, PutGroup, PutTopic, Subscribe, Terms,
    TopicSpec, Types,
};
use sluice_core::ids::{GroupId, QueueId, TopicId, TopicQueue};
use sluice_core::state::{Refused, Tables};
use sluice_store::io::FaultyIo;
use sluice_store::repair::Plan;

const NO_TERMS: Terms = Terms {
    expected_generation: None,
    epoch: 0,
};
fn told(plan: &Plan) -> Vec<String> {
    let places = plan.loss.places.iter().filter(|place| place.range.is_none());
    places.map(|place| place.what.clone()).collect()
}

/// It is refused without leave, names this topic, and says the same with leave.
fn is_refused_for(io: &FaultyIo, topic: &str) {
    let lost = wanted(io);
    let refused = planned(io, &lost, false).unwrap_err().to_string();
    let names = format!("(one of: {topic})");
    for part in ["whether a topic was made or deleted", &names, "..END --wider"] {
        assert!(refused.contains(part), "{part} in {refused}");
    }
    let plan = planned(io, &lost, true).unwrap();
    let told = told(&plan);
    assert!(told.iter().any(|told| told.contains(&names)), "{told:?}");
    plan.run(&shared(io)).unwrap();
    start(io).unwrap().store.close().unwrap();
}

/// Repairs it, and answers what it says besides where it is damaged, and what there is then.
fn repaired<T>(io: &FaultyIo, look_at: impl FnOnce(&Tables) -> T) -> (Vec<String>, T) {
    let plan = planned(io, &wanted(io), false).unwrap();
    plan.run(&shared(io)).unwrap();
    let opened = start(io).unwrap();
    let found = look_at(opened.store.tables());
    opened.store.close().unwrap();
    sound(io);
    (told(&plan), found)
}

fn put(name: &str, retention_hours: u32, terms: Terms) -> EncodedCommand {
    let spec = TopicSpec {
        name: name.to_owned(),
        queues: 3,
        types: Types::ALL,
        closed: false,
        retention_hours,
        retention_bytes: 0,
    };
    PutTopic {
        spec,
        keep_queues: true,
        terms,
    }
    .encode(3_000)
}

fn at_generation(generation: u64) -> Terms {
    Terms {
        expected_generation: Some(generation),
        epoch: 0,
    }
}

fn delete(topic: TopicId, only_if_empty: bool, terms: Terms) -> EncodedCommand {
    DeleteTopic {
        topic,
        only_if_empty,
        terms,
    }
    .encode(3_000)
}

#[test]
fn nothing_is_deleted_in_the_place_of_another_topic_without_leave() {
    let mut behind = Behind::begin();
    behind.make("a");
    behind.send();
    let b = behind.make("b");
    behind.make("c");
    behind.done(delete(b, false, NO_TERMS));
    is_refused_for(&behind.without_the_frame(), "c");
}

#[test]
fn no_group_reads_another_topic_without_leave() {
    let mut behind = Behind::begin();
    behind.make("a");
    behind.send();
    let topic = behind.make("b");
    behind.make("c");
    let group = GroupId(0);
    behind.done(Subscribe { group, topic }.encode(3_000));
    is_refused_for(&behind.without_the_frame(), "c");
}

#[test]
fn a_topic_to_which_something_was_sent_by_name_is_sure() {
    let mut behind = Behind::begin();
    behind.send();
    // The workload sends to topics by their numbers.
    let topic = behind.make("topic-2");
    let at = TopicQueue {
        topic,
        queue: QueueId(0),
    };
    assert!(behind.driver.send_one(at, 10).is_some());
    let group = GroupId(0);
    behind.done(Subscribe { group, topic }.encode(3_000));
    let (told, reads) = repaired(&behind.without_the_frame(), |tables| {
        tables.subscription(group, topic).is_some()
    });
    assert!(told.is_empty() && reads, "{told:?}");
}

#[test]
fn a_message_that_is_lost_does_not_shift_topics_by_a_dead_letter_that_is_given_up() {
    let shifts = |has_letters: bool| {
        let mut behind = Behind::begin();
        behind.send();
        behind.loses_the_next();
        behind.send();
        behind.send();
        if has_letters {
            behind.bury();
        }
        let topic = behind.make("b");
        behind.make("c");
        let group = GroupId(0);
        behind.done(Subscribe { group, topic }.encode(3_000));
        behind.without_the_message()
    };
    is_refused_for(&shifts(true), "c");
    let io = shifts(false);
    let (told, reads) = repaired(&io, |tables| {
        let topic = tables.topic("b").unwrap().id;
        tables.subscription(GroupId(0), topic).is_some()
    });
    assert!(told.is_empty() && reads, "{told:?}");
}

#[test]
fn changes_that_stand_on_one_that_is_lost_are_told_as_lost() {
    let mut behind = Behind::begin();
    behind.done(put("topic-0", 1, at_generation(1)));
    behind.send();
    behind.done(put("topic-0", 700, at_generation(2)));
    let (told, generation) = repaired(&behind.without_the_frame(), |tables| {
        tables.topic("topic-0").unwrap().generation
    });
    assert_eq!(generation, 1);
    assert_eq!(
        told,
        ["topic topic-0: its settings are those of generation 1; changes up to generation 3 are lost"]
    );
}

#[test]
fn changes_of_a_group_and_deletions_are_told_too() {
    let mut behind = Behind::begin();
    let doomed = behind.make("doomed");
    behind.done(CreateGroup::on_first_use("readers").encode(3_000));
    behind.driver.opened.store.close().unwrap();
    behind.driver.opened = start(&behind.io).unwrap();
    behind.loses_the_next();
    let attempts = |max_attempts, generation| {
        let spec = GroupSpec {
            max_attempts,
            ..GroupSpec::on_first_use("readers")
        };
        let terms = at_generation(generation);
        PutGroup { spec, terms }.encode(3_000)
    };
    let both = [attempts(3, 1), put("doomed", 1, at_generation(1))];
    let answers = behind.driver.ask(both.into_iter().collect()).unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    behind.send();
    behind.done(attempts(4, 2));
    behind.done(delete(doomed, false, at_generation(2)));
    let (told, _) = repaired(&behind.without_the_frame(), |_| ());
    assert_eq!(
        told,
        [
            "topic doomed: it was deleted, and is there again",
            "group readers: its settings are those of generation 1; changes up to generation 3 are lost",
        ]
    );
}

#[test]
fn writes_under_a_fence_that_is_lost_are_told_and_those_of_a_writer_that_was_fenced_off_are_not() {
    let mut behind = Behind::begin();
    let fence = |holder: &str| {
        Fence {
            holder: holder.to_owned(),
        }
        .encode(3_000)
    };
    behind.done(fence("first"));
    behind.driver.opened.store.close().unwrap();
    behind.driver.opened = start(&behind.io).unwrap();
    behind.loses_the_next();
    behind.done(fence("second"));
    behind.send();
    let of_epoch = |epoch| Terms {
        expected_generation: None,
        epoch,
    };
    behind.done(put("topic-0", 5, of_epoch(2)));
    behind.done(fence("third"));
    let refused = behind.ask(put("topic-1", 6, of_epoch(1)));
    assert!(matches!(refused, Err(Refused::Epoch { .. })), "{refused:?}");
    let (told, _) = repaired(&behind.without_the_frame(), |_| ());
    assert_eq!(
        told,
        [
            "topic topic-0: its settings are those of generation 1; changes that came later may be lost, if they were not refused when they came"
        ]
    );
}

#[test]
fn what_was_refused_when_it_came_is_not_told_where_only_a_message_is_lost() {
    let mut behind = Behind::begin();
    behind.send();
    behind.loses_the_next();
    behind.send();
    let refused = behind.ask(put("topic-0", 1, at_generation(4)));
    assert!(matches!(refused, Err(Refused::Generation { .. })), "{refused:?}");
    let (told, _) = repaired(&behind.without_the_message(), |_| ());
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn a_deletion_that_only_the_lost_message_stood_against_is_told() {
    let mut behind = Behind::begin();
    let topic = behind.make("topic-2");
    behind.driver.opened.store.close().unwrap();
    behind.driver.opened = start(&behind.io).unwrap();
    behind.loses_the_next();
    let at = TopicQueue {
        topic,
        queue: QueueId(0),
    };
    assert!(behind.driver.send_one(at, 10).is_some());
    let refused = behind.ask(delete(topic, true, NO_TERMS));
    assert!(matches!(refused, Err(Refused::NotEmpty(1))), "{refused:?}");
    (0..2).for_each(|_| assert!(behind.driver.send_one(at, 10).is_some()));
    let (told, is_there) = repaired(&behind.without_the_message(), |tables| {
        tables.topic("topic-2").is_some()
    });
    assert!(!is_there);
    assert_eq!(told.len(), 1, "{told:?}");
    let of_two = "topic topic-2: it is deleted, and may not have been";
    assert!(told[0].starts_with(of_two), "{told:?}");
    assert!(told[0].ends_with("2 messages that were sent to it since are lost with it"));
}
