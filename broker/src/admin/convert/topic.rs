//! Topics.

use crate::admin::status::Wrong;
use crate::service::validate::is_group_topic;
use sluice_core::command::{MessageKind, PutTopic, Terms, TopicSpec, Types};
use sluice_core::limits;
use sluice_core::state::Topic;
use sluice_core::units::write_size;
use sluice_proto::admin::{self, TopicType};

const TYPES: [(MessageKind, Types, TopicType); 2] = [
    (MessageKind::Normal, Types::NORMAL, TopicType::Normal),
    (MessageKind::Fifo, Types::FIFO, TopicType::Fifo),
];

/// A topic as the API has it.
pub fn topic(topic: &Topic) -> admin::Topic {
    let spec = admin::TopicSpec {
        queues: topic.spec.queues,
        types: types(topic.spec.types),
        closed: topic.spec.closed,
        retention_hours: topic.spec.retention_hours,
        retention_bytes: topic.spec.retention_bytes,
    };
    admin::Topic {
        name: topic.spec.name.clone(),
        spec: Some(spec),
        generation: topic.generation,
        id: topic.id.0,
        system: is_group_topic(&topic.spec.name),
    }
}

/// The command that gives a topic this specification.
pub fn put(name: &str, spec: &admin::TopicSpec, terms: Terms) -> Result<PutTopic, Wrong> {
    if spec.queues > limits::QUEUES_MAX {
        return Err(Wrong::Spec(format!(
            "topic '{name}' cannot have {} queues: ask for 1 to {}",
            spec.queues,
            limits::QUEUES_MAX
        )));
    }
    if spec.retention_hours > limits::RETENTION_HOURS_MAX {
        return Err(Wrong::Spec(format!(
            "topic '{name}' cannot be kept for {} hours: ask for at most {}, or for 0, which is as long as the broker keeps any",
            spec.retention_hours,
            limits::RETENTION_HOURS_MAX
        )));
    }
    let kept = limits::RETENTION_BYTES_MIN..=limits::RETENTION_BYTES_MAX;
    if spec.retention_bytes > 0 && !kept.contains(&spec.retention_bytes) {
        return Err(Wrong::Spec(format!(
            "topic '{name}' cannot keep {} of messages at most: ask for {} to {}, or for 0, which is any number",
            write_size(spec.retention_bytes),
            write_size(*kept.start()),
            write_size(*kept.end())
        )));
    }
    let keep_queues = spec.queues == 0;
    Ok(PutTopic {
        spec: TopicSpec {
            name: name.to_owned(),
            queues: if keep_queues {
                limits::QUEUES_DEFAULT
            } else {
                spec.queues
            },
            types: taken(name, &spec.types)?,
            closed: spec.closed,
            retention_hours: spec.retention_hours,
            retention_bytes: spec.retention_bytes,
        },
        keep_queues,
        terms,
    })
}

fn types(types: Types) -> Vec<i32> {
    let taken = TYPES.into_iter().filter(|(kind, ..)| types.take(*kind));
    taken.map(|(.., named)| named.into()).collect()
}

fn taken(topic: &str, named: &[i32]) -> Result<Types, Wrong> {
    let known = |number: &i32| {
        let found = TYPES.into_iter().find(|(.., named)| *named as i32 == *number);
        found.map(|(_, types, _)| types).ok_or_else(|| {
            let known = TYPES.map(|(.., named)| named.as_str_name()).join(" and ");
            Wrong::Spec(format!(
                "topic '{topic}' cannot have the type {number}: this broker takes {known}"
            ))
        })
    };
    named
        .iter()
        .try_fold(None, |all: Option<Types>, number| {
            let one = known(number)?;
            Ok(Some(all.map_or(one, |all| all.with(one))))
        })
        .map(|all| all.unwrap_or(Types::ALL))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NORMAL: i32 = TopicType::Normal as i32;
    const FIFO: i32 = TopicType::Fifo as i32;

    fn command(queues: u32, types: &[i32]) -> Result<PutTopic, Wrong> {
        let spec = admin::TopicSpec {
            queues,
            types: types.to_vec(),
            closed: true,
            ..admin::TopicSpec::default()
        };
        put("orders", &spec, Terms::default())
    }

    #[test]
    fn types_are_told_one_by_one_and_read_back() {
        for (named, taken) in [
            (&[NORMAL][..], Types::NORMAL),
            (&[FIFO], Types::FIFO),
            (&[NORMAL, FIFO], Types::ALL),
        ] {
            assert_eq!(types(taken), named);
            assert_eq!(command(1, named).unwrap().spec.types, taken);
        }
        assert_eq!(command(1, &[]).unwrap().spec.types, Types::ALL);
        assert_eq!(command(1, &[FIFO, FIFO]).unwrap().spec.types, Types::FIFO);
    }

    #[test]
    fn no_number_of_queues_is_that_of_a_new_topic_or_the_one_there_is() {
        let put = command(0, &[]).unwrap();
        assert_eq!((put.spec.queues, put.keep_queues), (4, true));
        let put = command(9, &[]).unwrap();
        assert_eq!(
            (put.spec.queues, put.keep_queues, put.spec.closed),
            (9, false, true)
        );
    }

    fn kept(retention_hours: u32, retention_bytes: u64) -> Result<PutTopic, Wrong> {
        let spec = admin::TopicSpec {
            retention_hours,
            retention_bytes,
            ..admin::TopicSpec::default()
        };
        put("orders", &spec, Terms::default())
    }

    #[test]
    fn how_long_and_how_much_is_kept_is_taken_within_bounds() {
        for (hours, bytes) in [(0, 0), (1, 1 << 20), (876_000, 1 << 50)] {
            let spec = kept(hours, bytes).unwrap().spec;
            assert_eq!((spec.retention_hours, spec.retention_bytes), (hours, bytes));
        }
        for (hours, bytes, part) in [
            (876_001, 0, "for 876001 hours: ask for at most 876000"),
            (
                0,
                1,
                "keep 1B of messages at most: ask for 1MiB to 1PiB, or for 0",
            ),
            (0, (1 << 20) - 1, "1048575B"),
            (0, (1 << 50) + 1, "1125899906842625B"),
        ] {
            let refusal = kept(hours, bytes).unwrap_err().to_string();
            assert!(
                refusal.contains(part) && refusal.contains("'orders'"),
                "{refusal}"
            );
        }
    }

    #[test]
    fn what_no_topic_can_be_is_refused_with_what_it_can_be() {
        for (queues, types, part) in [
            (4097, &[][..], "1 to 4096"),
            (
                1,
                &[0],
                "type 0: this broker takes TOPIC_TYPE_NORMAL and TOPIC_TYPE_FIFO",
            ),
            (1, &[NORMAL, 7], "type 7"),
        ] {
            let refusal = command(queues, types).unwrap_err().to_string();
            assert!(
                refusal.contains(part) && refusal.contains("'orders'"),
                "{refusal}"
            );
        }
    }
}
