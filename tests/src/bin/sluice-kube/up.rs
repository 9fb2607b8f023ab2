//! Starts the process that holds a cluster, and ends it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use sluice_tests::kube::remove_abandoned;
use sluice_tests::wait;

use crate::hold::READY;

const UP_WITHIN: Duration = Duration::from_secs(180);
const DOWN_WITHIN: Duration = Duration::from_secs(60);

/// Starts it in a session of its own, so that it outlives the terminal.
pub fn up(folder: &Path) -> Result<()> {
    if owner(folder).is_some() {
        bail!(
            "the cluster in {} is running; `cargo xtask kube down` ends it",
            folder.display()
        );
    }
    if let Some(above) = folder.parent() {
        fs::create_dir_all(above).with_context(|| format!("cannot make {}", above.display()))?;
    }
    // Of an earlier one that was killed: it would be taken for the word of this one.
    if folder.join(READY).exists() {
        remove_abandoned(folder)?;
    }
    let log = log(folder);
    let file = File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
    let own = std::env::current_exe().context("this program has no path")?;
    let mut child = Command::new("setsid")
        .arg(own)
        .arg("hold")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .context("cannot start setsid, of Debian's package util-linux")?;
    fs::write(number(folder), child.id().to_string()).context("cannot write the process's number")?;
    let mut ended = None;
    let ready = wait::until("the cluster is up", UP_WITHIN, || {
        ended = child.try_wait()?;
        let ready = fs::read_to_string(folder.join(READY)).ok();
        Ok(if ended.is_some() {
            Some(String::new())
        } else {
            ready
        })
    })?;
    match ended {
        Some(status) => bail!("it ended with {status}: {}", fs::read_to_string(&log)?.trim()),
        None => print!("{ready}"),
    }
    Ok(())
}

/// Ends it, and waits until nothing is left.
pub fn down(folder: &Path) -> Result<()> {
    if let Some(process) = owner(folder) {
        kill_process(process, Signal::TERM).context("cannot end the cluster's process")?;
        wait::until_true("the cluster's process ends", DOWN_WITHIN, || {
            owner(folder).is_none()
        })?;
    }
    if folder.exists() {
        remove_abandoned(folder)?;
    }
    for file in [log(folder), number(folder)] {
        if file.exists() {
            fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
    }
    println!("nothing is left of a cluster in {}", folder.display());
    Ok(())
}

/// What the process says that holds it; beside the folder, which has to be empty at the start.
fn log(folder: &Path) -> PathBuf {
    folder.with_extension("log")
}

/// The number of the process that holds it.
fn number(folder: &Path) -> PathBuf {
    folder.with_extension("pid")
}

/// The process that holds it, if it lives: numbers are used again, and by others.
pub fn owner(folder: &Path) -> Option<Pid> {
    let number: i32 = fs::read_to_string(number(folder)).ok()?.parse().ok()?;
    let arguments = fs::read(format!("/proc/{number}/cmdline")).ok()?;
    let holds = String::from_utf8_lossy(&arguments).contains("\0hold\0");
    holds.then(|| Pid::from_raw(number)).flatten()
}
