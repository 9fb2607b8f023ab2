//! What clients may say: names, and the parts of a message. Checked once, here; inside nothing is checked again.

use super::reserved;
use crate::budget::Exceeded;
use crate::units;
use sluice_core::excerpt::excerpt;
use sluice_core::limits;
use sluice_core::plan::FilterError;
use sluice_proto::v2;
use std::time::Duration;
use thiserror::Error;

/// Names of RocketMQ's own topics, which no client may use.
const SYSTEM_TOPICS: [&str; 10] = [
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
const SYSTEM_PREFIX: &str = "rmq_sys_";
/// How the names of a group's dead-letter and retry topics begin.
const GROUP_TOPIC_PREFIXES: [&str; 2] = ["%DLQ%", "%RETRY%"];
const MESSAGE_GROUP_BYTES_MAX: usize = 63;

/// Why a request cannot be followed. What the client is told is in [`super::status`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Invalid {
    /// More parts than one request may have.
    #[error("the request has {count} {what}: at most {max} are taken, send the others by further requests")]
    TooMany {
        /// Parts of which kind.
        what: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// No `x-mq-client-id`.
    #[error("the header x-mq-client-id is missing or blank")]
    ClientId,
    /// A field that must be there is not, or is malformed.
    #[error("{0}")]
    Request(&'static str),
    /// A topic's name.
    #[error("{0}")]
    Topic(String),
    /// A group's name.
    #[error("{0}")]
    Group(String),
    /// The access point.
    #[error("the access point is malformed: {0}")]
    Endpoints(&'static str),
    /// A broker that this one is not.
    #[error("there is no broker '{0}' here")]
    Broker(String),
    /// Messages of several topics, or none; a body that does not fit its digest.
    #[error("{0}")]
    Corrupted(&'static str),
    /// A message's id.
    #[error("the message id is blank or has control characters")]
    MessageId,
    /// A tag.
    #[error("the tag is blank, or has '|' or control characters")]
    Tag,
    /// A key.
    #[error("a message key is blank or has control characters")]
    Key,
    /// A message group.
    #[error(
        "the message group is blank, longer than {MESSAGE_GROUP_BYTES_MAX} bytes, or has control characters"
    )]
    MessageGroup,
    /// A user property.
    #[error("user property '{name}' {reason}")]
    Property {
        /// Its name, or the beginning of it.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Too many properties, or too long ones.
    #[error(
        "the message has {count} user properties of {bytes} bytes: at most {} of {} bytes are taken",
        limits::USER_PROPERTIES_MAX,
        limits::USER_PROPERTIES_BYTES_MAX
    )]
    Properties {
        /// How many.
        count: usize,
        /// Names and values.
        bytes: usize,
    },
    /// Properties, keys and ids together.
    #[error(
        "the message's properties take {bytes} bytes: at most {} are taken",
        limits::PROPERTIES_BYTES_MAX
    )]
    StoredProperties {
        /// As stored.
        bytes: usize,
    },
    /// No body.
    #[error("the message has no body")]
    BodyEmpty,
    /// A body beyond the limit.
    #[error("the message's body has {bytes} bytes: at most {max} are taken")]
    BodyTooLarge {
        /// Its bytes.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The topic does not take such messages.
    #[error("topic '{topic}' does not take messages of type {kind}")]
    Type {
        /// The topic.
        topic: String,
        /// The message's type.
        kind: &'static str,
    },
    /// A type that no version of the protocol has.
    #[error("message type {0} is not known: take that of the topic, NORMAL (1) or FIFO (2)")]
    TypeUnknown(i32),
    /// A message that is to be in order, and not of what.
    #[error("the message is of type FIFO and has no message group: give it one, or send it as NORMAL")]
    NoMessageGroup,
    /// A tag expression.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A filter that is not by tag.
    #[error("this broker filters by tag only")]
    FilterType,
    /// An invisible duration out of its bounds.
    #[error(
        "the invisible duration is not between {} and {}",
        units::write(Duration::from_millis(*min_ms)),
        units::write(Duration::from_millis(limits::INVISIBLE_MS_MAX))
    )]
    Invisible {
        /// The shortest.
        min_ms: u64,
    },
    /// No invisible duration where one is to be changed.
    #[error("the new invisible duration is missing")]
    InvisibleMissing,
    /// A receipt handle that settles nothing.
    #[error("the receipt handle is malformed, of another group or topic, or its delivery is over")]
    Handle,
    /// A client that has not introduced itself.
    #[error("the client has sent no settings over telemetry")]
    UnknownClient,
    /// As many clients as may be.
    #[error("{0} clients are connected already")]
    ClientsFull(usize),
    /// As many bytes of settings as may be.
    #[error(
        "{0} bytes of settings are kept already, of all clients together: announce less, or try again later"
    )]
    SettingsFull(usize),
    /// As many bytes on their way as may be.
    #[error("{0} bytes of messages are on their way already: send again after a moment")]
    Overload(usize),
    /// As many bytes on their way as one client may have.
    #[error("{0} bytes of this client's messages are on their way already: send again after a moment")]
    OwnOverload(usize),
    /// A call that this broker does not know.
    #[error("this broker does not implement {0}")]
    NotImplemented(&'static str),
}

