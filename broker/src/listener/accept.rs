//! Accepting connections. Each has a task of its own from its first byte on, so that a silent one holds up nobody.

use super::io::{ClientIo, Ends};
use super::serve::{self, Answers};
use super::{CONNECTIONS_MAX, HANDSHAKE_TIMEOUT};
use crate::shutdown::Shutdown;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

/// The first byte of a TLS record that begins a handshake. HTTP/2 begins with a 'P'.
const TLS_HANDSHAKE: u8 = 0x16;
/// After a failure to accept, such as too many open files: trying at once would fail at once.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// The port is not to be had.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ListenError {
    address: SocketAddr,
    source: io::Error,
}

/// A bound port.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Takes the port; 0 takes any.
    pub async fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        let bound = async {
            let tcp = TcpListener::bind(address).await?;
            let address = tcp.local_addr()?;
            Ok(Self { tcp, address })
        };
        bound.await.map_err(|source| ListenError { address, source })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the shutdown begins; then the port is closed, and this ends when the last connection has.
    pub async fn serve(self, tls: TlsAcceptor, service: impl Answers, shutdown: Shutdown) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
        tokio::select! {
            () = shutdown.begun() => {}
            () = self.accept(&tls, &places, &service, &shutdown) => {}
        }
        drop(self);
        // Each connection has a place for as long as it stands. The semaphore is never closed.
        let _ = places.acquire_many(CONNECTIONS_MAX).await;
    }

    async fn accept(
        &self,
        tls: &TlsAcceptor,
        places: &Arc<Semaphore>,
        service: &impl Answers,
        shutdown: &Shutdown,
    ) {
        while let Ok(place) = Arc::clone(places).acquire_owned().await {
            match self.tcp.accept().await {
                Ok((stream, remote)) => {
                    let (tls, service, shutdown) = (tls.clone(), service.clone(), shutdown.clone());
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
                                tracing::debug!(%remote, %error, "a connection came to nothing")
                            }
                            Err(_) => tracing::debug!(%remote, "a connection said nothing for too long"),
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
    }
}

async fn open(
    stream: TcpStream,
    remote: SocketAddr,
    tls: &TlsAcceptor,
    place: OwnedSemaphorePermit,
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
