//! The table of clients.

use super::asks::Asks;
use super::directory::Directory;
use super::expiry::Seen;
use super::figures::Figures;
use super::rooms::{Room, Rooms};
use crate::listener::Connection;
use crate::service::quirks::node::Node;
use parking_lot::{Mutex, MutexGuard};
use prost::Message as _;
use sluice_proto::v2;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Connections remembered of one client; of more than that, some are taken for closed too early.
const CONNECTIONS_MAX: usize = 64;
/// Bytes of a client's version that are kept.
const VERSION_MAX: usize = 64;

/// How a client comes to its messages to which they are pushed; others fetch them.
pub const PUSH: &str = "push";

/// What there cannot be more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// As many clients as may be are known.
    Clients(usize),
    /// As many bytes of settings as may be are kept.
    Settings(usize),
}

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

/// What a call says of the client that makes it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The client's id.
    pub id: &'a str,
    /// Its language, as it is counted.
    pub language: &'static str,
    /// The version of its library; empty if it does not say.
    pub version: &'a str,
    /// Where it calls from.
    pub remote: SocketAddr,
    /// By which connection.
    pub connection: Option<&'a Arc<Connection>>,
}

/// What a client said of itself over telemetry.
#[derive(Clone, Debug)]
pub struct Announced {
    /// What it is.
    pub role: Role,
    /// Its group, as the broker has it, if it is a consumer.
    pub group: Option<String>,
    /// The namespace that its names are in.
    pub namespace: String,
    /// The version of its library; empty if it does not say.
    pub version: String,
    /// Its version, as it is counted.
    pub counted_version: Arc<str>,
    /// How it comes to its messages, as it is counted.
    pub mode: &'static str,
    /// The topics that it sends to, as the broker has them.
    pub topics: Vec<String>,
    /// The topics that it reads, as the broker has them, and by which expressions.
    pub subscriptions: Vec<(String, String)>,
    /// The settings that it was told to use.
    pub settings: Arc<v2::Settings>,
    /// That it is the client for Node.js, which reads less than others.
    pub node: Option<Node>,
    /// Whether it is to be given the settings at its next heartbeat: when they changed last it took nothing.
    pub wants_repeat: bool,
    /// It said only so much as a heartbeat does, and not its settings: some clients send those minutes after a broker has
    /// started again, or never.
    pub presumed: bool,
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

/// A client that called.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its shared id.
    pub id: Arc<str>,
    /// Its figures.
    pub figures: Arc<Figures>,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) announced: Option<Announced>,
    pub(super) language: &'static str,
    version: Box<str>,
    pub(super) remote: SocketAddr,
    connections: Vec<Weak<Connection>>,
    /// The newest last.
    pub(super) streams: Vec<(u64, TelemetrySender)>,
    pub(super) last_seen: Instant,
    /// What its settings take.
    room: Option<Room>,
    pub(super) figures: Arc<Figures>,
}

/// All clients.
#[derive(Debug)]
pub struct Clients {
    max: usize,
    by_id: Mutex<HashMap<Arc<str>, Client>>,
    figures: Directory,
    rooms: Rooms,
    next_stream: AtomicU64,
    refused: AtomicU64,
    pub(super) asks: Asks,
}

impl Clients {
    /// As many as may be known at a time.
    pub fn at_most(max: usize) -> Self {
        Self {
            max,
            by_id: Mutex::default(),
            figures: Directory::default(),
            rooms: Rooms::default(),
            next_stream: AtomicU64::default(),
            refused: AtomicU64::default(),
            asks: Asks::default(),
        }
    }

    /// Takes note of a call.
    pub fn touch(&self, call: Call<'_>) -> Result<Known, Full> {
        self.with(call, |id, client| Known {
            id: Arc::clone(id),
            figures: Arc::clone(&client.figures),
        })
    }

    /// Counts for a client; nothing if it is not known. It waits for no other client.
    pub fn count_for(&self, id: &str, count: impl FnOnce(&Figures)) {
        self.figures.with(id, count);
    }

