//! A shell in the repository's folder with kubectl, helm and sluicectl at hand.

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use sluice_tests::binaries;
use sluice_tests::kube::{Cluster, programs_folder};
use sluice_tests::pages::Block;
use tempfile::TempDir;

/// The shell; each block has one of its own.
pub struct Terminal {
    kubeconfig: Option<String>,
    home: TempDir,
}

impl Terminal {
    /// For this cluster.
    pub fn at(cluster: &Cluster) -> Result<Self> {
        let home = tempfile::tempdir().context("cannot make a home")?;
        for name in ["kubectl", "helm"] {
            symlink(programs_folder()?.join(name), home.path().join(name))?;
        }
        symlink(binaries::sluicectl()?, home.path().join("sluicectl"))?;
        let kubeconfig = match cluster {
            Cluster::Own(own) => Some(own.kubeconfig().display().to_string()),
            // The one that its context was found in.
            Cluster::Foreign(_) => std::env::var("KUBECONFIG").ok(),
        };
        Ok(Self { kubeconfig, home })
    }

    /// Runs the commands of a block, of which none may fail, and which print what stands behind them.
    pub fn run(&self, page: &str, block: &Block) -> Result<()> {
        let place = format!("{page}:{} ({})", block.line, block.heading);
        println!("{place}\n{}", block.commands);
        let mut shell = Command::new("bash");
        shell
            .args(["-c", &format!("set -eo pipefail\n{}", block.commands)])
            .current_dir(binaries::workspace())
            .env("PATH", format!("{}:/usr/bin:/bin", self.home.path().display()))
            .env("HOME", self.home.path())
            .stdin(Stdio::null());
        if let Some(kubeconfig) = &self.kubeconfig {
            shell.env("KUBECONFIG", kubeconfig);
        }
        let output = shell.output().context("cannot start bash")?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr);
        println!("{printed}{said}");
        ensure!(output.status.success(), "{place} ended with {}", output.status);
        let missing = block.missing_in(&printed);
        ensure!(
            missing.is_none(),
            "{place} does not print {:?}",
            missing.unwrap_or_default()
        );
        Ok(())
    }
}
