//! What an SDK does around its calls: route, settings on a telemetry stream, heartbeats, assignment, farewell.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use sluice_proto::v2;
use sluice_proto::v2::telemetry_command::Command;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

use crate::args::{Consumer, Reception, Target};
use crate::client::{Client, check};
use crate::message::resource;

const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);
/// Official clients wait as long for the answer to their settings.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(6);
const UPLINK_COMMANDS_MAX: usize = 4;

/// What the client instance is.
#[derive(Debug, Clone)]
pub enum Role {
    /// Sends.
    Producer,
    /// Receives.
    Consumer(Reception),
}

impl Role {
    fn client_type(&self) -> v2::ClientType {
        match self {
            Self::Producer => v2::ClientType::Producer,
            Self::Consumer(reception) if reception.consumer == Consumer::Push => v2::ClientType::PushConsumer,
            Self::Consumer(_) => v2::ClientType::SimpleConsumer,
        }
    }

    fn group(&self) -> Option<v2::Resource> {
        match self {
            Self::Producer => None,
            Self::Consumer(reception) => Some(resource(&reception.group)),
        }
    }
}

/// A client instance the server knows; it lives until [`Session::close`].
#[derive(Debug)]
pub struct Session {
    client: Client,
    role: Role,
    request_timeout: Duration,
    background: Vec<JoinHandle<()>>,
    /// Held because the stream ends with it.
    uplink: Option<mpsc::Sender<v2::TelemetryCommand>>,
    /// Where a consumer receives from.
    pub queues: Vec<v2::MessageQueue>,
}

impl Session {
    /// Introduces the client instance. A server that knows no routes at all (`sluice-bench bare`) gets no session.
    ///
    /// # Errors
    /// When the server refuses a step or does not answer.
    pub async fn open(client: &Client, target: &Target, role: Role) -> Result<Self> {
        let mut session = Self {
            client: client.clone(),
            role,
            request_timeout: target.request_timeout,
            background: Vec::new(),
            uplink: None,
            queues: Vec::new(),
        };
        let Some(route) = session.route(target).await? else {
            ensure!(
                matches!(session.role, Role::Producer),
                "server {} knows no routes: nothing can be received",
                target.endpoint
            );
            eprintln!(
                "server {} answers no QueryRoute: sending without settings and heartbeats",
                target.endpoint
            );
            return Ok(session);
        };
        session.settle(target).await?;
        session.queues = match &session.role {
            Role::Producer => Vec::new(),
            Role::Consumer(reception) if reception.consumer == Consumer::Push => {
                session.assignment(target).await?
            }
            Role::Consumer(_) => route,
        };
        Ok(session)
    }

    async fn route(&self, target: &Target) -> Result<Option<Vec<v2::MessageQueue>>> {
        let body = v2::QueryRouteRequest {
            topic: Some(resource(&target.topic)),
            endpoints: Some(endpoints(target)),
        };
        let mut stub = self.client.stub.clone();
        let response = match stub
            .query_route(self.client.request(body, self.request_timeout))
            .await
        {
            Ok(response) => response.into_inner(),
            Err(status) if status.code() == Code::Unimplemented => return Ok(None),
            Err(status) => {
                return Err(status)
                    .with_context(|| format!("cannot query the route of topic {}", target.topic));
            }
        };
        check(response.status.as_ref()).with_context(|| {
            format!(
                "no route of topic {}: create it or let the server create it",
                target.topic
            )
        })?;
        ensure!(
            !response.message_queues.is_empty(),
            "the route of topic {} has no queue",
            target.topic
        );
        Ok(Some(response.message_queues))
    }

