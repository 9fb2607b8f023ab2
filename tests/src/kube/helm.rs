//! Helm, as somebody at a terminal uses it, with a home of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize as _;
use serde_json::Value;

use super::programs;
use crate::binaries;

/// The chart of this repository.
#[must_use]
pub fn chart() -> PathBuf {
    binaries::workspace().join("charts/sluice")
}

/// Runs it on the machine alone, or against a server.
#[derive(Debug, Clone, Default)]
pub struct Helm {
    kubeconfig: Option<PathBuf>,
    context: Option<String>,
}

impl Helm {
    /// For the server of a kubeconfig.
    #[must_use]
    pub fn of(kubeconfig: &Path) -> Self {
        Self {
            kubeconfig: Some(kubeconfig.to_owned()),
            context: None,
        }
    }

    /// For a context of the kubeconfig that the machine's own Helm uses.
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
        ensure!(
            output.status.success(),
            "helm {} ended with {}: {}{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&output.stdout)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs it, whatever it comes to.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn output(&self, arguments: &[&str]) -> Result<Output> {
        let home = binaries::scratch().join("system-tests/helm");
        let mut command: Command = programs::command("helm")?;
        command.args(arguments);
        // What somebody has configured is not what is tested.
        for name in ["CACHE", "CONFIG", "DATA"] {
            command.env(format!("HELM_{name}_HOME"), home.join(name.to_lowercase()));
        }
        if let Some(kubeconfig) = &self.kubeconfig {
            command.arg("--kubeconfig").arg(kubeconfig);
        }
        if let Some(context) = &self.context {
            command.args(["--kube-context", context]);
        }
        command.output().context("cannot start helm")
    }

    /// The objects that a release of the chart has, hooks among them.
    ///
    /// # Errors
    /// When the chart refuses the arguments, or renders what is no YAML.
    pub fn template(&self, release: &str, namespace: &str, arguments: &[&str]) -> Result<Vec<Value>> {
        let chart = chart();
        let chart = chart.to_str().context("the chart's folder is not UTF-8")?;
        let beginning = ["template", release, chart, "--namespace", namespace];
        let rendered = self.run(&[&beginning, arguments].concat())?;
        objects(&rendered)
    }
}

/// The documents of a YAML text, but for empty ones.
///
/// # Errors
/// When it is no YAML.
pub fn objects(yaml: &str) -> Result<Vec<Value>> {
    let documents = serde_yaml::Deserializer::from_str(yaml);
    let mut objects = Vec::new();
    for document in documents {
        let object = Value::deserialize(document).with_context(|| format!("no YAML:\n{yaml}"))?;
        if !object.is_null() {
            objects.push(object);
        }
    }
    Ok(objects)
}