impl From<Exceeded> for Invalid {
    fn from(exceeded: Exceeded) -> Self {
        match exceeded {
            Exceeded::All(max) => Self::Overload(max),
            Exceeded::Own(max) => Self::OwnOverload(max),
        }
    }
}

/// How many parts a request has: each costs more here than on its way.
pub fn count(what: &'static str, count: usize, max: usize) -> Result<(), Invalid> {
    if count > max {
        return Err(Invalid::TooMany { what, count, max });
    }
    Ok(())
}

/// A topic that clients send to.
pub fn topic_name(name: &str) -> Result<(), Invalid> {
    if is_group_topic(name) {
        return Err(Invalid::Topic(format!(
            "topic '{}' is the broker's own: nothing can be sent to it",
            excerpt(name)
        )));
    }
    known_characters("topic", name, limits::TOPIC_NAME_MAX).map_err(Invalid::Topic)?;
    let lower = name
        .get(..SYSTEM_PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(SYSTEM_PREFIX));
    if lower || SYSTEM_TOPICS.contains(&name) {
        return Err(Invalid::Topic(format!("topic '{name}' is one of the system's")));
    }
    Ok(())
}

/// A topic that clients receive from: also a group's dead-letter topic.
pub fn readable_topic_name(name: &str) -> Result<(), Invalid> {
    if is_group_topic(name) {
        known_characters("topic", name, limits::SYSTEM_TOPIC_NAME_MAX).map_err(Invalid::Topic)
    } else {
        topic_name(name)
    }
}

/// A consumer group.
pub fn group_name(name: &str) -> Result<(), Invalid> {
    known_characters("consumer group", name, limits::GROUP_NAME_MAX).map_err(Invalid::Group)
}

/// A namespace that is not empty. It begins with no '%', or its topics would pass for those of a group.
pub fn namespace(name: &str) -> Result<(), String> {
    if name.starts_with('%') {
        return Err(format!("the namespace '{}' begins with '%'", excerpt(name)));
    }
    known_characters("namespace", name, limits::TOPIC_NAME_MAX)
}

/// Whether the topic belongs to a group, and is made by the broker alone.
pub fn is_group_topic(name: &str) -> bool {
    group_topic_prefix(name).is_some()
}

/// `%DLQ%` or `%RETRY%`, if the name begins so.
pub fn group_topic_prefix(name: &str) -> Option<&'static str> {
    if !name.starts_with('%') {
        return None;
    }
    GROUP_TOPIC_PREFIXES
        .into_iter()
        .find(|prefix| name.starts_with(prefix))
}

fn known_characters(what: &str, name: &str, max: usize) -> Result<(), String> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'%' | b'|' | b'_' | b'-');
    if name.is_empty() {
        Err(format!("the name of the {what} is missing"))
    } else if name.len() > max {
        Err(format!(
            "the name of the {what} has {} characters: at most {max} are taken",
            name.len()
        ))
    } else if !name.bytes().all(known) {
        Err(format!(
            "the name of the {what} '{name}' has other characters than letters, digits, '%', '|', '_', '-'"
        ))
    } else {
        Ok(())
    }
}

