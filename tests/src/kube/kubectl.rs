//! `kubectl`, as somebody at a terminal uses it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::programs;

/// The command line against one server.
#[derive(Debug, Clone)]
pub struct Kubectl {
    kubeconfig: Option<PathBuf>,
    context: Option<String>,
}

impl Kubectl {
    /// For the server of a kubeconfig.
    #[must_use]
    pub fn of(kubeconfig: &Path) -> Self {
        Self {
            kubeconfig: Some(kubeconfig.to_owned()),
            context: None,
        }
    }

    /// For a context of the kubeconfig that the machine's own kubectl uses.
    #[must_use]
    pub fn of_context(context: &str) -> Self {
        Self {
            kubeconfig: None,
            context: Some(context.to_owned()),
        }
    }

    /// Runs it; gives what it printed.
    ///
    /// # Errors
    /// When it ends with another code than 0: what it says is in the error.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.output(arguments)?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "kubectl {} ended with {}: {}{printed}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(printed)
    }

    /// Applies the definitions of resources in these files and folders, and waits until the server serves them. Definitions
    /// are larger than what a client-side apply can note down.
    ///
    /// # Errors
    /// When the server does not take them.
    pub fn define(&self, paths: &[PathBuf]) -> Result<()> {
        for path in paths {
            let path = path.to_str().context("a path is not UTF-8")?;
            self.run(&["apply", "--server-side", "--filename", path])?;
        }
        self.wait_for_definitions()
    }

    /// Until the server serves what it has definitions of.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn wait_for_definitions(&self) -> Result<()> {
        self.run(&[
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "crd",
            "--all",
        ])?;
        Ok(())
    }

    /// Applies an object, or a list of them, as a person does.
    ///
    /// # Errors
    /// When the server does not take it.
    pub fn apply(&self, object: &Value) -> Result<()> {
        self.with_file(&["apply", "--filename"], object)
    }

    /// Makes an object that is not there yet.
    ///
    /// # Errors
    /// When the server does not take it, or has one of this name.
    pub fn create(&self, object: &Value) -> Result<()> {
        self.with_file(&["create", "--filename"], object)
    }

    fn with_file(&self, arguments: &[&str], object: &Value) -> Result<()> {
        let mut file = tempfile::NamedTempFile::with_suffix(".json").context("cannot make a file")?;
        file.write_all(object.to_string().as_bytes())
            .context("cannot write an object")?;
        let path = file.path().to_str().context("a path is not UTF-8")?;
        self.run(&[arguments, &[path]].concat())?;
        Ok(())
    }

    /// Runs it with JSON for output.
    ///
    /// # Errors
    /// As [`Kubectl::run`], or when it prints no JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let printed = self.run(&[arguments, &["--output", "json"]].concat())?;
        serde_json::from_str(&printed).context("kubectl prints no JSON")
    }

    /// Runs it, whatever it comes to: warnings of the server go to the error output.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn output(&self, arguments: &[&str]) -> Result<Output> {
        self.command()?
            .args(arguments)
            .output()
            .context("cannot start kubectl")
    }

    /// One for whoever starts it otherwise, for the same server.
    pub(super) fn command(&self) -> Result<Command> {
        let mut command = programs::command("kubectl")?;
        if let Some(kubeconfig) = &self.kubeconfig {
            command.arg("--kubeconfig").arg(kubeconfig);
        }
        if let Some(context) = &self.context {
            command.args(["--context", context]);
        }
        Ok(command)
    }
}
