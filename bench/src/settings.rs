//! What a client instance tells the server of itself.

use std::net::IpAddr;

use sluice_proto::v2;

use crate::args::{Consumer, Reception, Target};
use crate::message::resource;

/// What the client instance is.
#[derive(Debug, Clone)]
pub enum Role {
    /// Sends.
    Producer,
    /// Receives.
    Consumer(Reception),
}

impl Role {
    /// What the server calls it.
    #[must_use]
    pub fn client_type(&self) -> v2::ClientType {
        match self {
            Self::Producer => v2::ClientType::Producer,
            Self::Consumer(reception) if reception.consumer == Consumer::Push => v2::ClientType::PushConsumer,
            Self::Consumer(_) => v2::ClientType::SimpleConsumer,
        }
    }

    /// A consumer's group.
    #[must_use]
    pub fn group(&self) -> Option<v2::Resource> {
        match self {
            Self::Producer => None,
            Self::Consumer(reception) => Some(resource(&reception.group)),
        }
    }

    /// What the client says of itself at the start of its telemetry stream.
    #[must_use]
    pub fn settings(&self, target: &Target) -> v2::Settings {
        let topic = resource(&target.topic);
        let pub_sub = match self {
            Role::Producer => {
                let topics = vec![topic];
                v2::settings::PubSub::Publishing(v2::Publishing {
                    topics,
                    ..Default::default()
                })
            }
            Role::Consumer(reception) => v2::settings::PubSub::Subscription(v2::Subscription {
                group: self.group(),
                subscriptions: vec![v2::SubscriptionEntry {
                    topic: Some(topic),
                    expression: Some(everything()),
                }],
                receive_batch_size: Some(reception.batch),
                long_polling_timeout: prost_types::Duration::try_from(reception.long_poll).ok(),
                ..Default::default()
            }),
        };
        v2::Settings {
            client_type: Some(self.client_type().into()),
            access_point: Some(endpoints(target)),
            request_timeout: prost_types::Duration::try_from(target.request_timeout).ok(),
            user_agent: Some(v2::Ua {
                language: v2::Language::Rust.into(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                platform: std::env::consts::OS.to_owned(),
                hostname: "sluice-bench".to_owned(),
            }),
            pub_sub: Some(pub_sub),
            ..Default::default()
        }
    }
}

/// A subscription to all messages.
#[must_use]
pub fn everything() -> v2::FilterExpression {
    v2::FilterExpression {
        r#type: v2::FilterType::Tag.into(),
        expression: "*".to_owned(),
    }
}

/// The address the client itself uses.
#[must_use]
pub fn endpoints(target: &Target) -> v2::Endpoints {
    let (host, port) = target
        .endpoint
        .rsplit_once(':')
        .unwrap_or((&target.endpoint, "8081"));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let scheme = match host.parse() {
        Ok(IpAddr::V4(_)) => v2::AddressScheme::IPv4,
        Ok(IpAddr::V6(_)) => v2::AddressScheme::IPv6,
        Err(_) => v2::AddressScheme::DomainName,
    };
    let address = v2::Address {
        host: host.to_owned(),
        port: port.parse().unwrap_or(8081),
    };
    v2::Endpoints {
        scheme: scheme.into(),
        addresses: vec![address],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_scheme_of_an_endpoint_follows_its_host() {
        for (endpoint, host, scheme) in [
            ("127.0.0.1:9", "127.0.0.1", v2::AddressScheme::IPv4),
            ("[::1]:9", "::1", v2::AddressScheme::IPv6),
            (
                "broker.example:9",
                "broker.example",
                v2::AddressScheme::DomainName,
            ),
        ] {
            let target = Target {
                endpoint: endpoint.to_owned(),
                tls: false,
                connections: 1,
                request_timeout: Duration::ZERO,
                topic: String::new(),
            };
            let found = endpoints(&target);
            assert_eq!(found.scheme, i32::from(scheme));
            assert_eq!(
                found.addresses,
                [v2::Address {
                    host: host.to_owned(),
                    port: 9
                }]
            );
        }
    }
}
