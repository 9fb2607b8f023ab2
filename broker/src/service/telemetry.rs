//! `Telemetry`: a client announces itself by its settings and is told the broker's; the stream stays open for
//! commands to the client. Its end says that the client is leaving, or coming back by another.

use super::metadata::Caller;
use super::quirks::node::{self, Node};
use super::status::{self, Failure};
use super::{Shared, announcement, push};
use crate::clients::{Announced, Answer, StreamGuard, TelemetrySender};
use crate::shutdown::Shutdown;
use sluice_core::state::Group;
use sluice_proto::v2::telemetry_command::Command;
use sluice_proto::v2::{Settings, TelemetryCommand};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Streaming};

/// Commands on their way to one client.
const COMMANDS_MAX: usize = 16;

/// A client that takes no answer for so long reads nothing any more.
const UNREAD_MAX: Duration = Duration::from_secs(10);

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
                    let stream = self.stream.sender();
                    let is_node = self.is_node(&settings);
                    let answer = self.announce(settings);
                    let healthy = answer.is_ok();
                    if let (true, Err(failure)) = (is_node, &answer)
                        && !hand_over(stream, Ok(node::refusal(failure)), &self.shared.shutdown).await
                    {
                        return;
                    }
                    let answer = answer.map_err(Failure::into_refusal);
                    if !hand_over(stream, answer, &self.shared.shutdown).await || !healthy {
                        return;
                    }
                }
                Ok(Some(answer)) => self.answered(answer),
                Ok(None) => return,
                Err(error) => {
                    // Most often the connection is gone, and nobody hears it; else it is no command, and this says so.
                    hand_over(self.stream.sender(), Err(error), &self.shared.shutdown).await;
                    return;
                }
            }
        }
    }

    /// Takes an answer to one of the broker's commands; see [`super::ask`].
    fn answered(&self, answer: TelemetryCommand) {
        let TelemetryCommand { status, command } = answer;
        let (nonce, stacks) = match command {
            Some(Command::ThreadStackTrace(stacks)) => (stacks.nonce, stacks.thread_stack_trace),
            Some(Command::VerifyMessageResult(result)) => (result.nonce, None),
            Some(Command::VerifyMessageCommand(question)) => (node::refused_trial(question), None),
            _ => return,
        };
        if let Ok(caller) = Caller::of(&self.metadata, &self.extensions) {
            let answer = Answer { status, stacks };
            self.shared.clients.answered(caller.client_id, &nonce, answer);
        }
    }

    fn is_node(&self, settings: &Settings) -> bool {
        let caller = Caller::of(&self.metadata, &self.extensions);
        caller.is_ok_and(|caller| Node::of(&caller, settings).is_some())
    }

    fn announce(&self, announced: Settings) -> Result<TelemetryCommand, Failure> {
        let caller = Caller::of(&self.metadata, &self.extensions)?;
        let announced = announcement::read(&caller, announced)?;
        let tables = self.shared.engine.tables();
        loop {
            let group = push::group_of(tables, &announced);
            let merged = push::of_client(&announced, group.as_deref(), self.shared.body_max.bytes);
            let told = Announced {
                settings: Arc::new(merged.clone()),
                ..announced.clone()
            };
            self.shared.clients.announce(caller.call(), told, &self.stream)?;
            // A change that was pushed before the client stood in the table has missed it. It takes a command of the log to
            // go round once more.
            if is_same(&group, &push::group_of(tables, &announced)) {
                if announced.node.is_some() {
                    node::repeat(merged.clone(), self.stream.sender());
                }
                return Ok(settings_command(merged));
            }
        }
    }
}

fn is_same(one: &Option<Arc<Group>>, other: &Option<Arc<Group>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

/// Whether the answer is on its way. A client that does not read is not waited for when the broker stops.
async fn hand_over(
    stream: &TelemetrySender,
    answer: Result<TelemetryCommand, tonic::Status>,
    shutdown: &Shutdown,
) -> bool {
    tokio::select! {
        () = shutdown.begun() => false,
        sent = stream.send_timeout(answer, UNREAD_MAX) => sent.is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_reads_no_answers_does_not_hold_up_the_end() {
        let (stream, mut answers) = mpsc::channel(1);
        let shutdown = Shutdown::default();
        let answer = || Ok(settings_command(Settings::default()));
        assert!(hand_over(&stream, answer(), &shutdown).await);
        let unread = tokio::spawn({
            let (stream, shutdown) = (stream.clone(), shutdown.clone());
            async move { hand_over(&stream, answer(), &shutdown).await }
        });
        // The task runs up to where it waits for room before this one goes on.
        tokio::task::yield_now().await;
        assert!(!unread.is_finished());
        shutdown.begin();
        assert!(
            !tokio::time::timeout(UNREAD_MAX / 2, unread)
                .await
                .unwrap()
                .unwrap()
        );
        assert!(answers.recv().await.is_some());
    }
}
