//! Topics.

use crate::service::validate::is_group_topic;
use sluice_core::command::{MessageKind, Types};
use sluice_core::state::Topic;
use sluice_proto::admin::{self, TopicType};

/// A topic as the API has it.
pub fn topic(topic: &Topic) -> admin::Topic {
    let spec = admin::TopicSpec {
        queues: topic.spec.queues,
        types: types(topic.spec.types),
        closed: topic.spec.closed,
    };
    admin::Topic {
        name: topic.spec.name.clone(),
        spec: Some(spec),
        generation: topic.generation,
        id: topic.id.0,
        system: is_group_topic(&topic.spec.name),
    }
}

fn types(types: Types) -> Vec<i32> {
    [
        (MessageKind::Normal, TopicType::Normal),
        (MessageKind::Fifo, TopicType::Fifo),
    ]
    .into_iter()
    .filter(|(kind, _)| types.take(*kind))
    .map(|(_, named)| named.into())
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_one_by_one() {
        assert_eq!(types(Types::NORMAL), [TopicType::Normal as i32]);
        assert_eq!(types(Types::FIFO), [TopicType::Fifo as i32]);
        assert_eq!(
            types(Types::ALL),
            [TopicType::Normal as i32, TopicType::Fifo as i32]
        );
    }
}
