//! A container of an image, run by runc the way Kubernetes runs one under its restricted profile.

mod bundle;
mod seccomp;

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::image::Image;
use crate::{http, wait};

pub use bundle::Run;

const READY_WITHIN: Duration = Duration::from_secs(30);
/// What Kubernetes grants before it kills.
pub const GRACE: Duration = Duration::from_secs(30);

/// A container; dropping it kills what runs in it.
#[derive(Debug)]
pub struct Container {
    folder: TempDir,
    name: String,
    stop_signal: String,
    child: Option<Child>,
}

impl Container {
    /// Starts a container of the image.
    ///
    /// # Errors
    /// When runc is missing, or cannot make one.
    pub fn start(image: &Image, run: &Run) -> Result<Self> {
        let folder = TempDir::with_prefix("container-").context("cannot make a folder")?;
        let config = image.config()?;
        let root = image.root()?;
        let bundle = bundle::specification(&config, root, run)?;
        std::fs::write(folder.path().join("config.json"), bundle.to_string())?;
        let name = folder.path().file_name().and_then(|name| name.to_str());
        let stop_signal = config["StopSignal"].as_str().unwrap_or("SIGTERM");
        let mut container = Self {
            name: name.context("the folder has no name")?.to_owned(),
            stop_signal: stop_signal.to_owned(),
            child: None,
            folder,
        };
        let log = File::create(container.log_path()).context("cannot make a file for the container's log")?;
        let child = container
            .runc()
            .args(["run", "--bundle"])
            .arg(container.folder.path())
            .arg(&container.name)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start runc: as root, run `apt-get install buildah runc`")?;
        container.child = Some(child);
        Ok(container)
    }

    /// Waits until `/readyz` on that port says so.
    ///
    /// # Errors
    /// When the container ends first, or it takes too long.
    pub fn wait_until_ready(&mut self, http_port: u16) -> Result<()> {
        let child = self.child.as_mut().context("the container has ended")?;
        let mut ended = None;
        wait::until("the container is ready", READY_WITHIN, || {
            ended = child.try_wait()?;
            let ready = ended.is_some() || http::get(http_port, "/readyz")?.status == 200;
            Ok(ready.then_some(()))
        })?;
        match ended {
            Some(status) => bail!("the container ended with {status}: {}", self.log()?),
            None => Ok(()),
        }
    }

    /// The number of its first process, as the machine counts.
    ///
    /// # Errors
    /// When runc does not know the container.
    pub fn process(&self) -> Result<u64> {
        let output = self.runc().args(["state", &self.name]).output()?;
        let state: Value = serde_json::from_slice(&output.stdout).context("runc's answer is no JSON")?;
        state["pid"].as_u64().context("runc names no process")
    }

    /// Runs a command in the container, as its user; returns what it wrote to its output.
    ///
    /// # Errors
    /// When it does not end with 0.
    pub fn exec(&self, arguments: &[&str]) -> Result<String> {
        let output = self.runc().args(["exec", &self.name]).args(arguments).output()?;
        let (out, error) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        ensure!(
            output.status.success(),
            "{arguments:?} ended with {}: {out}{error}",
            output.status
        );
        Ok(out.into_owned())
    }

    /// Sends the image's stop signal and waits for the end, as Kubernetes does; tells how long that took.
    ///
    /// # Errors
    /// When it does not end within the grace period.
    pub fn stop(&mut self) -> Result<(ExitStatus, Duration)> {
        let asked = Instant::now();
        let status = self
            .runc()
            .args(["kill", &self.name, &self.stop_signal])
            .status()?;
        ensure!(status.success(), "runc kill ended with {status}");
        Ok((self.wait_for_end()?, asked.elapsed()))
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it does not within the grace period.
    pub fn wait_for_end(&mut self) -> Result<ExitStatus> {
        let child = self.child.as_mut().context("the container has ended")?;
        let status = wait::until("the container ends", GRACE, || Ok(child.try_wait()?))?;
        self.child = None;
        Ok(status)
    }

    /// What it wrote to its output and its error output.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        std::fs::read_to_string(self.log_path()).context("cannot read the container's log")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn runc(&self) -> Command {
        let mut runc = Command::new("runc");
        runc.arg("--root").arg(self.folder.path().join("state"));
        runc
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = self.runc().args(["delete", "--force", &self.name]).status();
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the container's log\n{}", self.log().unwrap_or_default());
        }
    }
}

/// A folder for a volume, as Kubernetes makes one for a pod with `fsGroup`: it belongs to root, and the group may write.
///
/// # Errors
/// When this process is not root.
pub fn volume(group: u32) -> Result<TempDir> {
    let folder = TempDir::with_prefix("volume-").context("cannot make a folder")?;
    std::os::unix::fs::chown(folder.path(), Some(0), Some(group))
        .context("cannot give a folder to another group: this test must be run by root")?;
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o2770))?;
    Ok(folder)
}

/// The lines of a file in /proc about a process.
///
/// # Errors
/// When the process has ended.
pub fn proc_file(process: u64, name: &str) -> Result<String> {
    let path = Path::new("/proc").join(process.to_string()).join(name);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}
