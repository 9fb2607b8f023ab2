//! An API server alone: objects are kept, validated and watched, and nothing acts on them. It needs no root, and several
//! of them run at one time.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Result;
use kube::Client;
use tokio::sync::OnceCell;

use super::certificates::Authority;
use super::control_plane::{self, Place};
use super::folder::Folder;
use super::kubeconfig;
use super::process::Process;
use crate::ports;

/// Between the choice of a port and its use, somebody else may have taken it.
const TRIES: usize = 3;

/// A running API server with an etcd of its own; dropping it ends both and removes what they wrote.
#[derive(Debug)]
pub struct ApiServer {
    kubeconfig: PathBuf,
    /// Before the folder that they write to: fields are dropped in this order.
    processes: Vec<Process>,
    folder: Folder,
}

impl ApiServer {
    /// Starts one on free ports and waits until it is ready.
    ///
    /// # Errors
    /// When the programs are not there and cannot be built, or do not start: the end of the log is in the error.
    pub async fn start() -> Result<Self> {
        let mut last = None;
        for _ in 0..TRIES {
            match Self::try_start().await {
                Ok(server) => return Ok(server),
                Err(error) if format!("{error:#}").contains("address already in use") => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("no port was tried")))
    }

    /// The one that all tests of a suite share. It ends with the process.
    ///
    /// # Errors
    /// As [`ApiServer::start`].
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<ApiServer> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    async fn try_start() -> Result<Self> {
        let folder = Folder::temporary()?;
        let logs = folder.make("logs")?;
        let place = Place {
            etcd_port: ports::free()?,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()?)),
            with_nodes: false,
        };
        let authority = Authority::create(&folder)?;
        let admin = authority.client("admin", Some("system:masters"))?;
        let url = format!("https://{}", place.listen);
        let kubeconfig = kubeconfig::write(&folder, "kubeconfig", &url, &authority, &admin)?;
        let etcd = control_plane::etcd(&folder, place)?;
        let server = control_plane::api_server(&folder, &authority, place)?;
        let mut started = Self {
            kubeconfig,
            processes: vec![
                Process::start("etcd", &etcd, &logs)?,
                Process::start("kube-apiserver", &server, &logs)?,
            ],
            folder,
        };
        let client = started.client().await?;
        control_plane::wait_until_ready(&client, &mut started.processes).await?;
        Ok(started)
    }

    /// A client with all rights, for the runtime that this is called in.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn client(&self) -> Result<Client> {
        kubeconfig::client(Some(&self.kubeconfig), None).await
    }

    /// The file by which other programs find the server, with all rights.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Where its files are; they go with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The numbers of its processes.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        self.processes.iter().map(Process::id).collect()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for process in &self.processes {
                eprintln!(
                    "--- the end of {}'s log\n{}",
                    process.name(),
                    process.end_of_log()
                );
            }
        }
    }
}