    /// Takes note of what a client announced, and of the stream it did so by.
    pub fn announce(
        &self,
        call: Call<'_>,
        mut announced: Announced,
        stream: &StreamGuard,
    ) -> Result<(), Full> {
        let room = self.rooms.take(announced.settings.encoded_len());
        let room = room.inspect_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
        })?;
        self.with(call, |_, client| {
            client.room = Some(room);
            announced.wants_repeat = client
                .announced
                .as_ref()
                .is_some_and(|before| before.wants_repeat);
            client.figures.set_pushes(announced.mode == PUSH);
            client.announced = Some(announced);
            if !client.streams.iter().any(|(number, _)| *number == stream.number) {
                client.streams.push((stream.number, stream.sender.clone()));
            }
        })
    }

    /// Takes a client for what its heartbeat says, until it announces itself.
    pub fn presume(&self, call: Call<'_>, presumed: Announced) -> Result<(), Full> {
        self.with(call, |_, client| {
            if client.announced.is_none() {
                client.figures.set_pushes(presumed.mode == PUSH);
                client.announced = Some(Announced {
                    presumed: true,
                    ..presumed
                });
            }
        })
    }

    /// Takes note of a heartbeat.
    pub fn heartbeat(&self, call: Call<'_>) -> Result<Heartbeat, Full> {
        self.with(call, |_, client| match &mut client.announced {
            None => Heartbeat::Unknown,
            Some(announced) if announced.presumed => Heartbeat::Unknown,
            Some(announced) if announced.wants_repeat => {
                announced.wants_repeat = false;
                let streams = client.streams.iter().map(|(_, sender)| sender.clone()).collect();
                Heartbeat::Repeat(Arc::clone(&announced.settings), streams)
            }
            Some(_) => Heartbeat::Known,
        })
    }

    /// Whether the client is there: it has called, and has neither said farewell nor been silent for too long.
    pub fn is_known(&self, id: &str) -> bool {
        self.by_id.lock().contains_key(id)
    }

    /// The request timeout that the client announced.
    pub fn request_timeout(&self, id: &str) -> Option<Duration> {
        let by_id = self.by_id.lock();
        let settings = &by_id.get(id)?.announced.as_ref()?.settings;
        crate::service::convert::duration(settings.request_timeout.as_ref()?)
    }

    /// The namespace that the client's names are in.
    pub fn namespace(&self, id: &str) -> Option<String> {
        let by_id = self.by_id.lock();
        Some(by_id.get(id)?.announced.as_ref()?.namespace.clone())
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
        self.forget(&mut self.by_id.lock(), id);
    }

    /// Forgets a client, unless it was heard of after `moment`; whether it is forgotten now.
    pub fn remove_if_silent_since(&self, id: &str, moment: Instant) -> bool {
        let mut by_id = self.by_id.lock();
        let silent = by_id.get(id).is_none_or(|client| client.last_seen <= moment);
        if silent {
            self.forget(&mut by_id, id);
        }
        silent
    }

    /// All clients, as the watch over those that are gone judges them.
    pub fn look(&self) -> Vec<Seen> {
        let by_id = self.by_id.lock();
        let seen = |(id, client): (&Arc<str>, &Client)| Seen {
            id: Arc::clone(id),
            last_seen: client.last_seen,
            connected: client.is_connected(),
        };
        by_id.iter().map(seen).collect()
    }

    /// What each client that has announced itself is counted as.
    pub fn kinds(&self) -> Vec<Kind> {
        let by_id = self.by_id.lock();
        let kind = |client: &Client| {
            let announced = client.announced.as_ref()?;
            Some(Kind {
                role: announced.role,
                group: announced.group.clone().unwrap_or_default(),
                language: client.language,
                version: Arc::clone(&announced.counted_version),
                mode: announced.mode,
            })
        };
        by_id.values().filter_map(kind).collect()
    }

    /// How many clients are known, and how many may be.
    pub fn number(&self) -> (usize, usize) {
        (self.by_id.lock().len(), self.max)
    }

    /// How often one client more was refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The table, held shortly.
    pub(super) fn table(&self) -> MutexGuard<'_, HashMap<Arc<str>, Client>> {
        self.by_id.lock()
    }

    fn with<T>(&self, call: Call<'_>, work: impl FnOnce(&Arc<str>, &mut Client) -> T) -> Result<T, Full> {
        let now = Instant::now();
        let mut by_id = self.by_id.lock();
        let key = match by_id.get_key_value(call.id) {
            Some((key, _)) => Arc::clone(key),
            None if by_id.len() >= self.max => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return Err(Full::Clients(self.max));
            }
            None => Arc::from(call.id),
        };
        let client = by_id.entry(Arc::clone(&key)).or_insert_with(|| {
            let client = Client::new(call, now);
            self.figures.insert(&key, &client.figures);
            client
        });
        client.last_seen = now;
        client.remote = call.remote;
        if let Some(connection) = call.connection {
            client.came_by(connection);
        }
        Ok(work(&key, client))
    }

    fn forget(&self, by_id: &mut HashMap<Arc<str>, Client>, id: &str) {
        if let Some(client) = by_id.remove(id) {
            self.figures.remove(id);
            for (stream, _) in client.streams {
                self.asks.stream_ended(stream);
            }
        }
    }
}

