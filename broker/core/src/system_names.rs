//! Names that are RocketMQ's own: topics that no client sends to, and what no consumer group is called.

/// RocketMQ's own topics.
const TOPICS: [&str; 10] = [
    "TBW102",
    "SCHEDULE_TOPIC_XXXX",
    "BenchmarkTest",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "RMQ_SYS_TRACE_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
    "CHECKPOINT_TOPIC",
];
/// How the names of others begin, in any case.
const TOPIC_PREFIX: &str = "rmq_sys_";
/// How the names of its own groups begin.
const GROUP_PREFIX: &str = "CID_RMQ_SYS_";
const DEAD_LETTERS: &str = "%DLQ%";
const RETRIES: &str = "%RETRY%";

/// Whether the topic is one of RocketMQ's own. Those of groups are none of these.
pub fn is_system_topic(name: &str) -> bool {
    let start = name.get(..TOPIC_PREFIX.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(TOPIC_PREFIX)) || TOPICS.contains(&name)
}

/// `%DLQ%` or `%RETRY%`, if the name begins so.
pub fn group_topic_prefix(name: &str) -> Option<&'static str> {
    if !name.starts_with('%') {
        return None;
    }
    [DEAD_LETTERS, RETRIES]
        .into_iter()
        .find(|prefix| name.starts_with(prefix))
}

/// Why no consumer group of this name is made, if none is.
pub fn no_group(name: &str) -> Option<&'static str> {
    match group_topic_prefix(name) {
        Some(DEAD_LETTERS) => Some(
            "it is the name of a group's dead-letter topic, which the broker makes and any group can read: name the group that is to read it otherwise",
        ),
        Some(_) => Some(
            "RocketMQ has a group's retry topic under such a name; here messages are tried again in the topic that they were sent to: name the group itself",
        ),
        None if name.starts_with(GROUP_PREFIX) => Some("RocketMQ's own groups have such names"),
        None => None,
    }
}

/// As [`no_group`], for who makes groups before clients do: those are let have any other name, as by RocketMQ.
pub fn no_group_of_administrators(name: &str) -> Option<&'static str> {
    no_group(name).or_else(|| is_system_topic(name).then_some("RocketMQ's own topics have such names"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_group_is_made_under_a_name_of_the_systems() {
        for name in ["%DLQ%g", "%RETRY%g", "CID_RMQ_SYS_TRANS"] {
            assert!(no_group(name).is_some(), "{name}");
            assert!(no_group_of_administrators(name).is_some(), "{name}");
        }
        for name in [
            "TBW102",
            "SCHEDULE_TOPIC_XXXX",
            "rmq_sys_x",
            "RMQ_SYS_TRACE_TOPIC",
        ] {
            assert_eq!(
                no_group(name),
                None,
                "clients may use what RocketMQ lets them: {name}"
            );
            assert!(no_group_of_administrators(name).is_some(), "{name}");
        }
        for name in ["readers", "ns%readers", "a%DLQ%g", "%g", "CID_orders", "tbw102"] {
            assert_eq!(no_group_of_administrators(name), None, "{name}");
        }
    }
}
