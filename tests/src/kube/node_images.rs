//! Images on a node: made here, and handed to its container engine. No registry is asked for anything.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::folder::Folder;
use super::namespaces::Namespaces;
use super::programs;
use crate::image::Image;

/// Holds a pod's namespaces; containerd starts one for each pod.
pub const PAUSE: &str = "localhost/pause:1";

/// The pause image as an archive in the folder.
///
/// # Errors
/// When it cannot be made.
pub fn make_pause(folder: &Folder) -> Result<std::path::PathBuf> {
    let image = Image::of_executable(&folder.make("pause")?, PAUSE, &programs::path("pause")?)?;
    let archive = folder.path().join("pause.tar");
    image.write_archive(&archive, PAUSE)?;
    Ok(archive)
}

/// Hands an archive to containerd.
///
/// # Errors
/// When it does not take it; what it says is in the error.
pub fn import(namespaces: &Namespaces, socket: &Path, archive: &Path) -> Result<()> {
    let mut ctr = Command::new("ctr");
    ctr.arg("--address")
        .arg(socket)
        .args(["--namespace", "k8s.io", "images", "import"])
        .arg(archive);
    let output = namespaces
        .enter(&ctr)
        .output()
        .context("cannot start ctr, of Debian's package containerd")?;
    ensure!(
        output.status.success(),
        "containerd does not take {}: {}{}",
        archive.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
