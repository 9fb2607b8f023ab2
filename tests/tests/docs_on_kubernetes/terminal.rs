//! A shell in the repository's folder with kubectl, helm and sluicectl at hand.

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use sluice_tests::binaries;
use sluice_tests::kube::kubectl::Kubectl;
use sluice_tests::kube::{Cluster, programs_folder};
use sluice_tests::pages::Block;
use tempfile::TempDir;

const KUBECONFIG: &str = "kubeconfig";
/// What commands mean that name no namespace: not the one that somebody else's objects are in.
const NAMESPACE: &str = "sluice-newcomer";
/// What the page has Helm make.
const OF_OPERATOR: &str = "sluice-system";

/// The shell; each block has one of its own.
pub struct Terminal {
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
        // Of one context: what somebody else's kubeconfig has besides is not to be touched.
        let only = cluster
            .kubectl()
            .run(&["config", "view", "--minify", "--flatten", "--raw"])?;
        let kubeconfig = home.path().join(KUBECONFIG);
        std::fs::write(&kubeconfig, only)?;
        cluster.make_namespace(NAMESPACE, &[])?;
        cluster.reserve_namespace(OF_OPERATOR)?;
        let choose = ["config", "set-context", "--current", "--namespace", NAMESPACE];
        Kubectl::of(&kubeconfig).run(&choose)?;
        Ok(Self { home })
    }

    /// Runs the commands of a block, of which none may fail, and which print what stands behind them.
    pub fn run(&self, page: &str, block: &Block) -> Result<()> {
        let place = format!("{page}:{} ({})", block.line, block.heading);
        println!("{place}\n{}", block.commands);
        let output = Command::new("bash")
            .args(["-c", &format!("set -eo pipefail\n{}", block.commands)])
            .current_dir(binaries::workspace())
            .env("PATH", format!("{}:/usr/bin:/bin", self.home.path().display()))
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.home.path().join(KUBECONFIG))
            .stdin(Stdio::null())
            .output()
            .context("cannot start bash")?;
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
