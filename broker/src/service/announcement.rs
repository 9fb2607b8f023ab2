//! What a client says of itself by its settings, as the table of clients keeps it.

use super::metadata::Caller;
use super::validate::Invalid;
use super::{counted, settings};
use crate::clients::{Announced, Role};
use prost::Message as _;
use sluice_proto::v2::settings::PubSub;
use sluice_proto::v2::{FilterExpression, Resource, Settings};
use std::sync::Arc;

/// Settings are kept with the client. A thousand topics take less.
const SETTINGS_BYTES_MAX: usize = 256 << 10;
/// What an empty expression means.
const ALL: &str = "*";

/// Checks settings and reads them. What the client is told is not decided yet.
pub fn read(caller: &Caller<'_>, announced: Settings) -> Result<Announced, Invalid> {
    let bytes = announced.encoded_len();
    if bytes > SETTINGS_BYTES_MAX {
        return Err(Invalid::Settings {
            bytes,
            max: SETTINGS_BYTES_MAX,
        });
    }
    let group = settings::check(caller, &announced)?;
    let of_topic = |topic: &Resource| caller.readable_topic(Some(topic)).map(|name| name.into_owned());
    let (mut topics, mut subscriptions, mut namespace) = (Vec::new(), Vec::new(), "");
    match &announced.pub_sub {
        Some(PubSub::Publishing(publishing)) => {
            for topic in &publishing.topics {
                namespace = caller.namespace(topic);
                topics.push(of_topic(topic)?);
            }
        }
        Some(PubSub::Subscription(subscription)) => {
            if let Some(group) = &subscription.group {
                namespace = caller.namespace(group);
            }
            for entry in &subscription.subscriptions {
                if let Some(topic) = &entry.topic {
                    subscriptions.push((of_topic(topic)?, expression(entry.expression.as_ref())));
                }
            }
        }
        None => {}
    }
    let role = if group.is_some() {
        Role::Consumer
    } else {
        Role::Producer
    };
    let agent = announced.user_agent.as_ref();
    Ok(Announced {
        role,
        mode: counted::consume_mode(&announced),
        counted_version: counted::version(caller.version()),
        namespace: namespace.to_owned(),
        version: agent.map_or_else(String::new, |agent| agent.version.clone()),
        topics,
        subscriptions,
        is_node: settings::is_node(caller, &announced),
        wants_repeat: false,
        settings: Arc::new(announced),
        group,
    })
}

fn expression(expression: Option<&FilterExpression>) -> String {
    let text = expression.map_or("", |expression| expression.expression.trim());
    if text.is_empty() { ALL } else { text }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::PUSH;
    use sluice_proto::v2::{ClientType, Publishing, Subscription, SubscriptionEntry, Ua};
    use tonic::Extensions;
    use tonic::metadata::MetadataMap;

    fn resource(namespace: &str, name: &str) -> Resource {
        Resource {
            resource_namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    fn announce(settings: Settings) -> Result<Announced, Invalid> {
        let (mut metadata, extensions) = (MetadataMap::new(), Extensions::new());
        metadata.insert("x-mq-client-id", "c".parse().unwrap());
        metadata.insert("x-mq-namespace", "ns".parse().unwrap());
        read(&Caller::of(&metadata, &extensions).unwrap(), settings)
    }

    #[test]
    fn a_consumer_says_what_it_reads_and_how() {
        let entry = |topic, text: Option<&str>| SubscriptionEntry {
            topic: Some(topic),
            expression: text.map(|text| FilterExpression {
                expression: text.to_owned(),
                ..Default::default()
            }),
        };
        let subscription = Subscription {
            group: Some(resource("", "g")),
            subscriptions: vec![
                entry(resource("", "t"), Some(" a || b ")),
                entry(resource("other", "t"), Some("")),
                entry(resource("", "%DLQ%g"), None),
            ],
            ..Default::default()
        };
        let mut settings = Settings {
            client_type: Some(ClientType::PushConsumer.into()),
            user_agent: Some(Ua {
                version: "5.2.1".to_owned(),
                ..Default::default()
            }),
            pub_sub: Some(PubSub::Subscription(subscription)),
            ..Default::default()
        };
        let announced = announce(settings.clone()).unwrap();
        assert_eq!((announced.role, announced.mode), (Role::Consumer, PUSH));
        assert_eq!(
            (announced.group.as_deref(), announced.namespace.as_str()),
            (Some("ns%g"), "ns")
        );
        assert_eq!(announced.version, "5.2.1");
        let expected = [("ns%t", "a || b"), ("other%t", "*"), ("%DLQ%ns%g", "*")];
        let expected = expected.map(|(topic, text)| (topic.to_owned(), text.to_owned()));
        assert_eq!(announced.subscriptions, expected);
        settings.client_type = Some(ClientType::SimpleConsumer.into());
        assert_ne!(announce(settings).unwrap().mode, PUSH);
    }

    #[test]
    fn a_producer_says_what_it_sends_to() {
        let publishing = Publishing {
            topics: vec![resource("", "a"), resource("", "b")],
            ..Default::default()
        };
        let settings = Settings {
            pub_sub: Some(PubSub::Publishing(publishing)),
            ..Default::default()
        };
        let announced = announce(settings).unwrap();
        assert_eq!((announced.role, announced.group), (Role::Producer, None));
        assert_eq!(announced.topics, ["ns%a", "ns%b"]);
    }

    #[test]
    fn settings_that_are_too_long_to_keep_are_refused() {
        let publishing = Publishing {
            topics: (0..20_000).map(|n| resource("", &format!("topic-{n}"))).collect(),
            ..Default::default()
        };
        let settings = Settings {
            pub_sub: Some(PubSub::Publishing(publishing)),
            ..Default::default()
        };
        let error = announce(settings).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("bytes, and at most 262144 are taken: announce fewer topics"),
            "{error}"
        );
    }
}
