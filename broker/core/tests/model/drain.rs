//! The end of a case: every group receives and acknowledges until nothing is left, and each message must have been
//! finished exactly once.

use super::machine::{Machine, id_of};
use super::receive::filter_of;
use super::reference::{At, Model};
use sluice_core::command::{Change, Deliver, SettleItem};
use sluice_core::entry::LINKED;
use std::collections::BTreeSet;

/// Longer than anything stays hidden.
const LONG: u64 = 24 * 3600 * 1000;

pub fn to_the_end<const FAULT: u8>(mut machine: Machine<FAULT>, model: &Model) {
    messages_stand_where_they_should(&machine, model);
    machine.node.restart();
    machine.cursors.clear();
    machine.wall = machine.node.state.now() + LONG;
    for round in 0.. {
        let left: Vec<At> = model
            .holds
            .keys()
            .copied()
            .filter(|at| waits(&machine, *at))
            .collect();
        if left.is_empty() {
            break;
        }
        assert!(round < 100, "{left:?} are never empty");
        left.into_iter()
            .for_each(|at| receive_and_acknowledge(&mut machine, model, at));
    }
    for at in model.holds.keys() {
        each_was_finished_once(&machine, model, *at);
    }
    machine.node.restart();
    machine.node.check_twin();
}

fn waits<const FAULT: u8>(machine: &Machine<FAULT>, at: At) -> bool {
    let (id, now) = (id_of(at), machine.wall);
    let lag = machine.look(id, |queue| queue.lag(machine.tail(id.at), now));
    assert_eq!(lag.in_flight, 0, "everything is visible again");
    lag.ready > 0
}

fn receive_and_acknowledge<const FAULT: u8>(machine: &mut Machine<FAULT>, model: &Model, at: At) {
    let id = id_of(at);
    let spec = &model.groups[at.0].1;
    let plan = machine.select(id, 32, spec);
    assert!(
        !plan.is_empty(),
        "something waits in {at:?}, and nothing is offered"
    );
    let deliver = Deliver {
        id,
        client: "last".to_owned(),
        attempt_id: 0,
        auto_renew: false,
        resume: false,
        standing: plan.standing,
        invisible_ms: 1000,
        taken: plan.offers.iter().map(|offer| offer.take).collect(),
        skipped: plan.skipped.clone(),
    };
    let (dead, delivered) = machine.deliver(&plan, &deliver, &filter_of(spec));
    assert!(dead.iter().all(|yes| *yes), "the dead are buried");
    assert_eq!(
        delivered.taken.len(),
        plan.offers.len(),
        "what is offered is there"
    );
    machine.applied(id, &plan, &dead, &delivered);
    let items: Vec<SettleItem> = delivered
        .taken
        .iter()
        .map(|(offset, _)| SettleItem {
            offset: *offset,
            delivery: delivered.delivery,
        })
        .collect();
    machine.settle_items(id, Change::Done, &items).unwrap();
}

fn each_was_finished_once<const FAULT: u8>(machine: &Machine<FAULT>, model: &Model, at: At) {
    let id = id_of(at);
    let tail = machine.tail(id.at);
    machine.look(id, |queue| {
        assert_eq!(queue.floor(), tail, "all of {at:?} is done");
        assert_eq!((queue.pending_len(), queue.deliveries().count()), (0, 0));
    });
    let entries = machine.node.queues.of(id.at);
    let filter = filter_of(&model.groups[at.0].1);
    for offset in model.holds[&at].start as u64..tail.0 {
        let count = machine.finished.get(&(id, offset)).copied().unwrap_or(0);
        let wanted = filter.may_take(&entries[offset as usize]);
        // What is buried here at the end the model does not know.
        let message = model.messages(at).get(offset as usize);
        if message.is_some_and(|message| message.gone) {
            let once = count <= 1 || model.holds[&at].moves > 0;
            assert!(
                once,
                "{offset} of {at:?}, which is gone, was finished {count} times"
            );
            continue;
        }
        if model.holds[&at].moves > 0 {
            assert!(count > 0 || !wanted, "{offset} of {at:?} was never finished");
            continue;
        }
        assert_eq!(
            count,
            u32::from(wanted),
            "how often {offset} of {at:?} was finished"
        );
    }
}

/// Every queue holds the messages that the model has there. Where each is written is compared after each step.
fn messages_stand_where_they_should<const FAULT: u8>(machine: &Machine<FAULT>, model: &Model) {
    let mut sent = BTreeSet::new();
    for linked in [false, true] {
        for (topic, queues) in model.topics.iter().enumerate() {
            for (queue, messages) in queues.queues.iter().enumerate() {
                let entries = machine.node.queues.of(id_of((0, topic, queue)).at);
                assert_eq!(entries.len(), messages.len());
                for (entry, message) in entries.iter().zip(messages).filter(|(_, m)| m.linked == linked) {
                    assert_eq!(entry.flags & LINKED != 0, linked, "message {}", message.number);
                    sent.insert(message.number);
                }
            }
        }
    }
    assert_eq!(
        sent.len() as u64,
        model.sent - model.turned_away,
        "each message stands somewhere"
    );
}
