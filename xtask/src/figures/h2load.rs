//! h2load, the one program that measuring needs beyond Rust: found, or installed from Debian's packages.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::process::check;

const PROGRAM: &str = "h2load";
const PACKAGE: &str = "nghttp2-client";

/// Installs it if it is missing, and says so; an error tells what to run where that cannot be done from here.
pub fn install() -> Result<()> {
    if on_path(PROGRAM) {
        return Ok(());
    }
    ensure!(
        on_path("apt-get"),
        "{PROGRAM} is missing and there is no apt-get: install what Debian's package {PACKAGE} brings"
    );
    ensure!(
        is_root()?,
        "{PROGRAM} is missing: as root, run `apt-get update && apt-get install {PACKAGE}`"
    );
    eprintln!("{PROGRAM} is missing: installing Debian's package {PACKAGE}");
    check(apt_get().arg("update"))?;
    check(apt_get().args(["install", "--yes", "--no-install-recommends", PACKAGE]))?;
    ensure!(
        on_path(PROGRAM),
        "package {PACKAGE} is installed but brought no {PROGRAM}"
    );
    Ok(())
}

/// Quiet, and never asking a question nobody would answer.
fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("-qq").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| is_program(&dir.join(program))))
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// A process's own folder in /proc belongs to its effective user.
fn is_root() -> Result<bool> {
    let own = Path::new("/proc/self")
        .metadata()
        .context("cannot read /proc/self to learn the user")?;
    Ok(own.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_on_the_path() {
        assert!(on_path("sh"));
        assert!(!on_path("no-such-program-here"));
    }

    #[test]
    fn a_file_that_cannot_be_executed_is_no_program() {
        assert!(!is_program(Path::new("/etc/passwd")));
        assert!(!is_program(Path::new("/")));
    }
}