impl Client {
    fn new(call: Call<'_>, now: Instant) -> Self {
        Self {
            announced: None,
            language: call.language,
            version: shortened(call.version).into(),
            remote: call.remote,
            connections: Vec::new(),
            streams: Vec::new(),
            room: None,
            last_seen: now,
            figures: Arc::new(Figures::new(now)),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        let is_open = |connection: &Weak<Connection>| connection.strong_count() > 0;
        !self.streams.is_empty() || self.connections.iter().any(is_open)
    }

    /// The version of its library, as it announced it, else as its calls have it.
    pub(super) fn version(&self) -> &str {
        match &self.announced {
            Some(announced) if !announced.version.is_empty() => shortened(&announced.version),
            _ => &self.version,
        }
    }

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

fn shortened(version: &str) -> &str {
    &version[..version.floor_char_boundary(VERSION_MAX)]
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
        let mut by_id = self.clients.by_id.lock();
        if let Some(client) = by_id.get_mut(self.id.as_str()) {
            client.streams.retain(|(number, _)| *number != self.number);
        }
        // While the table is held: nobody asks by this stream any more.
        self.clients.asks.stream_ended(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::call;
    use super::*;

    fn announced() -> Announced {
        super::super::tests::consumer("g")
    }

    #[test]
    fn a_client_is_connected_as_long_as_it_has_a_stream() {
        let clients = Arc::new(Clients::at_most(100));
        let (sender, _receiver) = mpsc::channel(1);
        let stream = clients.stream("c", sender);
        clients.announce(call("c"), announced(), &stream).unwrap();
        clients.announce(call("c"), announced(), &stream).unwrap();
        assert!(clients.look()[0].connected);
        drop(stream);
        assert!(!clients.look()[0].connected);
        clients.remove("c");
        assert!(clients.look().is_empty());
    }

    #[test]
    fn a_client_that_only_beats_is_counted_until_it_says_more() {
        let clients = Arc::new(Clients::at_most(100));
        assert!(matches!(clients.heartbeat(call("c")), Ok(Heartbeat::Unknown)));
        clients.presume(call("c"), announced()).unwrap();
        assert_eq!(clients.kinds().len(), 1);
        // It is told, so that it may announce itself.
        assert!(matches!(clients.heartbeat(call("c")), Ok(Heartbeat::Unknown)));
        let (sender, _receiver) = mpsc::channel(1);
        let stream = clients.stream("c", sender);
        clients.announce(call("c"), announced(), &stream).unwrap();
        clients.presume(call("c"), announced()).unwrap();
        assert!(matches!(clients.heartbeat(call("c")), Ok(Heartbeat::Known)));
        assert_eq!(clients.kinds().len(), 1);
    }

    #[test]
    fn clients_are_counted_by_what_they_are() {
        let clients = Arc::new(Clients::at_most(100));
        let (sender, _receiver) = mpsc::channel(1);
        for id in ["a", "b"] {
            let stream = clients.stream(id, sender.clone());
            clients.announce(call(id), announced(), &stream).unwrap();
        }
        clients.touch(call("silent")).unwrap();
        let kind = Kind {
            role: Role::Consumer,
            group: "g".to_owned(),
            language: "JAVA",
            version: Arc::from("v5_2_0"),
            mode: "push",
        };
        assert_eq!(clients.kinds(), [kind.clone(), kind]);
        assert_eq!(clients.number(), (3, 100));
    }
}
