//! A message's properties as RocketMQ stores them, and back.

use super::invalid::Invalid;
use super::reserved;
use super::validate;
use sluice_core::limits;
use sluice_core::record::{Record, property, put_property};
use sluice_proto::v2;
use std::collections::HashMap;

/// What name and value are followed by in storage.
const SEPARATORS: usize = 2;
const KEY_SEPARATOR: char = ' ';

/// Encodes the properties of a message that [`validate::message`] has passed.
pub fn encode(message: &v2::Message, system: &v2::SystemProperties) -> Result<Vec<u8>, Invalid> {
    let mut out = Vec::with_capacity(estimate(message, system));
    put_property(&mut out, property::MESSAGE_ID, &system.message_id);
    if let Some(tag) = &system.tag {
        put_property(&mut out, property::TAG, tag);
    }
    match system.keys.as_slice() {
        [] => {}
        [key] => put_property(&mut out, property::KEYS, key),
        keys => put_property(&mut out, property::KEYS, &keys.join(" ")),
    }
    if let Some(group) = &system.message_group {
        put_property(&mut out, property::MESSAGE_GROUP, group);
    }
    if let Some(trace) = &system.trace_context {
        put_property(&mut out, property::TRACE_CONTEXT, trace);
    }
    // It is for people; a host that cannot be stored is no reason to refuse a message.
    if !system.born_host.is_empty() && !validate::has_control(&system.born_host) {
        put_property(&mut out, property::BORN_HOST, &system.born_host);
    }
    for (name, value) in &message.user_properties {
        put_property(&mut out, name, value);
    }
    if out.len() > limits::PROPERTIES_BYTES_MAX {
        return Err(Invalid::StoredProperties { bytes: out.len() });
    }
    Ok(out)
}

fn estimate(message: &v2::Message, system: &v2::SystemProperties) -> usize {
    const NAMES: usize = 64;
    let user: usize = message
        .user_properties
        .iter()
        .map(|(name, value)| name.len() + value.len() + SEPARATORS)
        .sum();
    let keys: usize = system.keys.iter().map(|key| key.len() + 1).sum();
    let optional = |text: &Option<String>| text.as_ref().map_or(0, |text| text.len() + SEPARATORS);
    NAMES
        + user
        + keys
        + system.message_id.len()
        + system.born_host.len()
        + optional(&system.tag)
        + optional(&system.message_group)
        + optional(&system.trace_context)
}

/// Fills in what a record's properties say. Names of the system that are none of gRPC's are left out.
pub fn decode(record: &Record<'_>, system: &mut v2::SystemProperties, user: &mut HashMap<String, String>) {
    for (name, value) in record.properties() {
        match name {
            property::MESSAGE_ID => value.clone_into(&mut system.message_id),
            property::TAG => system.tag = Some(value.to_owned()),
            property::KEYS => {
                system.keys = value
                    .split(KEY_SEPARATOR)
                    .filter(|key| !key.is_empty())
                    .map(str::to_owned)
                    .collect();
            }
            property::MESSAGE_GROUP => system.message_group = Some(value.to_owned()),
            property::TRACE_CONTEXT => system.trace_context = Some(value.to_owned()),
            property::BORN_HOST => value.clone_into(&mut system.born_host),
            other if reserved::is_reserved(other) => {}
            other => drop(user.insert(other.to_owned(), value.to_owned())),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use sluice_core::record::NewRecord;

    /// A record with these properties.
    pub(crate) fn stored(properties: &[u8]) -> Vec<u8> {
        let host = "127.0.0.1:1".parse().unwrap();
        let (topic, body) = ("t", b"b".as_slice());
        let record = NewRecord {
            topic,
            queue: 0,
            body,
            properties,
            born_ms: 1,
            born_host: host,
            store_ms: 2,
            store_host: host,
        };
        let mut out = Vec::new();
        record.encode(&mut out);
        out
    }

    fn read(properties: &[u8]) -> (v2::SystemProperties, HashMap<String, String>) {
        let (mut system, mut user) = Default::default();
        decode(
            &Record::parse(&stored(properties)).unwrap(),
            &mut system,
            &mut user,
        );
        (system, user)
    }

    #[test]
    fn properties_come_back_as_they_were_sent() {
        let system = v2::SystemProperties {
            message_id: "01AB".into(),
            tag: Some("red".into()),
            keys: vec!["k1".into(), "k2".into()],
            message_group: Some("g".into()),
            trace_context: Some("00-1".into()),
            born_host: "laptop".into(),
            ..Default::default()
        };
        let user = HashMap::from([
            ("colour".to_owned(), "grün".to_owned()),
            ("empty".to_owned(), String::new()),
        ]);
        let message = v2::Message {
            user_properties: user.clone(),
            ..Default::default()
        };
        let bytes = encode(&message, &system).unwrap();
        assert_eq!(read(&bytes), (system, user));
    }

    #[test]
    fn internal_names_are_not_shown() {
        let mut bytes = Vec::new();
        for name in [
            "TIMER_DELIVER_MS",
            "POP_CK",
            "RECONSUME_TIME",
            "DLQ_ORIGIN_TOPIC",
            "mine",
        ] {
            put_property(&mut bytes, name, "1");
        }
        let (_, user) = read(&bytes);
        assert_eq!(user.into_keys().collect::<Vec<_>>(), ["mine"]);
    }

    #[test]
    fn properties_beyond_what_a_record_holds_are_refused() {
        let system = v2::SystemProperties {
            keys: vec!["k".repeat(32 * 1024)],
            ..Default::default()
        };
        assert!(matches!(
            encode(&v2::Message::default(), &system),
            Err(Invalid::StoredProperties { .. })
        ));
    }
}
