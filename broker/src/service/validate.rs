//! What clients may say: names, and the parts of a message. Checked once, here; inside nothing is checked again.

use super::body_max::BodyMax;
use super::invalid::Invalid;
use super::reserved;
use sluice_core::excerpt::excerpt;
use sluice_core::limits;
use sluice_core::names;
use sluice_core::system_names::{group_topic_prefix, is_system_topic};
use sluice_proto::v2;

/// Bytes of a message group's name.
pub(super) const MESSAGE_GROUP_BYTES_MAX: usize = 63;

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
    names::check("topic", name, limits::TOPIC_NAME_MAX).map_err(Invalid::Topic)?;
    if is_system_topic(name) {
        return Err(Invalid::Topic(format!("topic '{name}' is one of the system's")));
    }
    Ok(())
}

/// A topic that administrators make and change.
pub fn administered_topic_name(name: &str) -> Result<(), Invalid> {
    if is_group_topic(name) {
        return Err(Invalid::Topic(format!(
            "topic '{}' is the broker's own, which makes a group's dead-letter topic with the group's first dead letter: nobody else makes or changes one",
            excerpt(name)
        )));
    }
    topic_name(name)
}

/// A topic that clients receive from: also a group's dead-letter topic.
pub fn readable_topic_name(name: &str) -> Result<(), Invalid> {
    if is_group_topic(name) {
        names::check("topic", name, limits::SYSTEM_TOPIC_NAME_MAX).map_err(Invalid::Topic)
    } else {
        topic_name(name)
    }
}

/// A consumer group.
pub fn group_name(name: &str) -> Result<(), Invalid> {
    names::check("consumer group", name, limits::GROUP_NAME_MAX).map_err(Invalid::Group)
}

/// A namespace that is not empty. It begins with no '%', or its topics would pass for those of a group.
pub fn namespace(name: &str) -> Result<(), String> {
    if name.starts_with('%') {
        return Err(format!("the namespace '{}' begins with '%'", excerpt(name)));
    }
    names::check("namespace", name, limits::TOPIC_NAME_MAX)
}

/// Whether the topic belongs to a group, and is made by the broker alone.
pub fn is_group_topic(name: &str) -> bool {
    group_topic_prefix(name).is_some()
}

/// What of a message can be judged without its topic.
pub fn message(message: &v2::Message, body_max: BodyMax) -> Result<(), Invalid> {
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

fn body(message: &v2::Message, max: BodyMax) -> Result<(), Invalid> {
    let bytes = message.body.len();
    if bytes == 0 {
        return Err(Invalid::BodyEmpty);
    }
    if bytes > max.bytes {
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

    const BODY_MAX: BodyMax = BodyMax {
        bytes: 1000,
        by_segments: false,
    };

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
        for (check, part) in [
            (topic_name as fn(&str) -> _, "nothing can be sent to it"),
            (administered_topic_name, "nobody else makes or changes one"),
        ] {
            let refusal: Invalid = check("%DLQ%g").unwrap_err();
            assert!(refusal.to_string().contains(part), "{refusal}");
        }
        assert_eq!(administered_topic_name("orders"), Ok(()));
        assert!(administered_topic_name("TBW102").is_err());
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
            message.body = vec![1; BODY_MAX.bytes].into();
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
            bytes: BODY_MAX.bytes + 1,
            max: BODY_MAX,
        };
        assert_eq!(
            refusal(|message, _| message.body = vec![1; BODY_MAX.bytes + 1].into()),
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
