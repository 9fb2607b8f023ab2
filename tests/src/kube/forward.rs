//! Ways into the network of a node: a port on this machine's loopback interface for an address in there.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// Forwards connections until it is dropped.
#[derive(Debug)]
pub struct Forward {
    local: SocketAddr,
    /// Ends the thread when it goes.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Forward {
    /// Opens a way to this address in the network. The listener belongs to this network, since it is made here, and what
    /// the thread opens belongs to the one that the thread enters.
    ///
    /// # Errors
    /// When the network cannot be entered.
    pub fn open(network: File, target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        listener.set_nonblocking(true)?;
        let local = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let (entered, has_entered) = channel();
        let thread = std::thread::spawn(move || {
            let result = move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network));
            let succeeded = result.is_ok();
            // Whoever opens waits for this.
            let _ = entered.send(result);
            if succeeded {
                serve(listener, target, stopped)
            } else {
                Ok(())
            }
        });
        has_entered
            .recv()
            .context("the thread has ended")?
            .context("cannot enter the node's network")?;
        Ok(Self {
            local,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where to connect to.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It served whom it could.
            let _ = thread.join();
        }
    }
}

/// All of it on this one thread: another would be in the wrong network.
fn serve(listener: TcpListener, target: SocketAddr, stopped: oneshot::Receiver<()>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let accept = async {
            loop {
                let (mut near, _) = listener.accept().await?;
                tokio::spawn(async move {
                    // A connection that fails is closed, as it would be without a way in between.
                    if let Ok(mut far) = TcpStream::connect(target).await {
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        };
        tokio::select! {
            ended = accept => ended,
            _ = stopped => Ok(()),
        }
    })
}
