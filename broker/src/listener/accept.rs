//! Accepting connections. Each has a task of its own from its first byte on, so that a silent one holds up nobody.

use super::HANDSHAKE_TIMEOUT;
use super::activity::{self, Activities, Kept};
use super::io::{Bounds, ClientIo, Ends};
use super::opening::Opening;
use super::places::{Lost, OpenConnections, Place};
use super::serve::{self, Answers};
use crate::shutdown::Shutdown;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

const REQUEST_BYTES_READ: usize = 4096;
/// The rest of a small request is there by then, if there is one.
const REQUEST_READ_WITHIN: Duration = Duration::from_millis(200);
const NO_HTTP_1: &str = "HTTP/1.1 505 HTTP Version Not Supported\r\n\
    Content-Type: text/plain\r\nConnection: close\r\n\r\n\
    This port speaks gRPC, over HTTP/2 alone. Health and metrics are at the broker's --http-listen.\n";
/// After a failure to accept, such as too many open files: trying at once would fail at once.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// A connection that was accepted just before the broker stops is open by then.
const OPENED_WITHIN: Duration = Duration::from_secs(1);
/// One of so many gives way at a time: those that are silent take a moment each, and whoever opens them in floods must not have
/// others wait for one after the other.
const DISPLACED_PART: usize = 32;
/// A connection that gives way is gone by then, unless a call has begun on it.
const DISPLACED_WITHIN: Duration = Duration::from_secs(2);
/// While all places are taken, this is said no more often.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// The port is not to be had.
#[derive(Debug, Error)]
#[error("cannot listen on {address}")]
pub struct ListenError {
    address: SocketAddr,
    source: io::Error,
}

/// A bound port.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    connections_max: u32,
    kept: Kept,
    bounds: Arc<Bounds>,
    open: OpenConnections,
}

impl Listener {
    /// Over a socket that was opened for `address`. Of what comes beyond `connections_max` one is accepted, and gets the place of
    /// one that is idle. The others wait in the system's queue: they are no open files.
    pub fn over(
        opened: io::Result<TcpListener>,
        address: SocketAddr,
        connections_max: u32,
        bounds: &Arc<Bounds>,
    ) -> Result<Self, ListenError> {
        let listener = opened.and_then(|tcp| {
            let address = tcp.local_addr()?;
            Ok(Self {
                tcp,
                address,
                connections_max,
                kept: Kept::ByAnyCall,
                bounds: Arc::clone(bounds),
                open: OpenConnections::at_most(connections_max.into()),
            })
        });
        listener.map_err(|source| ListenError { address, source })
    }

