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

/// The folder with the definitions of the resources.
#[must_use]
pub fn definitions() -> PathBuf {
    workspace().join("crds")
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
    const NAME: &str = "sluice-broker";
    once(&BROKER, || match std::env::var_os(VARIABLE) {
        Some(folder) => executable(&PathBuf::from(folder), NAME),
        None => build("sluice-broker", &["--bin", NAME]).and_then(|folder| executable(&folder, NAME)),
    })
}

/// The command line as it is shipped.
///
/// # Errors
/// When it is not there, or cannot be built.
pub fn sluicectl() -> Result<PathBuf> {
    static SLUICECTL: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    const NAME: &str = "sluicectl";
    once(&SLUICECTL, || match std::env::var_os(VARIABLE) {
        Some(folder) => executable(&PathBuf::from(folder), NAME),
        None => build("sluice-cli", &["--bin", NAME]).and_then(|folder| executable(&folder, NAME)),
    })
}

/// The operator as it is shipped.
///
/// # Errors
/// When it is not there, or cannot be built.
pub fn operator() -> Result<PathBuf> {
    static OPERATOR: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    const NAME: &str = "sluice-operator";
    once(&OPERATOR, || match std::env::var_os(VARIABLE) {
        Some(folder) => executable(&PathBuf::from(folder), NAME),
        None => build("sluice-operator", &["--bin", NAME]).and_then(|folder| executable(&folder, NAME)),
    })
}

/// The broker with faults that its environment can switch on; built here, since nobody ships it. It shares what it is
/// made of with the real one, so little is compiled anew.
///
/// # Errors
/// When it cannot be built.
pub fn faulty_broker() -> Result<PathBuf> {
    static BROKER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    const NAME: &str = "sluice-broker-faulty";
    once(&BROKER, || {
        let folder = build("sluice-broker", &["--bin", NAME, "--features", "planted-faults"])?;
        executable(&folder, NAME)
    })
}

fn once(
    known: &OnceLock<Result<PathBuf, String>>,
    find: impl FnOnce() -> Result<PathBuf>,
) -> Result<PathBuf> {
    let found = known.get_or_init(|| find().map_err(|error| format!("{error:#}")));
    found.clone().map_err(|error| anyhow!(error))
}

fn build(package: &str, arguments: &[&str]) -> Result<PathBuf> {
    println!("building {package} {}", arguments.join(" "));
    let status = cargo()
        .args(["build", "--quiet", "--locked", "--release", "-p", package])
        .args(arguments)
        .arg("--target-dir")
        .arg(scratch())
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "cargo build of {package} ended with {status}");
    Ok(scratch().join("release"))
}

/// `cargo` in the workspace, as if it were called from outside of this test.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    // What cargo has told this test of its own package would make build scripts of others run again.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_") && name != "CARGO_HOME" {
            cargo.env_remove(name);
        }
    }
    cargo.current_dir(workspace()).stdin(Stdio::null());
    cargo
}

fn executable(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    ensure!(path.is_file(), "there is no {}", path.display());
    path.canonicalize()
        .with_context(|| format!("cannot resolve {}", path.display()))
}
