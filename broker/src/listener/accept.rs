//! Accepting connections. Each is looked at in a task of its own, so that a silent one holds up nobody.

use super::io::{ClientIo, Ends};
use super::{CONNECTIONS_MAX, HANDSHAKE_TIMEOUT};
use crate::shutdown::Shutdown;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;

/// The first byte of a TLS record that begins a handshake. HTTP/2 begins with a 'P'.
const TLS_HANDSHAKE: u8 = 0x16;
/// Connections whose handshake is done, on their way to HTTP/2.
const READY_MAX: usize = 64;
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

    /// Accepts until the shutdown begins; then the port is closed.
    pub fn accept_all(self, tls: TlsAcceptor, shutdown: Shutdown) -> ReceiverStream<io::Result<ClientIo>> {
        let (ready, connections) = mpsc::channel(READY_MAX);
        tokio::spawn(async move {
            let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
            tokio::select! {
                () = shutdown.begun() => {}
                () = self.accept(&tls, &places, &ready) => {}
            }
        });
        ReceiverStream::new(connections)
    }

    async fn accept(
        &self,
        tls: &TlsAcceptor,
        places: &Arc<Semaphore>,
        ready: &mpsc::Sender<io::Result<ClientIo>>,
    ) {
        while let Ok(place) = Arc::clone(places).acquire_owned().await {
            match self.tcp.accept().await {
                Ok((stream, remote)) => {
                    let (tls, ready) = (tls.clone(), ready.clone());
                    tokio::spawn(async move {
                        let opened =
                            tokio::time::timeout(HANDSHAKE_TIMEOUT, open(stream, remote, &tls, place));
                        match opened.await {
                            // The server is gone when this fails: the connection goes too.
                            Ok(Ok(client)) => drop(ready.send(Ok(client)).await),
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