    /// From now on only calls that [say so](super::Connection::busy) keep a connection from giving way.
    pub fn kept_by_calls_that_say_so(self) -> Self {
        Self {
            kept: Kept::ByCallsThatSaySo,
            ..self
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells at any time how many connections there are.
    pub fn connections(&self) -> OpenConnections {
        self.open.clone()
    }

    /// Serves until the shutdown begins; then the port is closed, and this ends when the last connection has.
    pub async fn serve(self, tls: TlsAcceptor, service: impl Answers, shutdown: Shutdown) {
        let places = Arc::new(Semaphore::new(self.connections_max as usize));
        tokio::select! {
            // What comes from then on is left to whoever listens next.
            biased;
            () = shutdown.begun() => {}
            () = self.accept(&tls, &places, &service, &shutdown) => {}
        }
        let all = self.connections_max;
        drop(self);
        // Each connection has a place for as long as it stands. The semaphore is never closed.
        let _ = places.acquire_many(all).await;
    }

    async fn accept(
        &self,
        tls: &TlsAcceptor,
        places: &Arc<Semaphore>,
        service: &impl Answers,
        shutdown: &Shutdown,
    ) {
        let (mut said, mut activities) = (None, Activities::default());
        loop {
            match self.tcp.accept().await {
                Ok((stream, remote)) => {
                    let Some(permit) = self.permit(places, &mut activities, &mut said).await else {
                        return;
                    };
                    let activity = activities.one_more(self.kept);
                    let place = self.open.taken(permit, Arc::clone(&activity));
                    let (tls, service, shutdown) = (tls.clone(), service.clone(), shutdown.clone());
                    let (open_ones, bounds) = (self.open.clone(), Arc::clone(&self.bounds));
                    tokio::spawn(async move {
                        let opened = open(stream, remote, &tls, place, bounds);
                        let opened = tokio::time::timeout(HANDSHAKE_TIMEOUT, opened);
                        let opened = tokio::select! {
                            opened = opened => opened,
                            // Who has just come is told to go in HTTP/2's words, and comes again; who says nothing is not waited for.
                            () = shutdown.begun_since(OPENED_WITHIN) => return,
                            () = activity::displaced(activity) => return,
                        };
                        match opened {
                            Ok(Ok(client)) => serve::connection(client, service, shutdown, &open_ones).await,
                            Ok(Err(error)) => {
                                open_ones.lose(Lost::Handshake);
                                tracing::debug!(%remote, %error, "a connection came to nothing");
                            }
                            Err(_) => {
                                open_ones.lose(Lost::Silent);
                                tracing::debug!(%remote, "a connection said nothing for too long");
                            }
                        }
                    });
                }
                Err(error) => {
                    self.open.lose(Lost::NotAccepted);
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
    }

    /// For one connection: where all are taken, one that is idle gives way, and while none is, the next to end or to fall idle.
    /// The semaphore is never closed.
    async fn permit(
        &self,
        places: &Arc<Semaphore>,
        activities: &mut Activities,
        said: &mut Option<Instant>,
    ) -> Option<OwnedSemaphorePermit> {
        let mut look_again = Duration::ZERO;
        loop {
            let place = Arc::clone(places).acquire_owned();
            if let Ok(permit) = tokio::time::timeout(look_again, place).await {
                return permit.ok();
            }
            let displaced = activities.displace(1 + self.connections_max as usize / DISPLACED_PART);
            (0..displaced).for_each(|_| self.open.lose(Lost::Displaced));
            look_again = DISPLACED_WITHIN;
            if displaced == 0 {
                self.say_that_all_are_taken(said);
                look_again = RETRY_AFTER;
            }
        }
    }

    fn say_that_all_are_taken(&self, said: &mut Option<Instant>) {
        if said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
            *said = Some(Instant::now());
            let (address, max) = (self.address, self.connections_max);
            tracing::warn!(
                %address,
                max,
                "all connections are taken: further clients wait until one ends"
            );
        }
    }
}

async fn open(
    stream: TcpStream,
    remote: SocketAddr,
    tls: &TlsAcceptor,
    place: Place,
    bounds: Arc<Bounds>,
) -> io::Result<ClientIo> {
    stream.set_nodelay(true)?;
    let ends = Ends {
        remote,
        local: stream.local_addr()?,
        bounds,
    };
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let opening = Opening::of(first[0]);
    let mut client = match opening {
        Opening::Tls => ClientIo::tls(tls.accept(stream).await?, ends, place),
        Opening::Text | Opening::Neither => ClientIo::plain(stream, ends, place),
    };
    if client.speaks_http_2().await? {
        Ok(client)
    } else if opening == Opening::Text {
        Err(tell_http_1(client).await?)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it does not speak HTTP/2",
        ))
    }
}

/// Whoever comes with a browser or curl is told what this port is; HTTP/2 would answer in a form that they cannot show.
async fn tell_http_1(mut client: ClientIo) -> io::Result<io::Error> {
    // What was not read when the connection is closed would take the answer with it.
    let mut request = [0; REQUEST_BYTES_READ];
    if let Ok(read) = tokio::time::timeout(REQUEST_READ_WITHIN, client.read(&mut request)).await {
        read?;
    }
    client.write_all(NO_HTTP_1.as_bytes()).await?;
    client.shutdown().await?;
    Ok(io::Error::new(io::ErrorKind::InvalidData, "it speaks HTTP/1"))
}
