//! The ports that a broker takes: for clients, for operators, and HTTP.

use crate::admin::{self, Facts};
use crate::config::Config;
use crate::http::{self, Health};
use crate::listener::{Listener, OpenConnections};
use crate::metrics::PortSources;
use crate::open_files::Shares;
use crate::tls::Tls;
use anyhow::Context as _;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// All of them, taken before the store is opened: clients that come early wait for it instead of being turned away.
pub(super) struct Ports {
    pub(super) clients: Listener,
    pub(super) acceptor: TlsAcceptor,
    pub(super) admin: admin::Port,
    pub(super) http: SocketAddr,
    pub(super) facts: Facts,
    pub(super) sources: PortSources,
}

impl Ports {
    /// Takes all of them. HTTP is served from now on: whoever watches hears that the broker is not ready yet.
    pub(super) async fn take(
        config: &Config,
        shares: &Shares,
        health: &Arc<Health>,
        background: &mut Vec<JoinHandle<()>>,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(config.http_listen).await;
        let listener =
            listener.with_context(|| format!("cannot listen on {} for HTTP", config.http_listen))?;
        let http = listener.local_addr()?;
        let web = OpenConnections::at_most(shares.http as u64);
        background.push(tokio::spawn(http::serve(
            listener,
            web.clone(),
            Arc::clone(health),
        )));
        let clients = Listener::bind(config.grpc_listen, shares.connections).await?;
        let tls = Tls::open(config)?;
        let acceptor = tls.acceptor(None)?;
        let admin = admin::Port::open(config, &tls, shares.admin).await?;
        let certificate = tls.expiry();
        background.push(tokio::spawn(tls.keep_current()));
        let addresses = [
            ("client", clients.address()),
            ("admin", admin.address()),
            ("http", http),
        ];
        let connections = [
            ("client", clients.connections()),
            ("admin", admin.connections()),
            ("http", web),
        ];
        Ok(Self {
            sources: PortSources {
                connections,
                certificate,
            },
            facts: Facts::new(config, addresses, clients.connections()),
            clients,
            acceptor,
            admin,
            http,
        })
    }
}
