//! A cluster that runs pods: one node of our own, or a cluster that somebody has named.

mod foreign;
mod own;

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use kube::Client;
use tokio::sync::OnceCell;

use super::forward::Forward;
use super::helm::Helm;
use super::kubectl::Kubectl;
use crate::binaries;
use crate::image::Image;

pub use foreign::{CONTEXT, LOAD_IMAGE};
pub use own::Own;

/// A cluster; dropping one of our own ends it and removes what it wrote.
#[derive(Debug)]
pub enum Cluster {
    /// On this machine, in namespaces of its own.
    Own(Box<Own>),
    /// Somebody's, of which nothing but the API is known.
    Foreign(foreign::Foreign),
}

impl Cluster {
    /// The one that the environment names, or a new one.
    ///
    /// # Errors
    /// When it does not come up; the end of a log is in the error.
    pub async fn start() -> Result<Self> {
        match foreign::Foreign::from_environment()? {
            Some(foreign) => Ok(Self::Foreign(foreign)),
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