    /// Opens the telemetry stream, sends settings, waits for the server's, and starts heartbeats.
    async fn settle(&mut self, target: &Target) -> Result<()> {
        let (uplink, commands) = mpsc::channel(UPLINK_COMMANDS_MAX);
        let settings = v2::TelemetryCommand {
            status: None,
            command: Some(Command::Settings(self.settings(target))),
        };
        uplink
            .send(settings)
            .await
            .map_err(|_| anyhow!("the telemetry stream ended before it began"))?;
        let mut stub = self.client.stub.clone();
        let request = self.client.endless(ReceiverStream::new(commands));
        let opened = async {
            let mut downlink = stub.telemetry(request).await?.into_inner();
            while let Some(command) = downlink.message().await? {
                if matches!(command.command, Some(Command::Settings(_))) {
                    return Ok(downlink);
                }
            }
            bail!("the server ended the telemetry stream");
        };
        let downlink = tokio::time::timeout(SETTINGS_TIMEOUT, opened)
            .await
            .map_err(|_| anyhow!("no answer to the settings within {SETTINGS_TIMEOUT:?}"))
            .flatten()
            .context("cannot open the telemetry stream")?;
        self.uplink = Some(uplink);
        self.background.push(tokio::spawn(drain(downlink)));
        let heartbeat = v2::HeartbeatRequest {
            group: self.role.group(),
            client_type: self.role.client_type().into(),
        };
        self.background.push(tokio::spawn(beat(
            self.client.clone(),
            heartbeat,
            self.request_timeout,
        )));
        Ok(())
    }

    fn settings(&self, target: &Target) -> v2::Settings {
        let topic = resource(&target.topic);
        let pub_sub = match &self.role {
            Role::Producer => {
                let topics = vec![topic];
                v2::settings::PubSub::Publishing(v2::Publishing {
                    topics,
                    ..Default::default()
                })
            }
            Role::Consumer(reception) => v2::settings::PubSub::Subscription(v2::Subscription {
                group: self.role.group(),
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
            client_type: Some(self.role.client_type().into()),
            access_point: Some(endpoints(target)),
            request_timeout: prost_types::Duration::try_from(self.request_timeout).ok(),
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

    async fn assignment(&self, target: &Target) -> Result<Vec<v2::MessageQueue>> {
        let body = v2::QueryAssignmentRequest {
            topic: Some(resource(&target.topic)),
            group: self.role.group(),
            endpoints: Some(endpoints(target)),
        };
        let mut stub = self.client.stub.clone();
        let response = stub
            .query_assignment(self.client.request(body, self.request_timeout))
            .await
            .context("cannot query the assignment")?
            .into_inner();
        check(response.status.as_ref())
            .with_context(|| format!("no assignment for topic {}", target.topic))?;
        let queues: Vec<_> = response
            .assignments
            .into_iter()
            .filter_map(|assignment| assignment.message_queue)
            .collect();
        ensure!(
            !queues.is_empty(),
            "no queue of topic {} is assigned to this consumer",
            target.topic
        );
        Ok(queues)
    }

    /// Says farewell, so that the server does not keep deliveries for a client that is gone.
    pub async fn close(mut self) {
        if self.uplink.take().is_some() {
            let body = v2::NotifyClientTerminationRequest {
                group: self.role.group(),
            };
            let mut stub = self.client.stub.clone();
            // The figures are complete; a server that is gone already takes no farewell.
            let _ = stub
                .notify_client_termination(self.client.request(body, self.request_timeout))
                .await;
        }
        self.background.iter().for_each(JoinHandle::abort);
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

/// Reads the server's commands, none of which matter here, so that the stream does not stall.
async fn drain(mut downlink: Streaming<v2::TelemetryCommand>) {
    while let Ok(Some(_)) = downlink.message().await {}
}

async fn beat(client: Client, body: v2::HeartbeatRequest, deadline: Duration) {
    let mut stub = client.stub.clone();
    let mut tick = tokio::time::interval(HEARTBEAT_EVERY);
    loop {
        tick.tick().await;
        // A server that misses one forgives it; one that is gone shows in the calls that are measured.
        let _ = stub.heartbeat(client.request(body.clone(), deadline)).await;
    }
}

fn endpoints(target: &Target) -> v2::Endpoints {
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
