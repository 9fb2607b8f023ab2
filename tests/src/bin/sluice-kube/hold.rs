//! The process that a cluster ends with.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use sluice_tests::kube::cluster::Own;
use sluice_tests::kube::programs_folder;
use tokio::signal::unix::{SignalKind, signal};

use crate::images;

/// In the cluster's folder, once it is ready: what to tell about it.
pub const READY: &str = "ready";
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs a cluster in the folder until a signal comes, or a part of it ends.
pub fn hold(folder: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            ended = run(folder) => ended,
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        }
    })
}

async fn run(folder: &Path) -> Result<()> {
    let mut cluster = Own::at(folder).await?;
    // Complete when it has its name.
    fs::write(folder.join("ready.new"), told(&cluster, programs_folder()?))?;
    fs::rename(folder.join("ready.new"), folder.join(READY))?;
    loop {
        cluster.check()?;
        images::take(&cluster)?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn told(cluster: &Own, programs: &Path) -> String {
    format!(
        "the node is ready, after {:.1} s\n\n  export KUBECONFIG={}\n  export PATH=\"{}:$PATH\"\n  kubectl get nodes\n\n\
         Services and pods have addresses in the node's own network:\n\n  {} curl http://ADDRESS:PORT\n\n\
         logs of its parts: {}\n",
        cluster.took().as_secs_f64(),
        cluster.kubeconfig().display(),
        programs.display(),
        cluster.network_prefix(),
        cluster.folder().join("logs").display(),
    )
}
