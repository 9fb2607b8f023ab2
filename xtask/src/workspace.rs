//! Where the workspace is and what is in it, as cargo sees it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand};

use crate::process;

/// The package whose integration tests are the system suites.
pub const SYSTEM_TESTS: &str = "sluice-tests";

/// The folder of the root Cargo.toml. xtask is always run by cargo, and always lies one folder below.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// All packages with their dependencies. `--locked`: a check must not be what changes Cargo.lock.
pub fn metadata() -> Result<Metadata> {
    let mut command = MetadataCommand::new();
    command
        .current_dir(root())
        .other_options(vec!["--locked".to_owned()]);
    for name in process::set_by_cargo_run() {
        command.env_remove(name);
    }
    command
        .exec()
        .context("cannot read the workspace; `cargo metadata --locked` tells more")
}

/// Where cargo puts what it builds.
pub fn target() -> Result<PathBuf> {
    Ok(metadata()?.target_directory.into_std_path_buf())
}
