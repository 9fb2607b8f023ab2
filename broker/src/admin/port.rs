//! The admin port: bound, guarded, served.

use super::{Admin, Guarded};
use crate::config::Config;
use crate::listener::{Listener, OpenConnections};
use crate::metrics::AdminCalls;
use crate::shutdown::Shutdown;
use crate::tls;
use sluice_access::Door;
use sluice_access::tls::{ClientCa, Tls};
use sluice_access::tokens::Tokens;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Running calls may take so long to end.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// The admin port, taken and not yet served.
pub struct Port {
    listener: Listener,
    acceptor: TlsAcceptor,
    tokens: Option<Tokens>,
    client_ca: Option<ClientCa>,
}

impl Port {
    /// Over the port that was taken; reads what lets callers in.
    pub fn open(config: &Config, certificate: &Tls, listener: Listener) -> anyhow::Result<Self> {
        let tokens = config.admin_token_file.as_deref();
        let tokens = tokens
            .map(|file| Tokens::open(file, "the admin API"))
            .transpose()?;
        let client_ca = config
            .admin_client_ca
            .as_deref()
            .map(ClientCa::open)
            .transpose()?;
        Ok(Self {
            acceptor: certificate.acceptor(tls::PROTOCOL, client_ca.as_ref())?,
            listener: listener.kept_by_calls_that_say_so(),
            tokens,
            client_ca,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Tells at any time how many connections there are.
    pub fn connections(&self) -> OpenConnections {
        self.listener.connections()
    }

    /// Serves until it is stopped, and counts the `calls`; from `stopping` on its health says so.
    pub fn serve(
        self,
        admin: Admin,
        calls: Arc<AdminCalls>,
        stopping: &Shutdown,
    ) -> Result<Serving, tonic_reflection::server::Error> {
        let door = Door {
            tokens: self.tokens.as_ref().map(Tokens::current),
            client_ca: self.client_ca.is_some(),
        };
        let guarded = Guarded::new(door, admin.routes(stopping)?, calls);
        let (address, end) = (self.address(), Shutdown::default());
        let server = self.listener.serve(self.acceptor, guarded, end.clone());
        Ok(Serving {
            address,
            server: tokio::spawn(server),
            background: [
                self.tokens.map(|tokens| tokio::spawn(tokens.keep_current())),
                self.client_ca.map(|ca| tokio::spawn(ca.keep_current())),
            ],
            end,
        })
    }
}

/// The admin port while it is served.
pub struct Serving {
    /// Where it listens.
    pub address: SocketAddr,
    /// It ends when it is stopped, and not before.
    pub server: JoinHandle<()>,
    background: [Option<JoinHandle<()>>; 2],
    end: Shutdown,
}

impl Serving {
    /// Takes no more calls, and lets the running ones end.
    pub async fn stop(self) {
        self.end.begin();
        if tokio::time::timeout(DRAIN_MAX, self.server).await.is_err() {
            tracing::warn!("admin calls still run after {DRAIN_MAX:?}: they are cut off");
        }
        self.background.iter().flatten().for_each(JoinHandle::abort);
    }
}
