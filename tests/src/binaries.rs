//! Where the executables under test are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow, ensure};

/// Names the folder with the executables; without it they are built.
pub const VARIABLE: &str = "SLUICE_BIN_DIR";

/// The folder that holds `Cargo.toml` of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// Where the suites put what they build and write.
#[must_use]
pub fn scratch() -> PathBuf {
    workspace().join("target")
}

/// The broker as it is shipped.
///
/// # Errors
/// When it is not there, or cannot be built.
pub fn broker() -> Result<PathBuf> {
    static BROKER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = BROKER.get_or_init(|| {
        let folder = match std::env::var_os(VARIABLE) {
            Some(folder) => Ok(PathBuf::from(folder)),
            None => build(&[], &scratch()),
        };
        folder
            .and_then(|folder| executable(&folder))
            .map_err(|error| format!("{error:#}"))
    });
    found.clone().map_err(|error| anyhow!(error))
}

/// The broker with faults that its environment can switch on; built here, since nobody ships it.
///
/// # Errors
/// When it cannot be built.
pub fn faulty_broker() -> Result<PathBuf> {
    static BROKER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BROKER.get_or_init(|| {
        build(&["--features", "planted-faults"], &scratch().join("planted"))
            .and_then(|folder| executable(&folder))
            .map_err(|error| format!("{error:#}"))
    });
    built.clone().map_err(|error| anyhow!(error))
}

fn build(arguments: &[&str], target: &Path) -> Result<PathBuf> {
    println!(
        "building sluice-broker {} into {}",
        arguments.join(" "),
        target.display()
    );
    let status = Command::new("cargo")
        .args(["build", "--quiet", "--locked", "--release", "-p", "sluice-broker"])
        .args(arguments)
        .arg("--target-dir")
        .arg(target)
        .current_dir(workspace())
        .stdin(Stdio::null())
        .status()
        .context("cannot start cargo")?;
    ensure!(
        status.success(),
        "cargo build of sluice-broker ended with {status}"
    );
    Ok(target.join("release"))
}

fn executable(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("sluice-broker");
    ensure!(path.is_file(), "there is no {}", path.display());
    path.canonicalize()
        .with_context(|| format!("cannot resolve {}", path.display()))
}
