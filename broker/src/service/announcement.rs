//! What a client says of itself by its settings, as the table of clients keeps it.

use super::invalid::Invalid;
use super::metadata::Caller;
use super::quirks::node::Node;
use super::{counted, settings};
use crate::clients::{Announced, Role};
use sluice_proto::v2::settings::PubSub;
use sluice_proto::v2::{
    ClientType, FilterExpression, HeartbeatRequest, Publishing, Resource, Settings, Subscription,
};
use std::sync::Arc;

/// What an empty expression means.
const ALL: &str = "*";

/// Checks settings and reads them. What the client is told is not decided yet. They are kept with the client: that they are
/// short the codec sees to.
pub fn read(caller: &Caller<'_>, announced: Settings) -> Result<Announced, Invalid> {
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
        node: Node::of(caller, &announced),
        wants_repeat: false,
        presumed: false,
        settings: Arc::new(announced),
        group,
    })
}

/// What a heartbeat says of a client, as if it were its settings; none where that is nothing.
pub fn presumed(caller: &Caller<'_>, heartbeat: HeartbeatRequest) -> Option<Announced> {
    let pub_sub = match ClientType::try_from(heartbeat.client_type).ok()? {
        ClientType::Producer => PubSub::Publishing(Publishing::default()),
        ClientType::Unspecified => return None,
        _ => PubSub::Subscription(Subscription {
            group: heartbeat.group,
            ..Subscription::default()
        }),
    };
    let settings = Settings {
        client_type: Some(heartbeat.client_type),
        pub_sub: Some(pub_sub),
        ..Settings::default()
    };
    read(caller, settings).ok()
}

fn expression(expression: Option<&FilterExpression>) -> String {
    let text = expression.map_or("", |expression| expression.expression.trim());
    if text.is_empty() { ALL } else { text }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::PUSH;
    use sluice_proto::v2::{SubscriptionEntry, Ua};
    use tonic::Extensions;
    use tonic::metadata::MetadataMap;

    fn resource(namespace: &str, name: &str) -> Resource {
        Resource {
            resource_namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    fn as_caller<T>(work: impl FnOnce(&Caller<'_>) -> T) -> T {
        let (mut metadata, extensions) = (MetadataMap::new(), Extensions::new());
        metadata.insert("x-mq-client-id", "c".parse().unwrap());
        metadata.insert("x-mq-namespace", "ns".parse().unwrap());
        work(&Caller::of(&metadata, &extensions).unwrap())
    }

    fn announce(settings: Settings) -> Result<Announced, Invalid> {
        as_caller(|caller| read(caller, settings))
    }

    #[test]
    fn a_heartbeat_says_who_consumes_for_which_group() {
        let beat = |client_type: ClientType, group: Option<Resource>| {
            let client_type = client_type.into();
            as_caller(|caller| presumed(caller, HeartbeatRequest { group, client_type }))
        };
        let group = || Some(resource("", "g"));
        let pushed = beat(ClientType::PushConsumer, group()).unwrap();
        assert_eq!((pushed.group.as_deref(), pushed.mode), (Some("ns%g"), PUSH));
        assert_ne!(beat(ClientType::SimpleConsumer, group()).unwrap().mode, PUSH);
        assert_eq!(beat(ClientType::Producer, None).unwrap().role, Role::Producer);
        assert!(beat(ClientType::PushConsumer, None).is_none());
        assert!(beat(ClientType::PushConsumer, Some(resource("", "no group!"))).is_none());
        assert!(beat(ClientType::Unspecified, group()).is_none());
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
}
