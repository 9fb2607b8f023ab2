//! What is told of a repair of state, part by part.

use super::loss::LostMessages;
use super::topics::Found;
use sluice_core::ids::{GroupId, GroupQueueId, QueueId, TopicId};
use sluice_core::state::{Salvaged, State, dead_letter_topic};
use std::collections::{BTreeMap, HashSet};

/// What takes the place of a part.
pub(super) fn in_words(part: &Salvaged, state: &State, topics: &BTreeMap<TopicId, Found>) -> String {
    let tables = state.tables();
    let topic = |id: TopicId| {
        let topic = tables.topic_by_id(id);
        topic.map_or_else(
            || format!("with the id {}", id.0),
            |topic| topic.spec.name.clone(),
        )
    };
    let group = |id| {
        let group = tables.group_by_id(id);
        group.map_or_else(|| format!("with the id {id}"), |group| group.spec.name.clone())
    };
    match part {
        Salvaged::Topic(id) => format!(
            "topic {}: what it takes, whether it is closed and how long it keeps messages is set again as by default; {}",
            topic(*id),
            of_queues(topics.get(id))
        ),
        Salvaged::EarlierTopic(id) => format!(
            "topic {}: its settings are those of an earlier checkpoint; {}",
            topic(*id),
            of_queues(topics.get(id))
        ),
        Salvaged::NoTopic(id) => {
            format!(
                "topic {}: nothing tells its name; it is gone with its messages, {} as its files tell, and with what groups held of it",
                topic(*id),
                topics.get(id).map_or(0, |found| found.known)
            ) + shifts(topics.get(id))
        }
        Salvaged::GroupOfLog(id) => format!(
            "group {}: its settings are those that the log tells, as far as that can be read",
            group(*id)
        ),
        Salvaged::EarlierGroup(id) => format!(
            "group {}: its settings are those of an earlier checkpoint",
            group(*id)
        ),
        Salvaged::NoGroup(id) => format!(
            "group {}: nothing tells its name; it is gone with its settings and its place. A group that is made again under its name begins where its settings say",
            group(*id)
        ),
        Salvaged::EarlierHold(id) => format!(
            "group {} in queue {} of topic {}: it gets again what it had done since an earlier checkpoint",
            group(id.group),
            id.at.queue.0,
            topic(id.at.topic)
        ),
        Salvaged::NewHold(id) => format!(
            "group {} in queue {} of topic {}: it gets all messages again",
            group(id.group),
            id.at.queue.0,
            topic(id.at.topic)
        ),
        Salvaged::Carried(at) => format!(
            "messages that retention has kept of queue {} of topic {}: found again in the log, as far as that can be read",
            at.queue.0,
            topic(at.topic)
        ),
    }
}

/// Groups that may not have what became a dead letter behind the checkpoint: the letter is refused then, and those that follow stand
/// at lower offsets, of which readers may have done what stood there before.
pub(super) fn refused_letters(
    dead: &BTreeMap<GroupQueueId, u64>,
    done: &[Salvaged],
    state: &State,
    topics: &BTreeMap<TopicId, Found>,
) -> Vec<String> {
    let lost_hold = |part: &Salvaged| match part {
        Salvaged::EarlierHold(id) | Salvaged::NewHold(id) => Some(*id),
        _ => None,
    };
    let lost_holds: HashSet<GroupQueueId> = done.iter().filter_map(lost_hold).collect();
    let is_other = |id: &GroupQueueId| {
        let found = topics.get(&id.at.topic);
        let queue = found.map(|found| found.queues.get(&id.at.queue.0));
        let is_moved = queue.is_some_and(|queue| queue.is_none_or(|decided| decided.is_moved));
        lost_holds.contains(id) || is_moved || found.is_some_and(|found| found.topic.name.is_none())
    };
    let mut by_group: BTreeMap<GroupId, u64> = BTreeMap::new();
    for (id, letters) in dead.iter().filter(|(id, _)| is_other(id)) {
        *by_group.entry(id.group).or_default() += letters;
    }
    let tables = state.tables();
    let told = by_group.into_iter().filter_map(|(group, letters)| {
        let group = &tables.group_by_id(group)?.spec.name;
        let name = dead_letter_topic(group);
        let topic = tables.topic(&name);
        let end = topic.and_then(|topic| topic.tail(QueueId(0))).unwrap_or_default();
        Some(format!(
            "dead letters of group {group}: up to {letters} of those behind the checkpoint are none any more, and their messages come to it again; those that followed them stand at lower offsets than before: move groups that read topic {name}, and are further, back to offset {end}"
        ))
    });
    told.collect()
}

