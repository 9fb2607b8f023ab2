//! The servers that are measured: started, asked how they are, and killed.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::page::Page;
use super::{Setup, load};

/// Where clients of either server connect.
pub const ENDPOINT: &str = "127.0.0.1:18081";
const ADMIN: &str = "127.0.0.1:18082";
const HTTP: &str = "127.0.0.1:15557";
/// Bare fills its segments before it listens, which takes its time.
const READY_WITHIN: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A running server; it is killed when this is dropped.
pub struct Server {
    child: Child,
    /// From its start until it was ready.
    pub ready_after: Duration,
    data: PathBuf,
}

impl Server {
    /// Starts the broker on what is in its folder, with flags beyond those for addresses.
    pub fn broker(setup: &Setup, flags: &[&str]) -> Result<Self> {
        let command = Command::new(setup.programs.join("sluice-broker"));
        Self::on(command, setup.dir.join("broker"), flags)
    }

    fn on(mut command: Command, data: PathBuf, flags: &[&str]) -> Result<Self> {
        command.arg("--data-dir").arg(&data).args(flags).args([
            "--grpc-listen",
            ENDPOINT,
            "--admin-listen",
            ADMIN,
            "--http-listen",
            HTTP,
        ]);
        Self::start(command, data, || get("/readyz").is_ok())
    }

    /// Starts the broker with nothing kept.
    pub fn empty_broker(setup: &Setup, flags: &[&str]) -> Result<Self> {
        wipe(&setup.dir.join("broker"))?;
        Self::broker(setup, flags)
    }

    /// Starts, with nothing kept, the broker that can be told to go wrong, and tells it.
    pub fn faulty_broker(setup: &Setup, fault: &str) -> Result<Self> {
        let data = setup.dir.join("broker");
        wipe(&data)?;
        let mut command = Command::new(setup.faulty_broker()?);
        command.env("SLUICE_PLANTED_FAULT", fault);
        Self::on(command, data, &[])
    }

    /// Starts the bare server with fresh segments.
    pub fn bare(setup: &Setup, flush: &str) -> Result<Self> {
        let data = setup.dir.join("bare");
        wipe(&data)?;
        let mut command = Command::new(setup.programs.join("sluice-bench"));
        command
            .args(["bare", "--listen", ENDPOINT, "--flush", flush, "--data-dir"])
            .arg(&data);
        Self::start(command, data, || TcpStream::connect(ENDPOINT).is_ok())
    }

    fn start(mut command: Command, data: PathBuf, ready: impl Fn() -> bool) -> Result<Self> {
        ensure!(
            TcpStream::connect(ENDPOINT).is_err(),
            "{ENDPOINT} is taken: what listens there would be measured"
        );
        let began = Instant::now();
        let child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn();
        let child = child.with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let mut server = Self {
            child,
            ready_after: Duration::ZERO,
            data,
        };
        while !ready() {
            if let Some(status) = server.child.try_wait()? {
                bail!("{} ended with {status}", command.get_program().display());
            }
            ensure!(
                began.elapsed() < READY_WITHIN,
                "{} is not ready after {READY_WITHIN:?}",
                command.get_program().display()
            );
            std::thread::sleep(LOOK_EVERY);
        }
        server.ready_after = began.elapsed();
        Ok(server)
    }

    /// Anonymous memory in MiB: what does not belong to files.
    pub fn anonymous_mib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib: f64 = line
            .and_then(|line| line.split_whitespace().next())
            .context("the system tells no RssAnon")?
            .parse()?;
        Ok(kib / 1024.0)
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(&mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status()?;
        ensure!(told.success(), "cannot tell the server to stop: {told}");
        let status = self.child.wait()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }

    /// What a folder of the broker's takes on the disk, in MiB; all of its data without a name.
    pub fn disk_mib(&self, folder: &str) -> Result<f64> {
        let folder = match folder {
            "" => self.data.clone(),
            folder => self.data.join("broker-a").join(folder),
        };
        let output = Command::new("du").arg("-sk").arg(&folder).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let kib: f64 = text
            .split_whitespace()
            .next()
            .context("du says nothing")?
            .parse()?;
        Ok(kib / 1024.0)
    }

    /// All metrics as they are now.
    pub fn page(&self) -> Result<Page> {
        get("/metrics").map(Page::new)
    }

    /// A sum over all series of a metric.
    pub fn metric(&self, name: &str) -> Result<f64> {
        self.page()?.sum(name)
    }

    /// The same of several, at one moment.
    pub fn metrics<const N: usize>(&self, names: [&str; N]) -> Result<[f64; N]> {
        let page = self.page()?;
        let mut sums = [0.0; N];
        for (sum, name) in sums.iter_mut().zip(names) {
            *sum = page.sum(name)?;
        }
        Ok(sums)
    }

    /// Changes a key of the broker's configuration (`key=value`) while it runs.
    pub fn configure(&self, setup: &Setup, change: &str) -> Result<()> {
        let mut sluicectl = Command::new(setup.programs.join("sluicectl"));
        sluicectl.args(["--admin", ADMIN, "config", "set", change]);
        load::stdout(&mut sluicectl).map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Killed, not stopped: what it has on the disk is wiped or recovered from.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wipe(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

fn get(path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(HTTP)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {HTTP}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(
        answer.starts_with("HTTP/1.1 200"),
        "GET {path}: {}",
        answer.lines().next().unwrap_or("no answer")
    );
    Ok(answer)
}
