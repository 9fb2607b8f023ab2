//! What a Topic asks the broker for, and what to make of a topic that is there.

use sluice_operator_api::TopicSpec as Resource;
use sluice_operator_api::topic::{Access, MessageType};
use sluice_proto::admin::{TopicSpec, TopicType};

/// The broker's words for it. No number of queues is 0: as many as there are, or the broker's default.
pub fn wanted(resource: &Resource) -> Result<TopicSpec, String> {
    let queues = resource.queues.unwrap_or(0);
    let queues = u32::try_from(queues)
        .map_err(|_| format!("spec.queues is {queues}; give 1 to 4096, or leave it out"))?;
    let types = match resource.message_type {
        MessageType::Normal => vec![TopicType::Normal],
        MessageType::Fifo => vec![TopicType::Fifo],
        MessageType::Mixed => vec![TopicType::Normal, TopicType::Fifo],
    };
    Ok(TopicSpec {
        queues,
        types: types.into_iter().map(i32::from).collect(),
        closed: resource.producers == Access::Closed,
        retention_hours: 0,
    })
}

/// Queues never become fewer: a topic that has more keeps them.
pub fn difference(wanted: &TopicSpec, present: &TopicSpec) -> Option<TopicSpec> {
    let target = TopicSpec {
        queues: wanted.queues.max(present.queues),
        // The resource does not say it: whoever does keeps it.
        retention_hours: present.retention_hours,
        ..wanted.clone()
    };
    let same = target.queues == present.queues
        && target.closed == present.closed
        && kinds(&target.types) == kinds(&present.types);
    (!same).then_some(target)
}

/// In one order; none is everything that a broker takes.
fn kinds(types: &[i32]) -> Vec<i32> {
    let mut kinds = types.to_vec();
    if kinds.is_empty() {
        kinds = vec![TopicType::Normal.into(), TopicType::Fifo.into()];
    }
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(queues: u32, types: &[i32], closed: bool) -> TopicSpec {
        TopicSpec {
            queues,
            types: types.to_vec(),
            closed,
            retention_hours: 0,
        }
    }

    #[test]
    fn a_resource_is_said_in_the_brokers_words() {
        for (yaml, wanted_spec) in [
            ("clusterRef: {name: main}", spec(0, &[1], false)),
            (
                "{clusterRef: {name: main}, messageType: Fifo, queues: 8}",
                spec(8, &[2], false),
            ),
            (
                "{clusterRef: {name: main}, messageType: Mixed, producers: Closed}",
                spec(0, &[1, 2], true),
            ),
        ] {
            let resource: Resource = serde_yaml::from_str(yaml).unwrap();
            assert_eq!(wanted(&resource).unwrap(), wanted_spec, "{yaml}");
        }
        let negative = serde_yaml::from_str("{clusterRef: {name: main}, queues: -1}").unwrap();
        assert!(wanted(&negative).unwrap_err().contains("spec.queues is -1"));
    }

    #[test]
    fn a_topic_grows_opens_and_closes_and_never_shrinks() {
        for (name, wanted, present, made) in [
            ("same", spec(8, &[1], false), spec(8, &[1], false), None),
            (
                "grows",
                spec(8, &[1], false),
                spec(4, &[1], false),
                Some(spec(8, &[1], false)),
            ),
            ("has more", spec(4, &[1], false), spec(8, &[1], false), None),
            ("any number", spec(0, &[1], false), spec(8, &[1], false), None),
            (
                "closes, and has more",
                spec(4, &[1], true),
                spec(8, &[1], false),
                Some(spec(8, &[1], true)),
            ),
            (
                "opens",
                spec(0, &[1], false),
                spec(8, &[1], true),
                Some(spec(8, &[1], false)),
            ),
            (
                "another type",
                spec(0, &[2], false),
                spec(8, &[1], false),
                Some(spec(8, &[2], false)),
            ),
            ("everything", spec(0, &[2, 1], false), spec(8, &[], false), None),
        ] {
            assert_eq!(difference(&wanted, &present), made, "{name}");
        }
    }
}
