//! Programs from Debian's packages that a measurement or a suite needs beyond Rust and the tools of README.md: found, or
//! installed.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::process::check;

/// A program, and the package that brings it.
#[derive(Clone, Copy, Debug)]
pub struct Packaged {
    program: &'static str,
    package: &'static str,
}

/// The load of the figures.
pub const H2LOAD: Packaged = Packaged {
    program: "h2load",
    package: "nghttp2-client",
};

/// Scrapes the broker in the suite of that name; its package brings promtool too.
pub const PROMETHEUS: Packaged = Packaged {
    program: "prometheus",
    package: "prometheus",
};

/// Sends alerts to the operator in its suite.
pub const ALERTMANAGER: Packaged = Packaged {
    program: "prometheus-alertmanager",
    package: "prometheus-alertmanager",
};

/// Makes a broker's system calls fail, take their time, or kill it.
pub const STRACE: Packaged = Packaged {
    program: "strace",
    package: "strace",
};

/// Builds the image for the suite of that name.
pub const BUILDAH: Packaged = Packaged {
    program: "buildah",
    package: "buildah",
};

/// Runs the image.
pub const RUNC: Packaged = Packaged {
    program: "runc",
    package: "runc",
};

/// What the commands of the documentation, and the machine that they are run on, need.
pub const OF_PAGES: [Packaged; 3] = [
    Packaged {
        program: "ip",
        package: "iproute2",
    },
    Packaged {
        program: "curl",
        package: "curl",
    },
    Packaged {
        program: "openssl",
        package: "openssl",
    },
];

/// What a node of Kubernetes runs on: its container engine, what that needs for networks, and what makes images.
pub const OF_NODES: [Packaged; 9] = [
    Packaged {
        program: "containerd",
        package: "containerd",
    },
    RUNC,
    BUILDAH,
    Packaged {
        program: "/usr/lib/cni/bridge",
        package: "containernetworking-plugins",
    },
    Packaged {
        program: "ip",
        package: "iproute2",
    },
    Packaged {
        program: "iptables",
        package: "iptables",
    },
    Packaged {
        program: "nft",
        package: "nftables",
    },
    Packaged {
        program: "conntrack",
        package: "conntrack",
    },
    Packaged {
        program: "ipset",
        package: "ipset",
    },
];

impl Packaged {
    /// Installs it if it is missing, and says so; an error tells what to run where that cannot be done from here.
    pub fn install(self) -> Result<()> {
        let Self { program, package } = self;
        if on_path(program) {
            return Ok(());
        }
        ensure!(
            on_path("apt-get"),
            "{program} is missing and there is no apt-get: install what Debian's package {package} brings"
        );
        ensure!(
            is_root()?,
            "{program} is missing: as root, run `apt-get update && apt-get install {package}`"
        );
        eprintln!("{program} is missing: installing Debian's package {package}");
        check(apt_get().arg("update"))?;
        check(apt_get().args(["install", "--yes", "--no-install-recommends", package]))?;
        ensure!(
            on_path(program),
            "package {package} is installed but brought no {program}"
        );
        Ok(())
    }
}

/// Quiet, never asking a question nobody would answer, and starting no service: init scripts start none in runlevel 1.
fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("-qq").env("DEBIAN_FRONTEND", "noninteractive");
    command.env("RUNLEVEL", "1");
    command
}

/// Where Debian's packages put what only root runs, which is not in everybody's path.
const FOR_ROOT: [&str; 2] = ["/usr/sbin", "/sbin"];

/// A name is looked for in the path; an absolute path is where it is, since joined to anything it stays itself.
fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain(FOR_ROOT.map(PathBuf::from));
    folders.any(|folder| is_program(&folder.join(program)))
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
        assert!(on_path("/bin/sh"));
        assert!(!on_path("no-such-program-here"));
    }

    #[test]
    fn a_file_that_cannot_be_executed_is_no_program() {
        assert!(!is_program(Path::new("/etc/passwd")));
        assert!(!is_program(Path::new("/")));
    }
}
