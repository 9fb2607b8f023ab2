//! `sluice-operator crds`: the definitions of the custom resources, as YAML.

use anyhow::{Context, Result};
use std::path::PathBuf;

/// What to do with the definitions.
#[derive(clap::Args)]
pub struct CrdsArgs {
    /// Write one file a resource into this folder instead of printing them
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// Prints or writes them.
pub fn crds(args: &CrdsArgs) -> Result<()> {
    for crd in sluice_operator_api::definitions() {
        let yaml = serde_yaml::to_string(&crd).context("cannot write a definition as YAML")?;
        match &args.to {
            None => print!("---\n{yaml}"),
            Some(folder) => {
                let file = folder.join(format!("{}.yaml", crd.spec.names.plural));
                std::fs::write(&file, yaml).with_context(|| format!("cannot write {}", file.display()))?;
            }
        }
    }
    Ok(())
}
