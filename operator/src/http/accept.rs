//! Accepting connections, of which a bounded number stands at a time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// After a failure to accept, such as too many open files: trying at once would fail at once.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// A new connection takes the place of the oldest: whoever holds connections without asking keeps nobody out.
    pub connections: usize,
    /// A whole connection, with all its requests. Whoever is slower than that comes again.
    pub time: Duration,
}

/// Accepts until it is dropped; each connection has a task of its own.
pub async fn accept<F>(
    listener: TcpListener,
    bounds: Bounds,
    mut converse: impl FnMut(TcpStream, SocketAddr) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut conversations: VecDeque<JoinHandle<()>> = VecDeque::with_capacity(bounds.connections);
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                make_place(&mut conversations, bounds.connections).await;
                let conversation = tokio::time::timeout(bounds.time, converse(stream, remote));
                conversations.push_back(tokio::spawn(async move {
                    if conversation.await.is_err() {
                        tracing::debug!(%remote, "an HTTP connection took too long");
                    }
                }));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

async fn make_place(conversations: &mut VecDeque<JoinHandle<()>>, most: usize) {
    conversations.retain(|conversation| !conversation.is_finished());
    while conversations.len() >= most
        && let Some(oldest) = conversations.pop_front()
    {
        oldest.abort();
        // The connection is closed when the runtime has dropped the task. That it was cancelled is no news.
        let _ = oldest.await;
    }
}
