//! Questions to clients over telemetry. A question goes to one stream; its answer is known by its nonce and comes from the
//! client that was asked. Whatever else comes is ignored.

use super::registry::Clients;
use super::renew::command;
use parking_lot::Mutex;
use sluice_proto::v2;
use sluice_proto::v2::telemetry_command::Command;
use sluice_store::log::random_uuid;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::oneshot;

/// Questions that may wait for answers at one time.
const ASKS_MAX: usize = 256;

/// What a client answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// How it went; older libraries leave it out.
    pub status: Option<v2::Status>,
    /// The stacks of its threads, if those were asked for.
    pub stacks: Option<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AskError {
    /// No such client.
    #[error("there is no client '{0}': it never came, or it is gone")]
    NoClient(String),
    /// It has no telemetry stream.
    #[error("client '{0}' has no telemetry stream at the moment: it cannot be asked")]
    NotConnected(String),
    /// It takes no commands.
    #[error("client '{0}' does not read its telemetry stream: commands to it wait already")]
    NotReading(String),
    /// As many questions wait as may.
    #[error("{0} questions wait for answers of clients already: ask again after a moment")]
    Full(usize),
    /// It disconnected meanwhile.
    #[error("client '{0}' disconnected before it answered")]
    Gone(String),
    /// It does not answer.
    #[error("client '{client}' has not answered within {} ms: its library may not know the question", after.as_millis())]
    TimedOut {
        /// Who was asked.
        client: String,
        /// How long it had.
        after: Duration,
    },
    /// The system gives no random bytes.
    #[error("cannot read random bytes for a nonce: {0}")]
    NoNonce(String),
}

#[derive(Debug)]
struct Waiting {
    client: String,
    stream: u64,
    answer: oneshot::Sender<Answer>,
}

/// The questions that wait for answers, by nonce.
#[derive(Debug, Default)]
pub(super) struct Asks(Mutex<HashMap<String, Waiting>>);

impl Asks {
    /// Ends the wait for answers by this stream.
    pub(super) fn stream_ended(&self, stream: u64) {
        self.0.lock().retain(|_, waiting| waiting.stream != stream);
    }
}

/// Takes a question back that nobody waits for any more.
struct Withdrawal<'a> {
    asks: &'a Asks,
    nonce: &'a str,
}

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        self.asks.0.lock().remove(self.nonce);
    }
}

impl Clients {
    /// Asks a client by its newest stream that takes the question, and waits for the answer.
    pub async fn ask(
        &self,
        client: &str,
        within: Duration,
        question: impl FnOnce(String) -> Command,
    ) -> Result<Answer, AskError> {
        let nonce = nonce()?;
        let question = command(question(nonce.clone()));
        let _withdrawal = Withdrawal {
            asks: &self.asks,
            nonce: &nonce,
        };
        let answered = self.put(client, &nonce, question)?;
        match tokio::time::timeout(within, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(AskError::Gone(client.to_owned())),
            Err(_) => Err(AskError::TimedOut {
                client: client.to_owned(),
                after: within,
            }),
        }
    }

    /// What a client sent as an answer. It is ignored unless this client was asked with this nonce and is waited for.
    pub fn answered(&self, client: &str, nonce: &str, answer: Answer) {
        let mut asks = self.asks.0.lock();
        if asks.get(nonce).is_some_and(|waiting| waiting.client == client)
            && let Some(waiting) = asks.remove(nonce)
        {
            // Who asked may have gone just now.
            let _ = waiting.answer.send(answer);
            return;
        }
        tracing::debug!(client, "an answer that nobody waits for");
    }

    /// Sends the question off. The table is held all the while, so that the end of the stream comes before or after.
    fn put(
        &self,
        client: &str,
        nonce: &str,
        question: v2::TelemetryCommand,
    ) -> Result<oneshot::Receiver<Answer>, AskError> {
        let table = self.table();
        let known = table.get(client);
        let known = known.ok_or_else(|| AskError::NoClient(client.to_owned()))?;
        if known.streams.is_empty() {
            return Err(AskError::NotConnected(client.to_owned()));
        }
        let mut asks = self.asks.0.lock();
        if asks.len() >= ASKS_MAX {
            return Err(AskError::Full(ASKS_MAX));
        }
        let taken = known
            .streams
            .iter()
            .rev()
            .find(|(_, sender)| sender.try_send(Ok(question.clone())).is_ok());
        let Some((stream, _)) = taken else {
            return Err(AskError::NotReading(client.to_owned()));
        };
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            client: client.to_owned(),
            stream: *stream,
            answer,
        };
        asks.insert(nonce.to_owned(), waiting);
        Ok(answered)
    }
}

