//! Comparing what the machine did and holds with the model.

use super::machine::{Machine, id_of};
use super::reference::{At, Held, Model, Planned};
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{QueueOffset, TopicQueue};
use sluice_core::plan::{Offer, Plan, TagFilter};
use sluice_core::state::{Delivered, GroupQueue};

/// What a receive was offered.
pub fn plan(planned: &Planned, plan: &Plan, resume: bool) {
    let offsets = |offers: &[Offer]| -> Vec<usize> {
        let offsets = offers.iter().map(|offer| offer.take.offset.0 as usize);
        offsets.collect()
    };
    assert_eq!(resume, planned.resume, "whether an attempt is repeated");
    assert_eq!(
        offsets(&plan.dead),
        planned.dead,
        "out of attempts, of {:?}",
        planned.at
    );
    assert_eq!(
        offsets(&plan.offers),
        planned.offers,
        "offered, of {:?}",
        planned.at
    );
}

/// Order within message groups, without the model: what goes out has nothing of its message group before it that the
/// group wants and that is not done, unless that goes out with it or is given up.
pub fn order(
    before: &GroupQueue,
    entries: &[QueueEntry],
    delivered: &Delivered,
    dead: &[Offer],
    filter: &TagFilter,
) {
    if !before.is_fifo() {
        return;
    }
    let goes = |offset| {
        delivered.taken.iter().any(|(taken, _)| *taken == offset)
            || dead.iter().any(|offer| offer.take.offset == offset)
    };
    for (offset, _) in &delivered.taken {
        for earlier in (before.floor().0..offset.0).map(QueueOffset) {
            let entry = &entries[earlier.0 as usize];
            let same = entry.group_hash == entries[offset.0 as usize].group_hash;
            let waits =
                before.is_fresh(earlier) && filter.may_take(entry) || before.pending(earlier).is_some();
            assert!(
                !same || !waits || goes(earlier),
                "{offset} goes out before {earlier}"
            );
        }
    }
}

/// Everything that the model knows.
pub fn state<const FAULT: u8>(machine: &Machine<FAULT>, model: &Model) {
    assert_eq!(machine.node.state.now(), model.now, "time");
    let tables = machine.node.state.tables();
    let living = || model.topics.iter().enumerate().filter(|(_, topic)| !topic.gone);
    assert_eq!(tables.all_topics().len(), living().count(), "topics");
    assert_eq!(tables.all_groups().len(), model.living_groups().count(), "groups");
    for (number, topic) in living() {
        for (queue, messages) in topic.queues.iter().enumerate() {
            let at: TopicQueue = id_of((0, number, queue)).at;
            assert_eq!(machine.tail(at).0 as usize, messages.len(), "the end of {at:?}");
            (0..messages.len()).for_each(|offset| machine.check_kept(model, at, (number, queue, offset)));
            let put = machine.node.queues.of(at).iter().map(|entry| entry.put_ms);
            assert!(put.is_sorted(), "put times of {at:?}");
        }
    }
    assert_eq!(tables.all_subscriptions().is_empty(), model.holds.is_empty());
    for at in model.holds.keys() {
        machine.look(id_of(*at), |queue| hold(machine, model, *at, queue));
    }
}

/// One group's place in one queue.
fn hold<const FAULT: u8>(machine: &Machine<FAULT>, model: &Model, at: At, queue: &GroupQueue) {
    let (mut ready, mut in_flight, mut unwanted) = (0, 0, 0);
    for offset in model.holds[&at].start..model.messages(at).len() {
        let fresh = queue.is_fresh(QueueOffset(offset as u64));
        let found = queue.pending(QueueOffset(offset as u64));
        let held = model.pending(at, offset);
        let expected = held.map(|held| (held.until, machine.deliveries[held.token], held.attempt));
        let actual = found.map(|found| (found.visible_at, found.delivery, found.attempt));
        assert_eq!(actual, expected, "who holds {offset} of {at:?}");
        if let (Some(held), Some(found)) = (held, found) {
            let delivery = queue.delivery(found.delivery).unwrap();
            let client = (&*delivery.client, delivery.auto_renew);
            assert_eq!(client, (format!("client-{}", held.client).as_str(), held.renewed));
        }
        let is_held = |held: Held| held.until > model.now;
        if !model.wants(at, offset) {
            // Passed over by some receive, or not yet.
            unwanted += 1;
            continue;
        }
        assert_eq!(
            fresh,
            model.is_fresh(at, offset),
            "whether {offset} of {at:?} is fresh"
        );
        in_flight += u64::from(held.is_some_and(is_held));
        ready += u64::from(fresh || held.is_some_and(|held| !is_held(held)));
    }
    if model.groups[at.0].1.filter.is_none() {
        assert_eq!(queue.expired(), model.holds[&at].expired, "expired, of {at:?}");
    }
    let lag = queue.lag(machine.tail(id_of(at).at), model.now);
    assert_eq!(lag.in_flight, in_flight, "in flight, of {at:?}");
    let bounds = ready..=ready + unwanted;
    assert!(
        bounds.contains(&lag.ready),
        "{} ready of {at:?}, not {bounds:?}",
        lag.ready
    );
}
