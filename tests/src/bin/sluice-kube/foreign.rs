//! A cluster of somebody's: whether suites can use it, and what they have left in it.

use anyhow::Result;
use sluice_tests::kube::cluster::Foreign;

/// Which one.
#[derive(clap::Args)]
pub struct Named {
    /// A context of the kubeconfig
    context: String,
}

/// Sees to it that suites can begin.
pub fn prepare(named: &Named) -> Result<()> {
    report(named, Foreign::prepare)
}

/// Removes what they have made.
pub fn clear(named: &Named) -> Result<()> {
    report(named, Foreign::clear)
}

/// Does this to somebody's cluster, and tells what is no longer there.
fn report(named: &Named, act: impl FnOnce(&Foreign) -> Result<Vec<String>>) -> Result<()> {
    let removed = act(&Foreign::of_context(&named.context))?;
    for name in &removed {
        println!("removed {name}");
    }
    println!(
        "the cluster of the context {} has nothing of the suites",
        named.context
    );
    Ok(())
}
