//! What the suites need beyond the developer's tools: programs from Debian's packages, installed here.
//!
//! Maven's packages are not among them: the Java driver's own build fetches those.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::check;

/// A program and the Debian package that brings it.
struct Program {
    name: &'static str,
    package: &'static str,
}

const PROGRAMS: &[Program] = &[
    // Load over HTTP/2 from outside of our own code.
    Program {
        name: "h2load",
        package: "nghttp2-client",
    },
    // Watches system calls, and makes chosen ones fail.
    Program {
        name: "strace",
        package: "strace",
    },
];

/// Installs what is missing and says so; an error tells what to run where that cannot be done from here.
pub fn install() -> Result<()> {
    let missing: Vec<_> = PROGRAMS.iter().filter(|program| !on_path(program.name)).collect();
    if missing.is_empty() {
        println!(
            "all there: {}",
            joined(PROGRAMS.iter().map(|program| program.name))
        );
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|program| program.package).collect();
    let install = format!("apt-get update && apt-get install {}", packages.join(" "));
    let what = joined(missing.iter().map(|program| program.name));
    if !on_path("apt-get") {
        bail!(
            "{what} missing and there is no apt-get; install what Debian's packages {} bring",
            joined(packages)
        );
    }
    if !is_root()? {
        bail!("{what} missing; run as root: {install}");
    }
    println!(
        "{what} missing; installing from Debian's packages: {}",
        joined(packages.iter().copied())
    );
    check(apt_get().arg("update"))?;
    check(
        apt_get()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(&packages),
    )?;
    match missing.iter().find(|program| !on_path(program.name)) {
        Some(program) => bail!(
            "package {} is installed but brought no {}",
            program.package,
            program.name
        ),
        None => Ok(()),
    }
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

fn joined<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().collect::<Vec<_>>().join(", ")
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
