//! Accepting connections. Each has a task of its own from its first byte on, so that a silent one holds up nobody.

use super::HANDSHAKE_TIMEOUT;
use super::io::{ClientIo, Ends};
use super::places::{Lost, OpenConnections, Place};
use super::serve::{self, Answers};
use crate::shutdown::Shutdown;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// The first byte of a TLS record that begins a handshake. HTTP/2 begins with a 'P'.
const TLS_HANDSHAKE: u8 = 0x16;
/// After a failure to accept, such as too many open files: trying at once would fail at once.
const RETRY_AFTER: Duration = Duration::from_millis(100);
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
    open: OpenConnections,
}

impl Listener {
    /// Takes the port; 0 takes any. What comes beyond `connections_max` waits in the system's queue: it is not accepted,
    /// and so it is no open file.
    pub async fn bind(address: SocketAddr, connections_max: u32) -> Result<Self, ListenError> {
        let bound = async {
            let tcp = TcpListener::bind(address).await?;
            let address = tcp.local_addr()?;
            Ok(Self {
                tcp,
                address,
                connections_max,
                open: OpenConnections::at_most(connections_max.into()),
            })
        };
        bound.await.map_err(|source| ListenError { address, source })
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
        let mut said = None;
        loop {
            if places.available_permits() == 0 {
                self.say_that_all_are_taken(&mut said);
            }
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(places).acquire_owned().await else {
                return;
            };
            match self.tcp.accept().await {
                Ok((stream, remote)) => {
                    let place = self.open.taken(place);
                    let (tls, service, shutdown) = (tls.clone(), service.clone(), shutdown.clone());
                    let open_ones = self.open.clone();
                    tokio::spawn(async move {
                        let opened =
                            tokio::time::timeout(HANDSHAKE_TIMEOUT, open(stream, remote, &tls, place));
                        let opened = tokio::select! {
                            opened = opened => opened,
                            // Who has not asked anything yet is not waited for.
                            () = shutdown.begun() => return,
                        };
                        match opened {
                            Ok(Ok(client)) => serve::connection(client, service, shutdown).await,
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
) -> io::Result<ClientIo> {
    stream.set_nodelay(true)?;
    let ends = Ends {
        remote,
        local: stream.local_addr()?,
    };
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if first[0] == TLS_HANDSHAKE {
        Ok(ClientIo::tls(tls.accept(stream).await?, ends, place))
    } else {
        Ok(ClientIo::plain(stream, ends, place))
    }
}
