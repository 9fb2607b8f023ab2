//! The table of clients.

use super::expiry::Seen;
use crate::listener::Connection;
use parking_lot::Mutex;
use sluice_proto::v2;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Clients known at one time.
const CLIENTS_MAX: usize = 50_000;
/// Connections remembered of one client; of more than that, some are taken for closed too early.
const CONNECTIONS_MAX: usize = 64;

/// As many clients as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full(pub usize);

/// Where commands to a client go: one for each of its telemetry streams.
pub type TelemetrySender = mpsc::Sender<Result<v2::TelemetryCommand, tonic::Status>>;

/// What a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// It sends.
    Producer,
    /// It receives, by pushes or on demand.
    Consumer,
}

/// What a client said of itself over telemetry.
#[derive(Clone, Debug)]
pub struct Announced {
    /// What it is.
    pub role: Role,
    /// Its group, as the broker has it, if it is a consumer.
    pub group: Option<String>,
    /// Its language.
    pub language: &'static str,
    /// Its version, as it is counted.
    pub version: Arc<str>,
    /// How it comes to its messages, as it is counted.
    pub mode: &'static str,
    /// The settings that it was told to use.
    pub settings: Arc<v2::Settings>,
    /// Whether it needs the settings again after its first heartbeat.
    pub wants_repeat: bool,
}

/// What a heartbeat comes to.
#[derive(Debug)]
pub enum Heartbeat {
    /// The client has announced nothing.
    Unknown,
    /// It is known.
    Known,
    /// It is known, and these settings are to go to these streams once more.
    Repeat(Arc<v2::Settings>, Vec<TelemetrySender>),
}

/// What clients are counted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// What they are.
    pub role: Role,
    /// Their group; empty for producers.
    pub group: String,
    /// Their language.
    pub language: &'static str,
    /// Their version.
    pub version: Arc<str>,
    /// How they come to their messages.
    pub mode: &'static str,
}

#[derive(Debug)]
struct Client {
    announced: Option<Announced>,
    connections: Vec<Weak<Connection>>,
    streams: Vec<(u64, TelemetrySender)>,
    last_seen: Instant,
}

/// All clients.
#[derive(Debug, Default)]
pub struct Clients {
    by_id: Mutex<HashMap<Arc<str>, Client>>,
    next_stream: AtomicU64,
    refused: AtomicU64,
}

impl Clients {
    /// Takes note of a call; the client's shared id.
    pub fn touch(&self, id: &str, connection: Option<&Arc<Connection>>) -> Result<Arc<str>, Full> {
        self.with(id, connection, |id, _| Arc::clone(id))
    }

    /// Takes note of what a client announced, and of the stream it did so by.
    pub fn announce(
        &self,
        id: &str,
        connection: Option<&Arc<Connection>>,
        mut announced: Announced,
        stream: &StreamGuard,
    ) -> Result<(), Full> {
        self.with(id, connection, |_, client| {
            if let Some(before) = &client.announced {
                announced.wants_repeat = before.wants_repeat;
            }
            client.announced = Some(announced);
            if !client.streams.iter().any(|(number, _)| *number == stream.number) {
                client.streams.push((stream.number, stream.sender.clone()));
            }
        })
    }

    /// Takes note of a heartbeat.
    pub fn heartbeat(&self, id: &str, connection: Option<&Arc<Connection>>) -> Result<Heartbeat, Full> {
        self.with(id, connection, |_, client| match &mut client.announced {
            None => Heartbeat::Unknown,
            Some(announced) if announced.wants_repeat => {
                announced.wants_repeat = false;
                let streams = client.streams.iter().map(|(_, sender)| sender.clone()).collect();
                Heartbeat::Repeat(Arc::clone(&announced.settings), streams)
            }
            Some(_) => Heartbeat::Known,
        })
    }

    /// The request timeout that the client announced.
    pub fn request_timeout(&self, id: &str) -> Option<Duration> {
        let by_id = self.by_id.lock();
        let settings = &by_id.get(id)?.announced.as_ref()?.settings;
        crate::service::convert::duration(settings.request_timeout.as_ref()?)
    }

    /// A telemetry stream of the client, until the guard is dropped. It counts once the client has announced itself.
    pub fn stream(self: &Arc<Self>, id: &str, sender: TelemetrySender) -> StreamGuard {
        let number = self.next_stream.fetch_add(1, Ordering::Relaxed);
        StreamGuard {
            clients: Arc::clone(self),
            id: id.to_owned(),
            number,
            sender,
        }
    }

    /// Forgets a client.
    pub fn remove(&self, id: &str) {
        self.by_id.lock().remove(id);
    }

    /// Forgets a client, unless it was heard of after `moment`; whether it is forgotten now.
    pub fn remove_if_silent_since(&self, id: &str, moment: Instant) -> bool {
        let mut by_id = self.by_id.lock();
        let silent = by_id.get(id).is_none_or(|client| client.last_seen <= moment);
        if silent {
            by_id.remove(id);
        }
        silent
    }