/// What of a message can be judged without its topic.
pub fn message(message: &v2::Message, body_max: usize) -> Result<(), Invalid> {
    let Some(system) = &message.system_properties else {
        return Err(Invalid::MessageId);
    };
    if !is_plain(&system.message_id) {
        return Err(Invalid::MessageId);
    }
    body(message, body_max)?;
    if let Some(tag) = &system.tag
        && (!is_plain(tag) || tag.contains('|'))
    {
        return Err(Invalid::Tag);
    }
    if !system.keys.iter().all(|key| is_plain(key)) {
        return Err(Invalid::Key);
    }
    if let Some(group) = &system.message_group
        && (!is_plain(group) || group.len() > MESSAGE_GROUP_BYTES_MAX)
    {
        return Err(Invalid::MessageGroup);
    }
    if system.trace_context.as_deref().is_some_and(has_control) {
        return Err(Invalid::Request("the trace context has control characters"));
    }
    if !message.user_properties.is_empty() {
        user_properties(message)?;
    }
    Ok(())
}

fn body(message: &v2::Message, max: usize) -> Result<(), Invalid> {
    let bytes = message.body.len();
    if bytes == 0 {
        return Err(Invalid::BodyEmpty);
    }
    if bytes > max {
        return Err(Invalid::BodyTooLarge { bytes, max });
    }
    let encoding = message
        .system_properties
        .as_ref()
        .map_or(0, |system| system.body_encoding);
    if encoding == v2::Encoding::Gzip as i32 {
        return Err(Invalid::Request("the body's encoding is GZIP: send it as it is"));
    }
    Ok(())
}

fn user_properties(message: &v2::Message) -> Result<(), Invalid> {
    let mut bytes = 0;
    for (name, value) in &message.user_properties {
        let refuse = |reason| {
            Err(Invalid::Property {
                name: excerpt(name).into_owned(),
                reason,
            })
        };
        if name.trim().is_empty() {
            return refuse("has a blank name");
        }
        if reserved::is_reserved(name) {
            return refuse("has a name that the system uses");
        }
        if has_control(name) || has_control(value) {
            return refuse("has control characters");
        }
        bytes += name.len() + value.len();
    }
    let count = message.user_properties.len();
    if count > limits::USER_PROPERTIES_MAX || bytes > limits::USER_PROPERTIES_BYTES_MAX {
        return Err(Invalid::Properties { count, bytes });
    }
    Ok(())
}

/// Not blank, and without control characters.
fn is_plain(text: &str) -> bool {
    !text.trim().is_empty() && !has_control(text)
}

