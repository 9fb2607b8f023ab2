//! The ports that a broker takes: for clients, for operators, and HTTP.

use super::Sockets;
use crate::admin::{self, Facts};
use crate::budget::Budget;
use crate::config::Config;
use crate::http::{self, Health};
use crate::listener::{Bounds, Listener, OpenConnections};
use crate::metrics::PortSources;
use crate::open_files::Shares;
use crate::tls;
use anyhow::Context as _;
use rustix::fs::{Access, access};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
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
    /// Over all connections.
    pub(super) bounds: Arc<Bounds>,
}

impl Ports {
    /// Takes all of them. HTTP is served from now on: whoever watches hears that the broker is not ready yet.
    pub(super) async fn take(
        config: &Config,
        mut sockets: Sockets,
        shares: &Shares,
        health: &Arc<Health>,
        background: &mut Vec<JoinHandle<()>>,
    ) -> anyhow::Result<Self> {
        let listener = sockets.listen(config.http_listen).await;
        let listener = listener
            .with_context(|| format!("cannot listen on {}", config.http_listen))
            .with_context(|| taken("health and metrics", "--http-listen"))?;
        let http = listener.local_addr()?;
        let web = OpenConnections::at_most(shares.http as u64);
        background.push(tokio::spawn(http::serve(
            listener,
            web.clone(),
            Arc::clone(health),
        )));
        let bounds = Arc::new(Bounds {
            unfinished: Budget::of(config.limits.unfinished_bytes),
            transfer: config.limits.transfer,
            refused: AtomicU64::default(),
        });
        let clients = Listener::over(
            sockets.listen(config.grpc_listen).await,
            config.grpc_listen,
            shares.connections,
            &bounds,
        );
        let clients = clients.with_context(|| taken("clients", "--grpc-listen"))?;
        let operators = Listener::over(
            sockets.listen(config.admin_listen).await,
            config.admin_listen,
            shares.admin,
            &bounds,
        );
        let operators = operators.with_context(|| taken("the admin API", "--admin-listen"))?;
        sockets.all_taken()?;
        // Only now is anything written: a start that finds a port taken leaves nothing behind.
        own_folder(&config.data_dir)?;
        let certificate = tls::open(config)?;
        let acceptor = certificate.acceptor(tls::PROTOCOL, None)?;
        let admin = admin::Port::open(config, &certificate, operators)?;
        let expiry = certificate.expiry();
        background.push(tokio::spawn(certificate.keep_current()));
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
            bounds,
            sources: PortSources {
                connections,
                certificate: expiry,
            },
            facts: Facts::new(config, addresses, clients.connections()),
            clients,
            acceptor,
            admin,
            http,
        })
    }
}

/// What a port that is not to be had was for, and how to take another.
fn taken(what: &str, flag: &str) -> String {
    format!("the port for {what} is not to be had, {flag} names another")
}

/// Makes the folder, or looks whether anything can be made in it.
fn own_folder(folder: &Path) -> anyhow::Result<()> {
    let writable = || access(folder, Access::WRITE_OK | Access::EXEC_OK);
    std::fs::create_dir_all(folder)
        .and_then(|()| Ok(writable()?))
        .with_context(|| {
            format!(
                "no data can be kept in {}: give the folder to the user that the broker runs as, or name another one with --data-dir",
                folder.display()
            )
        })
}
