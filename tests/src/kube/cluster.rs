//! A cluster that runs pods: one node of our own, or a cluster that somebody has named.

mod belongings;
mod fitness;
mod foreign;
mod killer;
mod own;

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use serde_json::json;
use tokio::sync::OnceCell;

use super::definitions::of_prometheus_operator;
use super::forward::Forward;
use super::helm::{self, Helm};
use super::kubectl::Kubectl;
use super::processes;
use crate::binaries;
use crate::image::Image;

pub use belongings::MARK;
pub use foreign::{CONTEXT, Foreign, LOAD_IMAGE};
pub use own::Own;

const KILLER_IMAGE: &str = "localhost/kube-probe:killer";

/// A cluster; dropping one of our own ends it and removes what it wrote.
#[derive(Debug)]
pub enum Cluster {
    /// On this machine, in namespaces of its own.
    Own(Box<Own>),
    /// Somebody's, of which nothing but the API is known.
    Foreign(Foreign),
}

impl Cluster {
    /// The one that the environment names, or a new one.
    ///
    /// # Errors
    /// When it does not come up; the end of a log is in the error.
    pub async fn start() -> Result<Self> {
        match Foreign::from_environment()? {
            Some(foreign) => {
                let removed = foreign.prepare()?;
                if !removed.is_empty() {
                    println!(
                        "removed from the cluster, as an earlier suite left it: {}",
                        removed.join(", ")
                    );
                }
                Ok(Self::Foreign(foreign))
            }
            None => Ok(Self::Own(Box::new(Own::temporary().await?))),
        }
    }

    /// The one that all tests of a suite share. It ends with the process.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    /// A client with all rights, for the runtime that this is called in.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn client(&self) -> Result<Client> {
        match self {
            Self::Own(own) => own.client().await,
            Self::Foreign(foreign) => foreign.client().await,
        }
    }

    /// The command line.
    #[must_use]
    pub fn kubectl(&self) -> Kubectl {
        match self {
            Self::Own(own) => Kubectl::of(own.kubeconfig()),
            Self::Foreign(foreign) => foreign.kubectl(),
        }
    }

    /// Helm, for it.
    #[must_use]
    pub fn helm(&self) -> Helm {
        match self {
            Self::Own(own) => Helm::of(own.kubeconfig()),
            Self::Foreign(foreign) => foreign.helm(),
        }
    }

    /// Makes a namespace with these labels. In somebody's cluster it goes when the suites are done.
    ///
    /// # Errors
    /// When the cluster has one of this name: it is not the suite's, and is left alone.
    pub fn make_namespace(&self, name: &str, labels: &[(&str, &str)]) -> Result<()> {
        let mut namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        for (label, value) in labels {
            namespace["metadata"]["labels"][label] = json!(value);
        }
        belongings::mark(&mut namespace);
        self.kubectl().create(&namespace).with_context(|| {
            format!(
                "the suite cannot have the namespace {name} for itself: if it is yours, use a cluster that has none of \
                 this name"
            )
        })
    }

    /// In somebody's cluster, makes a namespace that commands are about to make, so that it goes with the others.
    ///
    /// # Errors
    /// As [`Cluster::make_namespace`].
    pub fn reserve_namespace(&self, name: &str) -> Result<()> {
        match self {
            Self::Own(_) => Ok(()),
            Self::Foreign(_) => self.make_namespace(name, &[]),
        }
    }

    /// Defines the kinds of the Prometheus operator, unless the cluster has them: whose they are then, they stay.
    ///
    /// # Errors
    /// When the server does not take them.
    pub fn define_kinds_of_prometheus(&self) -> Result<()> {
        let kubectl = self.kubectl();
        for file in of_prometheus_operator()? {
            let text =
                std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            for mut definition in helm::objects(&text)? {
                let name = format!("crd/{}", belongings::name(&definition));
                if !kubectl
                    .run(&["get", &name, "--ignore-not-found", "--output=name"])?
                    .is_empty()
                {
                    continue;
                }
                belongings::mark(&mut definition);
                // Larger than what a client-side apply can note down.
                kubectl.create(&definition)?;
                kubectl.run(&["wait", "--for=condition=Established", "--timeout=60s", &name])?;
            }
        }
        Ok(())
    }

    /// Has kills reach the pods of the cluster's nodes.
    ///
    /// # Errors
    /// When the pods that kill in somebody's cluster do not run.
    pub fn arm(&self, probe: &Path) -> Result<()> {
        match self {
            Self::Own(_) => Ok(()),
            Self::Foreign(_) => {
                self.load_executable(KILLER_IMAGE, probe)?;
                killer::start(&self.kubectl(), KILLER_IMAGE)
            }
        }
    }

    /// Kills the processes of a program in a pod, as `kill -9` does. [`Cluster::arm`] comes before the first.
    ///
    /// # Errors
    /// When there is none.
    pub fn kill(&self, pod: &Pod, program: &str) -> Result<()> {
        let uid = pod.metadata.uid.as_deref().context("a pod has no uid")?;
        match self {
            Self::Own(_) => processes::kill(uid, program),
            Self::Foreign(_) => {
                let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
                killer::kill(&self.kubectl(), node.context("a pod has no node")?, uid, program)
            }
        }
    }

    /// Makes an image of one executable under this name, and gives it to the cluster's nodes.
    ///
    /// # Errors
    /// When buildah fails, or the cluster does not take it.
    pub fn load_executable(&self, name: &str, executable: &Path) -> Result<()> {
        let folder = tempfile::TempDir::with_prefix_in("image-", scratch()?)?;
        let image = Image::of_executable(folder.path(), name, executable)?;
        self.load(&image, name)
    }

    /// Gives an image to the cluster's nodes, under this name.
    ///
    /// # Errors
    /// When the cluster does not take it.
    pub fn load(&self, image: &Image, name: &str) -> Result<()> {
        let folder = tempfile::TempDir::with_prefix_in("archive-", scratch()?)?;
        let archive = folder.path().join("image.tar");
        image.write_archive(&archive, name)?;
        match self {
            Self::Own(own) => own.import(&archive),
            Self::Foreign(foreign) => foreign.load(&archive),
        }
    }

    /// A port of this machine for an address in the cluster: a pod's, or a Service's.
    ///
    /// # Errors
    /// When the cluster is somebody's, whose network cannot be entered.
    pub fn forward(&self, address: SocketAddr) -> Result<Forward> {
        match self {
            Self::Own(own) => own.forward(address),
            Self::Foreign(_) => bail!("{address} is in the network of a cluster that was named by {CONTEXT}"),
        }
    }
}

fn scratch() -> Result<std::path::PathBuf> {
    let scratch = binaries::scratch().join("system-tests");
    std::fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
    Ok(scratch)
}
