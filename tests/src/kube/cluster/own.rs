//! One node on this machine. The kernel takes everything away with the process that started it.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::{Api, Client};

use crate::kube::certificates::Authority;
use crate::kube::control_plane::{self, Place};
use crate::kube::folder::Folder;
use crate::kube::forward::Forward;
use crate::kube::namespaces::{NODE_ADDRESS, Namespaces};
use crate::kube::process::Process;
use crate::kube::{cgroups, kubeconfig, node, node_images, volumes};
use crate::wait;

const ENGINE_WITHIN: Duration = Duration::from_secs(30);
const NODE_WITHIN: Duration = Duration::from_secs(90);
/// The usual ports: nobody else is in this network.
const SERVER_PORT: u16 = 6443;
const ETCD_PORT: u16 = 2379;

/// A running node.
#[derive(Debug)]
pub struct Own {
    kubeconfig: PathBuf,
    took: Duration,
    /// In the order in which they go: nobody writes any more when the folder is removed.
    _way_to_server: Forward,
    processes: Vec<Process>,
    namespaces: Namespaces,
    folder: Folder,
}

impl Own {
    /// Starts one in a folder among those of the suites.
    ///
    /// # Errors
    /// When this process is not root, something is not installed, or the node does not become ready.
    pub async fn temporary() -> Result<Self> {
        Self::start(Folder::temporary()?).await
    }

    /// Starts one in this folder.
    ///
    /// # Errors
    /// As [`Own::temporary`], and when the folder is somebody else's.
    pub async fn at(folder: &Path) -> Result<Self> {
        Self::start(Folder::at(folder)?).await
    }

    async fn start(folder: Folder) -> Result<Self> {
        let started = Instant::now();
        let logs = folder.make("logs")?;
        let namespaces = Namespaces::create(&folder)?;
        cgroups::make(folder.path())?;
        let address: IpAddr = NODE_ADDRESS.parse()?;
        let place = Place {
            etcd_port: ETCD_PORT,
            listen: SocketAddr::from((address, SERVER_PORT)),
            with_nodes: true,
        };
        let authority = Authority::create(&folder)?;
        let forward = Forward::open(namespaces.network()?, place.listen)?;
        let admin = authority.client("admin", Some("system:masters"))?;
        let url = format!("https://{}", forward.local());
        let kubeconfig = kubeconfig::write(&folder, "kubeconfig", &url, &authority, &admin)?;
        let mut starting = Self {
            kubeconfig,
            took: Duration::ZERO,
            _way_to_server: forward,
            processes: Vec::new(),
            namespaces,
            folder,
        };
        starting.begin("etcd", &logs, &control_plane::etcd(&starting.folder, place)?)?;
        let server = control_plane::api_server(&starting.folder, &authority, place)?;
        starting.begin("kube-apiserver", &logs, &server)?;
        let containerd = node::containerd(&starting.folder)?;
        starting.begin("containerd", &logs, &containerd)?;
        // Beside the start of the server, which takes longer.
        let pause = node_images::make_pause(&starting.folder)?;
        starting.import_pause(&pause)?;
        let client = starting.client().await?;
        control_plane::wait_until_ready(&client, &mut starting.processes).await?;
        starting.begin_the_rest(&logs, &authority, &format!("https://{}", place.listen))?;
        volumes::offer(&client, &starting.folder).await?;
        starting.wait_until_ready(&client).await?;
        starting.took = started.elapsed();
        Ok(starting)
    }