pub(super) fn has_control(text: &str) -> bool {
    // Control characters beyond ASCII are U+0080 to U+009F: two bytes, of which the first is 0xC2.
    text.bytes()
        .any(|byte| byte < 0x20 || byte == 0x7f || byte == 0xc2)
        && text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY_MAX: usize = 1000;

    fn valid() -> v2::Message {
        v2::Message {
            system_properties: Some(v2::SystemProperties {
                message_id: "01AB".into(),
                ..Default::default()
            }),
            body: "x".into(),
            ..Default::default()
        }
    }

    fn refusal(change: impl FnOnce(&mut v2::Message, &mut v2::SystemProperties)) -> Option<Invalid> {
        let mut message = valid();
        let mut system = message.system_properties.take().unwrap();
        change(&mut message, &mut system);
        message.system_properties = Some(system);
        super::message(&message, BODY_MAX).err()
    }

    #[test]
    fn topics_have_rocketmqs_names() {
        for name in ["a", "orders_1", "ns%orders", "a|b-c", &"x".repeat(127)] {
            assert_eq!(topic_name(name), Ok(()), "{name}");
        }
        let long = "x".repeat(128);
        for name in [
            "",
            " ",
            "a b",
            "größe",
            "a.b",
            &long,
            "TBW102",
            "rmq_sys_x",
            "RMQ_SYS_x",
            "%DLQ%g",
            "%RETRY%g",
        ] {
            assert!(matches!(topic_name(name), Err(Invalid::Topic(_))), "{name}");
        }
        assert_eq!(readable_topic_name("%DLQ%group"), Ok(()));
        assert_eq!(readable_topic_name(&format!("%DLQ%{}", "g".repeat(250))), Ok(()));
        assert!(readable_topic_name(&format!("%DLQ%{}", "g".repeat(251))).is_err());
        assert!(readable_topic_name("TBW102").is_err());
    }

    #[test]
    fn groups_have_rocketmqs_names() {
        assert_eq!(group_name(&"g".repeat(120)), Ok(()));
        for name in ["", "a b", &"g".repeat(121)] {
            assert!(matches!(group_name(name), Err(Invalid::Group(_))), "{name}");
        }
    }

    #[test]
    fn what_a_refusal_quotes_is_cut() {
        let long = "g".repeat(1 << 20);
        let property = refusal(|message, _| {
            let name = format!("TIMER_{long}");
            drop(message.user_properties.insert(name, "v".into()));
        });
        for text in [
            topic_name(&format!("%DLQ%{long}")).unwrap_err().to_string(),
            namespace(&format!("%{long}")).unwrap_err(),
            property.unwrap().to_string(),
        ] {
            assert!(text.contains("ggg…'") && text.len() < 400, "{} bytes", text.len());
        }
    }

    #[test]
    fn a_message_with_all_its_parts_passes() {
        let found = refusal(|message, system| {
            system.tag = Some("red".into());
            system.keys = vec!["a".into(), "ä ö".into()];
            system.message_group = Some("g".repeat(63));
            system.trace_context = Some("00-1-2-01".into());
            message.user_properties.insert("colour".into(), "grün".into());
            message.user_properties.insert("_TRACE_ID".into(), "1".into());
            message.body = vec![1; BODY_MAX].into();
        });
        assert_eq!(found, None);
    }

    #[test]
    fn each_fault_of_a_message_is_told_apart() {
        assert_eq!(
            refusal(|_, system| system.message_id = " ".into()),
            Some(Invalid::MessageId)
        );
        assert_eq!(
            refusal(|message, _| message.body = "".into()),
            Some(Invalid::BodyEmpty)
        );
        let large = Invalid::BodyTooLarge {
            bytes: BODY_MAX + 1,
            max: BODY_MAX,
        };
        assert_eq!(
            refusal(|message, _| message.body = vec![1; BODY_MAX + 1].into()),
            Some(large)
        );
        for tag in ["", " ", "a|b", "a\nb", "a\u{1}"] {
            assert_eq!(
                refusal(|_, system| system.tag = Some(tag.into())),
                Some(Invalid::Tag),
                "{tag:?}"
            );
        }
        for key in ["", " ", "a\tb", "a\u{85}"] {
            assert_eq!(
                refusal(|_, system| system.keys = vec!["k".into(), key.into()]),
                Some(Invalid::Key),
                "{key:?}"
            );
        }
        for group in ["", "\t", &"g".repeat(64)] {
            let found = refusal(|_, system| system.message_group = Some(group.into()));
            assert_eq!(found, Some(Invalid::MessageGroup), "{group:?}");
        }
        for name in ["", "UNIQ_KEY", "TIMER_DELAY_MS", "DLQ_ORIGIN_TOPIC", "a\u{2}"] {
            let found = refusal(|message, _| drop(message.user_properties.insert(name.into(), "v".into())));
            assert!(matches!(found, Some(Invalid::Property { .. })), "{name:?}");
        }
        let value = refusal(|message, _| drop(message.user_properties.insert("a".into(), "\u{1}".into())));
        assert!(matches!(value, Some(Invalid::Property { .. })));
        assert!(matches!(
            refusal(|message, _| message.user_properties =
                (0..129).map(|n| (n.to_string(), String::new())).collect()),
            Some(Invalid::Properties { count: 129, .. })
        ));
        assert!(matches!(
            refusal(|message, _| drop(message.user_properties.insert("a".into(), "v".repeat(16 * 1024)))),
            Some(Invalid::Properties { count: 1, .. })
        ));
        assert!(matches!(
            refusal(|_, system| system.body_encoding = v2::Encoding::Gzip.into()),
            Some(Invalid::Request(_))
        ));
    }
}
