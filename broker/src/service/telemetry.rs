//! `Telemetry`: a client announces itself by its settings and is told the broker's; the stream stays open for
//! commands to the client. Its end says that the client is leaving, or coming back by another.

use super::metadata::Caller;
use super::status::{self, Failure};
use super::{Shared, settings};
use crate::clients::{Announced, Role, StreamGuard};
use crate::listener::Connection;
use sluice_core::command::CreateGroup;
use sluice_proto::v2::telemetry_command::Command;
use sluice_proto::v2::{Settings, TelemetryCommand};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Streaming};

/// Commands on their way to one client.
const COMMANDS_MAX: usize = 16;

/// Opens the stream. It is answered at once, before anything was announced: clients wait for the headers.
pub(super) fn open(
    shared: &Arc<Shared>,
    request: Request<Streaming<TelemetryCommand>>,
) -> Result<ReceiverStream<Result<TelemetryCommand, tonic::Status>>, Failure> {
    let (metadata, extensions, commands) = request.into_parts();
    let caller = Caller::of(&metadata, &extensions)?;
    let (sender, answers) = mpsc::channel(COMMANDS_MAX);
    let stream = shared.clients.stream(caller.client_id, sender);
    let session = Session {
        shared: Arc::clone(shared),
        metadata,
        extensions,
        stream,
    };
    tokio::spawn(session.run(commands));
    Ok(ReceiverStream::new(answers))
}

/// The command that tells a client its settings.
pub(super) fn settings_command(settings: Settings) -> TelemetryCommand {
    TelemetryCommand {
        status: Some(status::ok()),
        command: Some(Command::Settings(settings)),
    }
}

struct Session {
    shared: Arc<Shared>,
    metadata: MetadataMap,
    extensions: Extensions,
    stream: StreamGuard,
}

impl Session {
    async fn run(self, mut commands: Streaming<TelemetryCommand>) {
        loop {
            let command = tokio::select! {
                () = self.shared.shutdown.begun() => return,
                () = self.stream.sender().closed() => return,
                command = commands.message() => command,
            };
            match command {
                Ok(Some(TelemetryCommand {
                    command: Some(Command::Settings(settings)),
                    ..
                })) => {
                    let answer = self.announce(settings);
                    let healthy = answer.is_ok();
                    let answer = answer.map_err(Failure::into_refusal);
                    if self.stream.sender().send(answer).await.is_err() || !healthy {
                        return;
                    }
                }
                // Answers to commands that this broker does not send.
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn announce(&self, announced: Settings) -> Result<TelemetryCommand, Failure> {
        let caller = Caller::of(&self.metadata, &self.extensions)?;
        let group = settings::check(&caller, &announced)?;
        let present = group
            .as_deref()
            .and_then(|name| self.shared.engine.tables().group(name));
        let spec = match (&present, &group) {
            (Some(group), _) => Some(group.spec.clone()),
            (None, name) => name.as_deref().map(CreateGroup::on_first_use),
        };
        let node = settings::is_node(&caller, &announced);
        let merged = settings::merge(announced, spec.as_ref(), node, self.shared.body_max);
        let announced = Announced {
            role: if group.is_some() {
                Role::Consumer
            } else {
                Role::Producer
            },
            group,
            language: caller.counted_language(),
            settings: Arc::new(merged.clone()),
            wants_repeat: node,
        };
        let connection: Option<&Arc<Connection>> = caller.connection();
        self.shared
            .clients
            .announce(caller.client_id, connection, announced, &self.stream)?;
        Ok(settings_command(merged))
    }
}