/// What may come of a topic that is gone without a name.
fn shifts(found: Option<&Found>) -> &'static str {
    match found.is_some_and(|found| found.shifts) {
        true => {
            ". If it took dead letters behind the checkpoint, topics that were made there get other numbers, and messages of theirs may be lost or stand in another one: a backup is better"
        }
        false => "",
    }
}

/// How a topic's queues were put together.
fn of_queues(found: Option<&Found>) -> String {
    let Some(found) = found else {
        return "nothing tells of its queues".to_owned();
    };
    let queues = || found.queues.iter();
    let back: u64 = queues().map(|(_, decided)| decided.put_back.len() as u64).sum();
    let mut told = vec![match back {
        0 => format!(
            "of its {} queues all entries stand in their files",
            found.queues.len()
        ),
        back => format!(
            "in its {} queues {back} entries are put back from the log",
            found.queues.len()
        ),
    }];
    if back > 0 && found.may_have_been_closed {
        told.push("nothing tells whether it was closed where the log begins: what it refused then, if it was, stands there too".to_owned());
    }
    for (queue, decided) in queues() {
        if decided.is_moved {
            told.push(format!(
                "nothing tells where queue {queue} ended, or where each of its messages stood: it goes on at offset {}, behind all that it can have given, and the {} messages that the log has for it come again to all groups, with what it may have refused and what became a dead letter behind the checkpoint",
                decided.first,
                decided.put_back.len()
            ));
        }
        if decided.lost > 0 {
            told.push(format!(
                "of queue {queue} {} messages are lost: they have no place in it any more",
                decided.lost
            ));
        }
        if decided.may_be_lost > 0 {
            told.push(format!(
                "of queue {queue} {} dead letters may be lost: nothing tells whether they were accepted",
                decided.may_be_lost
            ));
        }
        if decided.unknown > 0 {
            told.push(format!(
                "at {} offsets of queue {queue} nobody knows what stood: groups stop there, and have to be moved past them",
                decided.unknown
            ));
        }
    }
    told.join("; ")
}

/// Messages that have no place any more.
pub(super) fn lost_messages(topics: &BTreeMap<TopicId, Found>) -> Vec<LostMessages> {
    let mut lost = Vec::new();
    for (id, found) in topics {
        let topic = found.topic.name.clone();
        let is_gone = topic.is_none();
        let topic = topic.unwrap_or_else(|| format!("with the id {}", id.0));
        if is_gone && found.known > 0 {
            lost.push(LostMessages {
                topic,
                queue: None,
                messages: found.known,
                offsets: None,
                groups: Vec::new(),
            });
            continue;
        }
        for (queue, decided) in found.queues.iter().filter(|(_, decided)| decided.lost > 0) {
            lost.push(LostMessages {
                topic: topic.clone(),
                queue: Some(*queue),
                messages: decided.lost,
                offsets: None,
                groups: Vec::new(),
            });
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::command::CreateGroup;
    use sluice_core::ids::{LogIndex, PhysicalOffset, TopicQueue};
    use sluice_core::state::CommandAt;

    #[test]
    fn dead_letters_that_a_lost_hold_refuses_are_told_with_the_way_back_and_no_others() {
        let mut state = State::new();
        let at = CommandAt {
            index: LogIndex(1),
            place: 0,
            physical: PhysicalOffset(0),
        };
        let group = CreateGroup::on_first_use("billing").encode(1);
        state.apply(at, group.as_bytes(), &mut ()).unwrap();
        let of_queue = |queue| GroupQueueId {
            group: GroupId(0),
            at: TopicQueue {
                topic: TopicId(0),
                queue: QueueId(queue),
            },
        };
        let dead = [(of_queue(0), 3), (of_queue(1), 4)].into();
        let told = |done: &[Salvaged]| refused_letters(&dead, done, &state, &BTreeMap::new());
        assert_eq!(told(&[]), Vec::<String>::new());
        let lost = told(&[Salvaged::NewHold(of_queue(0))]);
        assert_eq!(lost.len(), 1, "{lost:?}");
        for part in [
            "of group billing: up to 3 ",
            "read topic %DLQ%billing",
            "back to offset 0",
        ] {
            assert!(lost[0].contains(part), "{part}: {lost:?}");
        }
        let both = told(&[Salvaged::NewHold(of_queue(0)), Salvaged::EarlierHold(of_queue(1))]);
        assert!(both.len() == 1 && both[0].contains("up to 7 "), "{both:?}");
    }
}
