//! A connection of a client, as its transport and as what calls know of it.

use super::activity::{Activity, Busy};
use super::places::Place;
use super::transfers::Transfers;
use crate::budget::Budget;
use sluice_access::tls;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What every client of HTTP/2 says first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Read of one connection before others have a turn, and the calls to whom it goes: until they have taken it, it is in memory and
/// nobody counts it. Without, it is all that the connection's window lets the client send, before the first call is looked at.
const TURN_BYTES: usize = 128 << 10;

/// What the connections of all ports may hold, and what was refused on them.
#[derive(Debug)]
pub struct Bounds {
    /// What has come of requests that are not whole.
    pub unfinished: Arc<Budget>,
    /// In which time a request comes to its end, and an answer that is held is read. Later the connection is closed.
    pub transfer: Duration,
    /// Calls that were answered with nothing but a status of gRPC: what they brought is no request that a service can look at.
    pub refused: AtomicU64,
}

/// Lives as long as its connection: whoever keeps a [`std::sync::Weak`] to it can tell whether that stands.
#[derive(Debug)]
pub struct Connection {
    place: Place,
    remote: SocketAddr,
    bounds: Arc<Bounds>,
    transfers: Transfers,
}

impl Connection {
    /// A call runs on it until what is answered is dropped: meanwhile the connection gives way to no other.
    pub fn busy(&self) -> Busy {
        self.place.activity().busy()
    }

    pub(super) fn activity(&self) -> &Arc<Activity> {
        self.place.activity()
    }

    pub(super) fn remote(&self) -> SocketAddr {
        self.remote
    }

    pub(super) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    pub(super) fn transfers(&self) -> &Transfers {
        &self.transfers
    }
}

/// What a call knows of the connection that it came by.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The client's end.
    pub remote: SocketAddr,
    /// Our end: the address that the client used, unless something between translates.
    pub local: SocketAddr,
    /// Whether the connection is TLS.
    pub encrypted: bool,
    /// The subject of the certificate that the client has shown, if a client CA is known and has signed it.
    pub subject: Option<Arc<str>>,
    /// The connection.
    pub connection: Arc<Connection>,
}

/// A client's connection, encrypted or not.
#[derive(Debug)]
pub struct ClientIo {
    transport: Transport,
    /// What was read already, and is still to be read by whoever serves the connection.
    unread: &'static [u8],
    turn: Turn,
    peer: Peer,
}

#[derive(Debug)]
enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl ClientIo {
    pub(super) fn plain(stream: TcpStream, ends: Ends, place: Place) -> Self {
        Self {
            transport: Transport::Plain(stream),
            unread: &[],
            turn: Turn::default(),
            peer: ends.peer(place, false, None),
        }
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>, ends: Ends, place: Place) -> Self {
        let subject = tls::subject(stream.get_ref().1);
        Self {
            transport: Transport::Tls(Box::new(stream)),
            unread: &[],
            turn: Turn::default(),
            peer: ends.peer(place, true, subject),
        }
    }

    /// Waits until it is certain whether the client speaks HTTP/2. What serves HTTP/2 has no bound on how long it waits for
    /// the first words.
    pub(super) async fn speaks_http_2(&mut self) -> io::Result<bool> {
        let mut said = [0; PREFACE.len()];
        let mut length = 0;
        while length < said.len() {
            match self.read(&mut said[length..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => length += more,
            }
            if said[..length] != PREFACE[..length] {
                return Ok(false);
            }
        }
        self.unread = PREFACE;
        Ok(true)
    }

    /// What the connection does.
    pub(super) fn activity(&self) -> &Arc<Activity> {
        self.peer.connection.place.activity()
    }

    /// What calls know of this connection.
    pub(super) fn peer(&self) -> Peer {
        self.peer.clone()
    }
}

/// Both ends of a connection, and what it may hold.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    pub(super) remote: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) bounds: Arc<Bounds>,
}

impl Ends {
    fn peer(self, place: Place, encrypted: bool, subject: Option<Arc<str>>) -> Peer {
        let connection = Arc::new(Connection {
            place,
            remote: self.remote,
            transfers: Transfers::within(self.bounds.transfer),
            bounds: self.bounds,
        });
        Peer {
            remote: self.remote,
            local: self.local,
            encrypted,
            subject,
            connection,
        }
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let (now, later) = self.unread.split_at(self.unread.len().min(buf.remaining()));
            buf.put_slice(now);
            self.unread = later;
            return Poll::Ready(Ok(()));
        }
        let Self { transport, turn, .. } = &mut *self;
        match transport {
            Transport::Plain(stream) => turn.poll_read(stream, cx, buf),
            Transport::Tls(stream) => turn.poll_read(stream, cx, buf),
        }
    }
}

/// What was read of a connection since others had a turn.
#[derive(Debug, Default)]
struct Turn {
    bytes: usize,
}

impl Turn {
    /// Reads on, or lets others have a turn first.
    fn poll_read(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.bytes >= TURN_BYTES {
            self.bytes = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let polled = Pin::new(from).poll_read(cx, buf);
        match polled {
            Poll::Pending => self.bytes = 0,
            Poll::Ready(_) => self.bytes += buf.filled().len() - before,
        }
        polled
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Wake, Waker};

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn of_a_connection_that_sends_without_end_no_more_than_a_turn_is_read_at_a_time() {
        let (mut endless, mut turn) = (tokio::io::repeat(7), Turn::default());
        for _ in 0..3 {
            let woken = Arc::new(Woken::default());
            let waker = Waker::from(Arc::clone(&woken));
            let (mut cx, mut bytes) = (Context::from_waker(&waker), [0; 10_000]);
            let mut read = 0;
            loop {
                let mut buf = ReadBuf::new(&mut bytes);
                if turn.poll_read(&mut endless, &mut cx, &mut buf).is_pending() {
                    break;
                }
                read += buf.filled().len();
                assert!(read < TURN_BYTES + 10_000, "{read}");
            }
            assert!(read >= TURN_BYTES && woken.0.load(Ordering::Relaxed), "{read}");
        }
    }
}
