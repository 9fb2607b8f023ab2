//! Makes the fixture of a release for `tests/fixtures/store/`: `store-fixture FOLDER`, once a release, with the broker
//! as it is released. What is there already is never made again.

mod ledger;
mod story;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use sluice_tests::binaries;

#[tokio::main]
async fn main() -> Result<()> {
    let usage = "usage: store-fixture FOLDER, such as tests/fixtures/store/1.2.0";
    let folder = std::env::args_os().nth(1).map(PathBuf::from).context(usage)?;
    ensure!(!folder.exists(), "{} is there already", folder.display());
    let broker = binaries::broker()?;
    let version = Command::new(&broker).arg("--version").output();
    let version = version.with_context(|| format!("cannot start {}", broker.display()))?;
    let made_by = String::from_utf8(version.stdout)?.trim().to_owned();
    let (broker, mut fixture) = story::tell().await?;
    fixture.made_by = made_by;
    fixture.write(&folder, broker.data_dir())?;
    println!("{} is made", folder.display());
    Ok(())
}
