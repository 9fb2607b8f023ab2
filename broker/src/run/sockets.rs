//! Listening sockets that outlive the broker. Whoever starts it, such as systemd with a socket unit, may hold them and hand
//! them over as descriptors from 3 on (`LISTEN_FDS`, sd_listen_fds(3)). While no broker runs, clients that connect wait in the
//! socket's queue instead of being turned away, and a restart is a pause to them and no failure.

use anyhow::{Context as _, ensure};
use listenfd::ListenFd;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Sockets that were handed over and that no port has taken yet.
#[derive(Debug, Default)]
pub struct Sockets(Vec<std::net::TcpListener>);

impl Sockets {
    /// Takes what was handed over to this process. To be called once, before there are other threads: it takes the variables
    /// out of the environment, so that no child finds them.
    pub fn of_this_process() -> anyhow::Result<Self> {
        let mut handed = ListenFd::from_env();
        let sockets = (0..handed.len()).map(|index| {
            let socket = handed.take_tcp_listener(index)?;
            let socket = socket.ok_or_else(|| io::Error::other("it was taken already"))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        let sockets: io::Result<_> = sockets.collect();
        let sockets = sockets.context("LISTEN_FDS hands over something that is no listening TCP socket")?;
        Ok(Self(sockets))
    }

    /// The socket at this address: the one that was handed over, or a new one.
    pub(super) async fn listen(&mut self, address: SocketAddr) -> io::Result<TcpListener> {
        let is_there = |socket: &std::net::TcpListener| socket.local_addr().is_ok_and(|own| own == address);
        match self.0.iter().position(is_there) {
            Some(index) => TcpListener::from_std(self.0.swap_remove(index)),
            None => TcpListener::bind(address).await,
        }
    }

    /// Clients that connect to a socket that no port has would wait for ever.
    pub(super) fn all_taken(&self) -> anyhow::Result<()> {
        let left: Vec<_> = self
            .0
            .iter()
            .filter_map(|socket| socket.local_addr().ok())
            .collect();
        ensure!(
            left.is_empty(),
            "LISTEN_FDS hands over sockets at {left:?}, and neither --grpc-listen nor --admin-listen nor --http-listen names their \
             address: name it, or hand over no such socket"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed_over() -> (Sockets, SocketAddr) {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        (Sockets(vec![socket]), address)
    }

    #[tokio::test]
    async fn a_port_whose_socket_was_handed_over_takes_it_and_others_are_made() {
        let (mut sockets, address) = handed_over();
        let other = sockets.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        assert_ne!(other.local_addr().unwrap(), address);
        // It would be taken by the socket that was handed over.
        let own = sockets.listen(address).await.unwrap();
        assert_eq!(own.local_addr().unwrap(), address);
        sockets.all_taken().unwrap();
    }

    #[test]
    fn a_socket_that_no_port_takes_is_named() {
        let (sockets, address) = handed_over();
        let error = sockets.all_taken().unwrap_err().to_string();
        assert!(
            error.contains(&address.to_string()) && error.contains("--grpc-listen"),
            "{error}"
        );
    }
}
