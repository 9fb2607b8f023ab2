//! Images for a cluster that runs. Only the process that holds it can reach its container engine: whatever lies in one folder
//! of the cluster's is handed over by that process, and removed.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sluice_tests::image::Image;
use sluice_tests::kube::cluster::Own;
use sluice_tests::{binaries, wait};

use crate::up::owner;

/// In the cluster's folder.
const FOLDER: &str = "images";
const TAKEN_WITHIN: Duration = Duration::from_secs(120);
/// What names of images without a registry stand for.
const LIBRARY: &str = "docker.io/library";

/// Makes both images and waits until the cluster has them.
pub fn hand_over(folder: &Path) -> Result<()> {
    if owner(folder).is_none() {
        bail!(
            "no cluster runs in {}: `cargo xtask kube up` starts one",
            folder.display()
        );
    }
    let version = env!("CARGO_PKG_VERSION");
    let arguments = [("VERSION", version)];
    let of_broker = [binaries::broker()?, binaries::sluicectl()?];
    let of_operator = [binaries::operator()?];
    for (name, target, executables) in [
        ("sluice-broker", "broker-prebuilt", &of_broker[..]),
        ("sluice-operator", "operator-prebuilt", &of_operator[..]),
    ] {
        let name = format!("{name}:{version}");
        let image = Image::build(target, executables, &arguments)?;
        offer(folder, &image, &name)?;
        println!("{name}");
    }
    Ok(())
}

/// Puts an image into the folder, and waits until it was taken.
fn offer(folder: &Path, image: &Image, name: &str) -> Result<()> {
    let images = folder.join(FOLDER);
    fs::create_dir_all(&images).with_context(|| format!("cannot make {}", images.display()))?;
    let (begun, archive) = (images.join("new"), images.join("image.tar"));
    image.write_archive(&begun, &format!("{LIBRARY}/{name}"))?;
    // Complete when it has its name.
    fs::rename(&begun, &archive)?;
    let refused = refusal(&archive);
    let taken = wait::until(&format!("the cluster takes {name}"), TAKEN_WITHIN, || {
        let why = fs::read_to_string(&refused).ok();
        Ok((why.is_some() || !archive.exists()).then_some(why))
    });
    match taken? {
        None => Ok(()),
        Some(why) => {
            fs::remove_file(&refused)?;
            bail!("the cluster does not take {name}: {why}")
        }
    }
}

/// Takes what lies in the folder.
pub fn take(cluster: &Own) -> Result<()> {
    let Ok(entries) = fs::read_dir(cluster.folder().join(FOLDER)) else {
        // Nobody has offered anything yet.
        return Ok(());
    };
    for entry in entries {
        let archive = entry?.path();
        if archive.extension() != Some(OsStr::new("tar")) {
            continue;
        }
        if let Err(error) = cluster.import(&archive) {
            fs::write(refusal(&archive), format!("{error:#}"))?;
        }
        fs::remove_file(&archive)?;
    }
    Ok(())
}

/// Where it is said why an archive was not taken.
fn refusal(archive: &Path) -> PathBuf {
    archive.with_extension("refused")
}