/// Nobody guesses it.
fn nonce() -> Result<String, AskError> {
    let bytes = random_uuid().map_err(|error| AskError::NoNonce(error.to_string()))?;
    Ok(bytes.0.iter().fold(String::new(), |mut nonce, byte| {
        let _ = write!(nonce, "{byte:02x}");
        nonce
    }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{call, consumer};
    use super::super::{StreamGuard, TelemetrySender};
    use super::*;
    use std::sync::Arc;
    use tokio::sync::mpsc;

    const LONG: Duration = Duration::from_secs(60);

    type Commands = mpsc::Receiver<Result<v2::TelemetryCommand, tonic::Status>>;

    fn connect(clients: &Arc<Clients>, id: &str) -> (StreamGuard, Commands) {
        let (sender, commands): (TelemetrySender, _) = mpsc::channel(1);
        let stream = clients.stream(id, sender);
        clients.announce(call(id), consumer("g"), &stream).unwrap();
        (stream, commands)
    }

    fn stacks(nonce: String) -> Command {
        Command::PrintThreadStackTraceCommand(v2::PrintThreadStackTraceCommand { nonce })
    }

    fn answer(text: &str) -> Answer {
        Answer {
            status: None,
            stacks: Some(text.to_owned()),
        }
    }

    fn ask(
        clients: &Arc<Clients>,
        id: &'static str,
        within: Duration,
    ) -> tokio::task::JoinHandle<Result<Answer, AskError>> {
        let clients = Arc::clone(clients);
        tokio::spawn(async move { clients.ask(id, within, stacks).await })
    }

    async fn asked(commands: &mut Commands) -> String {
        match commands.recv().await.unwrap().unwrap().command {
            Some(Command::PrintThreadStackTraceCommand(command)) => command.nonce,
            other => panic!("{other:?}"),
        }
    }

    fn waiting(clients: &Clients) -> usize {
        clients.asks.0.lock().len()
    }

    #[tokio::test]
    async fn an_answer_is_known_by_its_nonce_and_its_client() {
        let clients = Arc::new(Clients::at_most(100));
        let ((_a, mut commands), _b) = (connect(&clients, "a"), connect(&clients, "b"));
        let asking = ask(&clients, "a", LONG);
        let nonce = asked(&mut commands).await;
        clients.answered("a", "another nonce", answer("wrong"));
        clients.answered("b", &nonce, answer("not asked"));
        assert_eq!(waiting(&clients), 1);
        clients.answered("a", &nonce, answer("right"));
        clients.answered("a", &nonce, answer("late"));
        assert_eq!(asking.await.unwrap(), Ok(answer("right")));
        assert_eq!(waiting(&clients), 0);
    }

    #[tokio::test]
    async fn a_client_that_cannot_be_asked_is_named() {
        let clients = Arc::new(Clients::at_most(100));
        clients.touch(call("silent")).unwrap();
        let (stream, _commands) = connect(&clients, "deaf");
        for (id, error) in [
            ("nobody", AskError::NoClient("nobody".into())),
            ("silent", AskError::NotConnected("silent".into())),
        ] {
            assert_eq!(clients.ask(id, LONG, stacks).await, Err(error));
        }
        let first = ask(&clients, "deaf", LONG);
        while waiting(&clients) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            clients.ask("deaf", LONG, stacks).await,
            Err(AskError::NotReading("deaf".into())),
            "its buffer is full"
        );
        drop(stream);
        assert_eq!(first.await.unwrap(), Err(AskError::Gone("deaf".into())));
    }

    #[tokio::test]
    async fn a_client_that_disconnects_or_leaves_ends_the_wait() {
        let clients = Arc::new(Clients::at_most(100));
        let (stream, mut commands) = connect(&clients, "c");
        let asking = ask(&clients, "c", LONG);
        asked(&mut commands).await;
        let (second, mut newest) = connect(&clients, "c");
        let by_second = ask(&clients, "c", LONG);
        let nonce = asked(&mut newest).await;
        drop(stream);
        assert_eq!(asking.await.unwrap(), Err(AskError::Gone("c".into())));
        clients.answered("c", &nonce, answer("by the other stream"));
        assert!(by_second.await.unwrap().is_ok());
        let asking = ask(&clients, "c", LONG);
        asked(&mut newest).await;
        clients.remove("c");
        assert_eq!(asking.await.unwrap(), Err(AskError::Gone("c".into())));
        drop(second);
    }

    #[tokio::test]
    async fn nobody_is_waited_for_without_end() {
        let clients = Arc::new(Clients::at_most(100));
        let (_stream, mut commands) = connect(&clients, "c");
        let asking = ask(&clients, "c", Duration::from_millis(20));
        let nonce = asked(&mut commands).await;
        let error = asking.await.unwrap().unwrap_err();
        assert_eq!(
            error.to_string(),
            "client 'c' has not answered within 20 ms: its library may not know the question"
        );
        assert_eq!(waiting(&clients), 0);
        clients.answered("c", &nonce, answer("late"));
    }

    #[tokio::test]
    async fn questions_are_bounded_and_those_that_nobody_waits_for_are_taken_back() {
        let clients = Arc::new(Clients::at_most(100));
        let mut open = Vec::new();
        let mut asking = Vec::new();
        for _ in 0..ASKS_MAX {
            let connection = connect(&clients, "c");
            asking.push(ask(&clients, "c", LONG));
            while waiting(&clients) < asking.len() {
                tokio::task::yield_now().await;
            }
            open.push(connection);
        }
        let _another = connect(&clients, "c");
        assert_eq!(
            clients.ask("c", LONG, stacks).await,
            Err(AskError::Full(ASKS_MAX))
        );
        for asking in asking {
            asking.abort();
            assert!(asking.await.unwrap_err().is_cancelled());
        }
        assert_eq!(waiting(&clients), 0);
    }
}
