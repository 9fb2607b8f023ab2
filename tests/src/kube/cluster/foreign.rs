//! A cluster of somebody's own, named by a context of the kubeconfig.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use kube::Client;

use crate::kube::helm::Helm;
use crate::kube::kubeconfig;
use crate::kube::kubectl::Kubectl;

/// Names the context.
pub const CONTEXT: &str = "SLUICE_KUBE_CONTEXT";
/// The command that loads an image into the cluster; the archive's path is put behind it.
pub const LOAD_IMAGE: &str = "SLUICE_KUBE_LOAD_IMAGE";

/// What is known of it.
#[derive(Debug)]
pub struct Foreign {
    context: String,
    load_image: String,
}

impl Foreign {
    /// The one that is named, if one is.
    ///
    /// # Errors
    /// When it is not said how an image gets into it.
    pub fn from_environment() -> Result<Option<Self>> {
        let Ok(context) = std::env::var(CONTEXT) else {
            return Ok(None);
        };
        let load_image = std::env::var(LOAD_IMAGE).with_context(|| {
            format!(
                "{CONTEXT} is set and {LOAD_IMAGE} is not: it is the command that loads an image archive into the \
                 cluster, for example `kind load image-archive`"
            )
        })?;
        Ok(Some(Self { context, load_image }))
    }

    /// A client with the rights that the context has.
    ///
    /// # Errors
    /// When the kubeconfig has no such context.
    pub async fn client(&self) -> Result<Client> {
        kubeconfig::client(None, Some(&self.context)).await
    }

    /// The command line.
    #[must_use]
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::of_context(&self.context)
    }

    /// Helm.
    #[must_use]
    pub fn helm(&self) -> Helm {
        Helm::of_context(&self.context)
    }

    /// Loads an archive with the command that was given for it.
    ///
    /// # Errors
    /// When the command fails.
    pub fn load(&self, archive: &Path) -> Result<()> {
        let status = Command::new("sh")
            .args(["-c", &format!("{} \"$1\"", self.load_image), "sh"])
            .arg(archive)
            .stdin(Stdio::null())
            .status()
            .context("cannot start sh")?;
        ensure!(
            status.success(),
            "`{} {}` ended with {status}",
            self.load_image,
            archive.display()
        );
        Ok(())
    }
}
