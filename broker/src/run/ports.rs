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
use anyhow::{Context as _, bail};
use rustix::fs::{Access, access};
use std::io::ErrorKind;
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
        let ports = wanted(config);
        apart(&ports)?;
        sockets.all_wanted(&ports)?;
        let [grpc_port, admin_port, http_port] = &ports;
        let listener = sockets.listen(http_port.address).await;
        let listener = listener
            .with_context(|| format!("cannot listen on {}", http_port.address))
            .with_context(|| http_port.taken())?;
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
        let listener = sockets.listen(grpc_port.address).await;
        let clients = Listener::over(listener, grpc_port.address, shares.connections, &bounds);
        let clients = clients.with_context(|| grpc_port.taken())?;
        let listener = sockets.listen(admin_port.address).await;
        let operators = Listener::over(listener, admin_port.address, shares.admin, &bounds);
        let operators = operators.with_context(|| admin_port.taken())?;
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

/// A port as the configuration has it.
pub(super) struct Wanted {
    /// What it is for.
    pub(super) what: &'static str,
    pub(super) flag: &'static str,
    pub(super) address: SocketAddr,
}

impl Wanted {
    /// That it is not to be had, and how to take another.
    fn taken(&self) -> String {
        format!(
            "the port for {} is not to be had, {} names another",
            self.what, self.flag
        )
    }

    /// Whether a socket at one keeps the system from opening one at the other.
    fn excludes(&self, other: &Self) -> bool {
        let (one, other) = (self.address, other.address);
        let (own_ip, other_ip) = (one.ip(), other.ip());
        let everywhere = own_ip.is_unspecified() || other_ip.is_unspecified();
        one.port() != 0
            && one.port() == other.port()
            && own_ip.is_ipv4() == other_ip.is_ipv4()
            && (everywhere || own_ip == other_ip)
    }
}

/// For clients, for operators, and HTTP.
fn wanted(config: &Config) -> [Wanted; 3] {
    let port = |what, flag, address| Wanted { what, flag, address };
    [
        port("clients", "--grpc-listen", config.grpc_listen),
        port("the admin API", "--admin-listen", config.admin_listen),
        port("health and metrics", "--http-listen", config.http_listen),
    ]
}

/// Whether each can have its own: the system would say of the second only that its address is in use.
fn apart(ports: &[Wanted]) -> anyhow::Result<()> {
    for (index, one) in ports.iter().enumerate() {
        if let Some(other) = ports[..index].iter().find(|other| other.excludes(one)) {
            bail!(
                "the port for {} and the one for {} are the same, {} is {} and {} is {}: give them different ports",
                other.what,
                one.what,
                other.flag,
                other.address,
                one.flag,
                one.address
            );
        }
    }
    Ok(())
}

/// Makes the folder, or looks whether anything can be made in it.
fn own_folder(folder: &Path) -> anyhow::Result<()> {
    let writable = || access(folder, Access::WRITE_OK | Access::EXEC_OK);
    let made = std::fs::create_dir_all(folder).and_then(|()| Ok(writable()?));
    made.map_err(|error| {
        let said = format!(
            "no data can be kept in {}: {}, or name another one with --data-dir",
            folder.display(),
            way_on(error.kind())
        );
        anyhow::Error::new(error).context(said)
    })
}

/// What makes a folder of one that the system refuses for this reason.
fn way_on(reason: ErrorKind) -> &'static str {
    match reason {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free space on its disk",
        ErrorKind::ReadOnlyFilesystem => "have its file system mounted for writing",
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            "a part of that path is no folder: make it one of the user that the broker runs as"
        }
        _ => "make it a folder of the user that the broker runs as",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_had_is_told_with_what_helps_against_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        for folder in [file.clone(), file.join("data")] {
            let said = format!("{:#}", own_folder(&folder).unwrap_err());
            assert!(
                said.contains("no folder: make it one of the user that the broker runs as, or name"),
                "{said}"
            );
        }
        own_folder(&dir.path().join("new/data")).unwrap();
        assert_eq!(way_on(ErrorKind::StorageFull), "free space on its disk");
        assert!(way_on(ErrorKind::PermissionDenied).contains("the user that the broker runs as"));
    }

    #[test]
    fn two_ports_at_one_address_are_told_apart_by_their_flags() {
        let config = |flags: &[&str]| Config::of_flags(flags).unwrap();
        for (flags, named) in [
            (
                &["--grpc-listen", "127.0.0.1:8082"][..],
                ["--grpc-listen is 127.0.0.1:8082", "--admin-listen"],
            ),
            (
                &["--grpc-listen", "0.0.0.0:5557"],
                ["--grpc-listen is 0.0.0.0:5557", "--http-listen"],
            ),
            (
                &["--http-listen", "0.0.0.0:8082"],
                ["--admin-listen", "--http-listen is 0.0.0.0:8082"],
            ),
            (
                &["--http-listen", "[::]:9000", "--grpc-listen", "[::1]:9000"],
                ["--grpc-listen is [::1]:9000", "--http-listen is [::]:9000"],
            ),
        ] {
            let error = apart(&wanted(&config(flags))).unwrap_err().to_string();
            for part in named {
                assert!(error.contains(part), "{error}");
            }
        }
        for flags in [
            &[][..],
            &["--grpc-listen", "127.0.0.2:8082"],
            // Whatever is free.
            &["--grpc-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"],
            // The system says whether one can be had beside the other.
            &["--grpc-listen", "[::1]:8082"],
        ] {
            apart(&wanted(&config(flags))).unwrap();
        }
    }
}