    /// What needs the API server, each with an identity of its own.
    fn begin_the_rest(&mut self, logs: &Path, authority: &Authority, url: &str) -> Result<()> {
        let kubeconfig = |file: &str, user: &str, group: Option<&str>| {
            let identity = authority.client(user, group)?;
            let path = kubeconfig::write(
                &self.folder,
                &format!("clients/{file}"),
                url,
                authority,
                &identity,
            )?;
            anyhow::Ok(path.display().to_string())
        };
        let user_of_node = format!("system:node:{}", node::NAME);
        let controllers = kubeconfig("controllers", "system:kube-controller-manager", None)?;
        let scheduler = kubeconfig("scheduler", "system:kube-scheduler", None)?;
        let kubelet = kubeconfig("kubelet", &user_of_node, Some("system:nodes"))?;
        let proxy = kubeconfig("proxy", "system:kube-proxy", None)?;
        let dns = kubeconfig("dns", "dns", Some("system:masters"))?;
        for (name, command) in [
            (
                "kube-controller-manager",
                node::controllers(&self.folder, &controllers)?,
            ),
            ("kubelet", node::kubelet(&self.folder, &kubelet)?),
            ("kube-scheduler", node::scheduler(&scheduler)?),
            ("kube-proxy", node::proxy(&proxy)?),
            ("coredns", node::dns(&self.folder, &dns)?),
        ] {
            self.begin(name, logs, &command)?;
        }
        Ok(())
    }

    fn begin(&mut self, name: &str, logs: &Path, command: &Command) -> Result<()> {
        let process = Process::start(name, &self.namespaces.enter(command), logs)?;
        self.processes.push(process);
        Ok(())
    }

    fn import_pause(&mut self, archive: &Path) -> Result<()> {
        wait::until("containerd takes an image", ENGINE_WITHIN, || {
            let ended = self.first_that_ended();
            if ended.is_some() {
                return Ok(Some(ended));
            }
            self.import(archive)?;
            Ok(Some(None))
        })?
        .map_or(Ok(()), Err)
    }

    /// Ready to run pods: the node, and the account that pods of the first namespace run as.
    async fn wait_until_ready(&mut self, client: &Client) -> Result<()> {
        let nodes: Api<Node> = Api::all(client.clone());
        let accounts: Api<ServiceAccount> = Api::default_namespaced(client.clone());
        let ended = wait::until_async("the node is ready", NODE_WITHIN, async || {
            let ended = self.first_that_ended();
            if ended.is_some() {
                return Ok(Some(ended));
            }
            let node = nodes.get(node::NAME).await?;
            let conditions = node
                .status
                .and_then(|status| status.conditions)
                .unwrap_or_default();
            let ready = conditions
                .iter()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True");
            let account = accounts.get_opt("default").await?;
            Ok((ready && account.is_some()).then_some(None))
        });
        let ended = ended.await.with_context(|| self.ends_of_logs())?;
        ended.map_or(Ok(()), Err)
    }

    fn first_that_ended(&mut self) -> Option<anyhow::Error> {
        let first = self.namespaces.check().err();
        first.or_else(|| {
            self.processes
                .iter_mut()
                .find_map(|process| process.check().err())
        })
    }

    fn ends_of_logs(&self) -> String {
        self.processes
            .iter()
            .map(|process| {
                format!(
                    "--- the end of {}'s log\n{}\n",
                    process.name(),
                    process.end_of_log()
                )
            })
            .collect()
    }

    /// Hands an image archive to the node.
    ///
    /// # Errors
    /// When containerd does not take it.
    pub fn import(&self, archive: &Path) -> Result<()> {
        node_images::import(&self.namespaces, &node::engine_socket(&self.folder), archive)
    }

    /// A port of this machine for an address in the node's network.
    ///
    /// # Errors
    /// When the network is gone.
    pub fn forward(&self, address: SocketAddr) -> Result<Forward> {
        Forward::open(self.namespaces.network()?, address)
    }

    /// A client with all rights, for the runtime that this is called in.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn client(&self) -> Result<Client> {
        kubeconfig::client(Some(&self.kubeconfig), None).await
    }

    /// The file by which programs on this machine find the server, with all rights.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The same command in the node's namespaces, where Services and pods have addresses.
    #[must_use]
    pub fn enter(&self, command: &Command) -> Command {
        self.namespaces.enter(command)
    }

    /// What a command in the node's network begins with, for whoever types one.
    #[must_use]
    pub fn network_prefix(&self) -> String {
        self.namespaces.network_prefix()
    }

    /// How long it took until the node was ready.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.took
    }

    /// Where its files are; they go with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// An error if anything of it has ended.
    ///
    /// # Errors
    /// See above.
    pub fn check(&mut self) -> Result<()> {
        self.first_that_ended().map_or(Ok(()), Err)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.ends_of_logs());
        }
    }
}
