//! A cluster of somebody's own, named by a context of the kubeconfig.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use kube::Client;

use super::belongings::Belongings;
use super::fitness;
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

    /// The one of this context, into which no image gets: for a look at it, and for what suites have left there.
    #[must_use]
    pub fn of_context(context: &str) -> Self {
        Self {
            context: context.to_owned(),
            load_image: "false".to_owned(),
        }
    }

    /// Sees to it that suites can begin: that the cluster is one they can use, and has nothing of an earlier run in it. Gives
    /// the names of what was removed.
    ///
    /// # Errors
    /// When they cannot: what to do is in the error.
    pub fn prepare(&self) -> Result<Vec<String>> {
        let removed = self.clear()?;
        fitness::is_free(&self.kubectl(), &self.context)?;
        Ok(removed)
    }

    /// Removes what suites have made there, and gives the names of it.
    ///
    /// # Errors
    /// When the cluster does not answer, or refuses.
    pub fn clear(&self) -> Result<Vec<String>> {
        let kubectl = self.kubectl();
        fitness::answers(&kubectl, &self.context)?;
        let left = Belongings::find(&kubectl)?;
        if left.is_empty() {
            return Ok(Vec::new());
        }
        left.remove(&kubectl)
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