    /// All clients, as [`super::expiry::Watch`] judges them.
    pub fn look(&self) -> Vec<Seen> {
        let by_id = self.by_id.lock();
        let seen = |(id, client): (&Arc<str>, &Client)| Seen {
            id: Arc::clone(id),
            last_seen: client.last_seen,
            connected: !client.streams.is_empty()
                || client
                    .connections
                    .iter()
                    .any(|connection| connection.strong_count() > 0),
        };
        by_id.iter().map(seen).collect()
    }

    /// What each client that has announced itself is counted as.
    pub fn kinds(&self) -> Vec<Kind> {
        let by_id = self.by_id.lock();
        let announced = by_id.values().filter_map(|client| client.announced.as_ref());
        let kind = |announced: &Announced| Kind {
            role: announced.role,
            group: announced.group.clone().unwrap_or_default(),
            language: announced.language,
            version: Arc::clone(&announced.version),
            mode: announced.mode,
        };
        announced.map(kind).collect()
    }

    /// How many clients are known, and how many may be.
    pub fn number(&self) -> (usize, usize) {
        (self.by_id.lock().len(), CLIENTS_MAX)
    }

    /// How often one client more was refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn with<T>(
        &self,
        id: &str,
        connection: Option<&Arc<Connection>>,
        work: impl FnOnce(&Arc<str>, &mut Client) -> T,
    ) -> Result<T, Full> {
        let now = Instant::now();
        let mut by_id = self.by_id.lock();
        let key = match by_id.get_key_value(id) {
            Some((key, _)) => Arc::clone(key),
            None if by_id.len() >= CLIENTS_MAX => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return Err(Full(CLIENTS_MAX));
            }
            None => Arc::from(id),
        };
        let client = by_id.entry(Arc::clone(&key)).or_insert_with(|| Client {
            announced: None,
            connections: Vec::new(),
            streams: Vec::new(),
            last_seen: now,
        });
        client.last_seen = now;
        if let Some(connection) = connection {
            client.came_by(connection);
        }
        Ok(work(&key, client))
    }
}

impl Client {
    fn came_by(&mut self, connection: &Arc<Connection>) {
        if self
            .connections
            .iter()
            .any(|known| known.as_ptr() == Arc::as_ptr(connection))
        {
            return;
        }
        self.connections.retain(|known| known.strong_count() > 0);
        if self.connections.len() < CONNECTIONS_MAX {
            self.connections.push(Arc::downgrade(connection));
        }
    }
}

/// Stands for one telemetry stream.
#[derive(Debug)]
pub struct StreamGuard {
    clients: Arc<Clients>,
    id: String,
    number: u64,
    sender: TelemetrySender,
}

impl StreamGuard {
    /// Where the stream's answers go.
    pub fn sender(&self) -> &TelemetrySender {
        &self.sender
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        if let Some(client) = self.clients.by_id.lock().get_mut(self.id.as_str()) {
            client.streams.retain(|(number, _)| *number != self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announced(wants_repeat: bool) -> Announced {
        Announced {
            role: Role::Consumer,
            group: Some("g".to_owned()),
            language: "JAVA",
            version: Arc::from("v5_2_0"),
            mode: "push",
            settings: Arc::default(),
            wants_repeat,
        }
    }

    #[test]
    fn a_client_is_connected_as_long_as_it_has_a_stream() {
        let clients = Arc::new(Clients::default());
        let (sender, _receiver) = mpsc::channel(1);
        let stream = clients.stream("c", sender);
        clients.announce("c", None, announced(false), &stream).unwrap();
        clients.announce("c", None, announced(false), &stream).unwrap();
        assert!(clients.look()[0].connected);
        drop(stream);
        assert!(!clients.look()[0].connected);
        clients.remove("c");
        assert!(clients.look().is_empty());
    }

    #[test]
    fn settings_are_repeated_once_to_clients_that_want_it() {
        let clients = Arc::new(Clients::default());
        assert!(matches!(clients.heartbeat("c", None), Ok(Heartbeat::Unknown)));
        let (sender, _receiver) = mpsc::channel(1);
        let stream = clients.stream("c", sender);
        clients.announce("c", None, announced(true), &stream).unwrap();
        assert!(
            matches!(clients.heartbeat("c", None), Ok(Heartbeat::Repeat(_, streams)) if streams.len() == 1)
        );
        assert!(matches!(clients.heartbeat("c", None), Ok(Heartbeat::Known)));
        clients.announce("c", None, announced(true), &stream).unwrap();
        assert!(
            matches!(clients.heartbeat("c", None), Ok(Heartbeat::Known)),
            "not after each announcement"
        );
    }

    #[test]
    fn clients_are_counted_by_what_they_are() {
        let clients = Arc::new(Clients::default());
        let (sender, _receiver) = mpsc::channel(1);
        for id in ["a", "b"] {
            let stream = clients.stream(id, sender.clone());
            clients.announce(id, None, announced(false), &stream).unwrap();
        }
        clients.touch("silent", None).unwrap();
        let kind = Kind {
            role: Role::Consumer,
            group: "g".to_owned(),
            language: "JAVA",
            version: Arc::from("v5_2_0"),
            mode: "push",
        };
        assert_eq!(clients.kinds(), [kind.clone(), kind]);
        assert_eq!(clients.number(), (3, CLIENTS_MAX));
    }
}
