//! Where the programs of Kubernetes are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::binaries;

/// Names the folder with the programs; without it they are built, or found where they were built.
pub const VARIABLE: &str = "SLUICE_KUBE_PROGRAMS";

/// A program, or another file that is kept with them.
///
/// # Errors
/// When it is not there and cannot be built.
pub fn path(name: &str) -> Result<PathBuf> {
    let path = folder()?.join(name);
    ensure!(
        path.is_file(),
        "there is no {}: remove its folder, and run `cargo xtask kube programs`",
        path.display()
    );
    Ok(path)
}

/// The folder, looked for once.
///
/// # Errors
/// When the programs cannot be built.
pub fn folder() -> Result<&'static Path> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = FOLDER.get_or_init(|| match std::env::var_os(VARIABLE) {
        Some(folder) => Ok(PathBuf::from(folder)),
        None => build().map_err(|error| format!("{error:#}")),
    });
    found.as_deref().map_err(|error| anyhow!(error.clone()))
}

fn build() -> Result<PathBuf> {
    let output = binaries::cargo()
        .args([
            "run",
            "--quiet",
            "--locked",
            "--package",
            "xtask",
            "--",
            "kube",
            "programs",
        ])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(
        output.status.success(),
        "`cargo xtask kube programs` ended with {}",
        output.status
    );
    let printed = String::from_utf8(output.stdout).context("the folder's name is not UTF-8")?;
    let folder = printed
        .lines()
        .last()
        .context("`cargo xtask kube programs` names no folder")?;
    Ok(PathBuf::from(folder))
}

/// A command of one of them.
///
/// # Errors
/// As [`path`].
pub fn command(name: &str) -> Result<Command> {
    let mut command = Command::new(path(name)?);
    command.stdin(Stdio::null());
    Ok(command)
}
