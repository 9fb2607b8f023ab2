//! What an SDK does around its calls: route, settings on a telemetry stream, heartbeats, assignment, farewell.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use sluice_proto::v2;
use sluice_proto::v2::telemetry_command::Command;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

use crate::args::{Consumer, Target};
use crate::client::{Client, check};
use crate::message::resource;
use crate::settings::{Role, endpoints};

const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);
/// Official clients wait as long for the answer to their settings.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(6);
const UPLINK_COMMANDS_MAX: usize = 4;

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
            command: Some(Command::Settings(self.role.settings(target))),
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
