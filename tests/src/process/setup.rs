//! What a broker is started with.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::{Broker, CONFIG_FILE, INIT_FILE};
use crate::{binaries, ports};

/// What a broker is started with.
#[derive(Debug, Default)]
pub struct Setup {
    binary: Option<PathBuf>,
    open_files: Option<u32>,
    flags: Vec<String>,
    /// Addresses to listen on other than the free ones.
    addresses: Vec<(String, String)>,
    /// Address flags that are given every interface.
    everywhere: Vec<String>,
    environment: Vec<(String, String)>,
    holds_socket: bool,
    init: Option<String>,
    config: Option<String>,
    data_dir: Option<PathBuf>,
}

impl Setup {
    /// The broker as it is shipped, with its default flags but for ports and folder. A send may wait longer: a machine that stands
    /// still for half a second would refuse some, and fail tests of other things. Nor does it look at how full the disk is: that of
    /// whoever runs the tests is what it is.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
            .environment("SLUICE_MAX_SEND_WAIT_MILLIS", "60000")
            .environment("SLUICE_EARLY_RETENTION_PERCENT", "0")
            .environment("SLUICE_FORCED_RETENTION_PERCENT", "0")
            .environment("SLUICE_REFUSE_SENDS_PERCENT", "0")
    }

    /// Adds a flag with its value.
    #[must_use]
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// Gives an address flag another value than a free port of the loopback interface.
    #[must_use]
    pub fn instead(mut self, name: &str, address: &str) -> Self {
        self.addresses.push((name.to_owned(), address.to_owned()));
        self
    }

    /// Lets an address flag have a free port of every interface.
    #[must_use]
    pub fn every_interface(mut self, name: &str) -> Self {
        self.everywhere.push(name.to_owned());
        self
    }

    /// Gives `--init` a file with this text.
    #[must_use]
    pub fn init(mut self, yaml: &str) -> Self {
        self.init = Some(yaml.to_owned());
        self
    }

    /// Gives `--config` a file with this text.
    #[must_use]
    pub fn config(mut self, yaml: &str) -> Self {
        self.config = Some(yaml.to_owned());
        self
    }

    /// Keeps its data there, in a folder that outlives it.
    #[must_use]
    pub fn data_dir(mut self, path: &Path) -> Self {
        self.data_dir = Some(path.to_owned());
        self
    }

    /// Takes another executable.
    #[must_use]
    pub fn binary(mut self, path: &Path) -> Self {
        self.binary = Some(path.to_owned());
        self
    }

    /// Lets the process open no more files than that, and not raise the limit.
    #[must_use]
    pub fn open_files(mut self, limit: u32) -> Self {
        self.open_files = Some(limit);
        self
    }

    /// Adds a variable to the broker's environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets the socket for clients be there before the broker, and stay while it is down.
    #[must_use]
    pub fn holding_the_socket(mut self) -> Self {
        self.holds_socket = true;
        self
    }

    /// Starts a broker over a new folder and waits until it is ready.
    ///
    /// # Errors
    /// When it ends or does not become ready in time; its log has been printed then.
    pub fn start(self) -> Result<Broker> {
        let mut broker = self.prepare()?;
        broker.restart()?;
        Ok(broker)
    }

    /// As [`Setup::start`], over a folder of another broker.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn spawn_over(self, data_dir: &Path) -> Result<Broker> {
        let mut broker = self.prepare()?;
        broker.data_dir = data_dir.to_owned();
        broker.spawn()?;
        Ok(broker)
    }

    /// As [`Setup::start`], over a data folder that is there already: the broker's own copy, which goes with it.
    ///
    /// # Errors
    /// When the folder cannot be made by `prepare`, or the broker does not become ready in time.
    pub fn start_over(self, prepare: impl FnOnce(&Path) -> Result<()>) -> Result<Broker> {
        let mut broker = self.prepare()?;
        prepare(&broker.data_dir)?;
        broker.restart()?;
        Ok(broker)
    }

    /// As [`Setup::start_over`], but nothing is started yet.
    ///
    /// # Errors
    /// When the folder cannot be made by `prepare`.
    pub fn stopped_over(self, prepare: impl FnOnce(&Path) -> Result<()>) -> Result<Broker> {
        let broker = self.prepare()?;
        prepare(&broker.data_dir)?;
        Ok(broker)
    }

    /// Starts a broker without waiting for anything.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn spawn(self) -> Result<Broker> {
        let mut broker = self.prepare()?;
        broker.spawn()?;
        Ok(broker)
    }

    fn prepare(self) -> Result<Broker> {
        let binary = match &self.binary {
            Some(path) => path.clone(),
            None => binaries::broker()?,
        };
        let base = binaries::scratch().join("system-tests");
        std::fs::create_dir_all(&base).with_context(|| format!("cannot make {}", base.display()))?;
        let folder = TempDir::with_prefix_in("broker-", &base).context("cannot make a folder")?;
        let (grpc_port, admin_port, http_port) = (ports::free()?, ports::free()?, ports::free()?);
        let mut flags = self.flags;
        for (name, port) in [
            ("--grpc-listen", grpc_port),
            ("--admin-listen", admin_port),
            ("--http-listen", http_port),
        ] {
            let other = self.addresses.iter().find(|(flag, _)| flag == name);
            let host = if self.everywhere.iter().any(|flag| flag == name) {
                "0.0.0.0"
            } else {
                "127.0.0.1"
            };
            let address = other.map_or_else(|| format!("{host}:{port}"), |(_, address)| address.clone());
            flags.extend([name.to_owned(), address]);
        }
        for (flag, file, yaml) in [
            ("--init", INIT_FILE, &self.init),
            ("--config", CONFIG_FILE, &self.config),
        ] {
            if let Some(yaml) = yaml {
                let path = folder.path().join(file);
                std::fs::write(&path, yaml).with_context(|| format!("cannot write the file for {flag}"))?;
                flags.extend([flag.to_owned(), path.display().to_string()]);
            }
        }
        let socket = self
            .holds_socket
            .then(|| TcpListener::bind((Ipv4Addr::LOCALHOST, grpc_port)));
        Ok(Broker {
            socket: socket.transpose().context("cannot open the socket for clients")?,
            binary,
            open_files: self.open_files,
            under: Vec::new(),
            flags,
            environment: self.environment,
            grpc_port,
            admin_port,
            http_port,
            data_dir: self.data_dir.unwrap_or_else(|| folder.path().join("data")),
            folder: Some(folder),
            child: None,
        })
    }
}
