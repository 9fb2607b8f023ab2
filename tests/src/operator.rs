//! An operator process: started against an API server, killed, stopped, looked at.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::metrics::{self, Sample};
use crate::{binaries, http, ports, wait};

const READY_WITHIN: Duration = Duration::from_secs(30);
const END_WITHIN: Duration = Duration::from_secs(30);
/// What the kernel counts a process's time in, on every machine that Linux runs on today.
const TICKS_A_SECOND: f64 = 100.0;
const LOG: &str = "operator.log";

/// A running operator; dropping it kills the process. Its log is printed when the test fails.
#[derive(Debug)]
pub struct Operator {
    child: Child,
    http_port: u16,
    folder: TempDir,
}

impl Operator {
    /// Starts one with these flags, on a free port, and waits until it is ready: as the leader or standing by.
    ///
    /// # Errors
    /// When it ends or does not become ready in time.
    pub fn start(kubeconfig: &Path, flags: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder for the operator's log")?;
        let http_port = ports::free()?;
        let log = File::create(folder.path().join(LOG)).context("cannot make the operator's log")?;
        let child = Command::new(binaries::operator()?)
            .arg("run")
            .args(["--listen", &format!("127.0.0.1:{http_port}")])
            .args(["--log-format", "text"])
            .args(flags)
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start the operator")?;
        let mut operator = Self {
            child,
            http_port,
            folder,
        };
        operator.wait_until_ready()?;
        Ok(operator)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        wait::until("the operator is ready", READY_WITHIN, || {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            Ok((http::get(self.http_port, "/readyz")?.status == 200).then_some(()))
        })
    }

    /// What `/readyz` says now.
    ///
    /// # Errors
    /// When nothing answers.
    pub fn readiness(&self) -> Result<String> {
        Ok(http::get(self.http_port, "/readyz")?.body.trim().to_owned())
    }

    /// Whether it leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.readiness().is_ok_and(|readiness| readiness == "leading")
    }

    /// All samples of `/metrics`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn metrics(&self) -> Result<Vec<Sample>> {
        metrics::parse(&http::get(self.http_port, "/metrics")?.body)
    }

    /// The sum of a metric's samples that the filter takes; 0 where there are none.
    ///
    /// # Errors
    /// When the metrics cannot be read.
    pub fn sum(&self, name: &str, taken: impl Fn(&Sample) -> bool) -> Result<f64> {
        let samples = self.metrics()?;
        let samples = samples
            .iter()
            .filter(|sample| sample.name == name && taken(sample));
        Ok(samples.map(|sample| sample.value).sum())
    }

    /// The processor's time that the process has taken so far, in seconds.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = self.of_kernel("stat")?;
        // Behind the program's name, which may have spaces: the state is the first, user and system time are the 12th and 13th.
        let (_, fields) = stat.rsplit_once(')').context("no name")?;
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: f64 = ticks.map(|ticks| ticks.parse::<f64>()).sum::<Result<f64, _>>()?;
        Ok(ticks / TICKS_A_SECOND)
    }

    /// The memory that the process has, in MiB.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn memory_mib(&self) -> Result<f64> {
        let status = self.of_kernel("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.context("no VmRSS")?.parse::<f64>()? / 1024.0)
    }

    fn of_kernel(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }

    /// Kills the process as `kill -9` does, and waits until it is gone.
    ///
    /// # Errors
    /// When it was not running.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().context("cannot kill the operator")?;
        self.child.wait().context("cannot wait for the killed operator")?;
        Ok(())
    }

    /// Asks the process to stop and waits until it has.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.context("the operator has no process number")?, Signal::TERM)
            .context("cannot signal the operator")?;
        self.wait_for_end()
    }

    /// Waits until the process ends by itself.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn wait_for_end(&mut self) -> Result<ExitStatus> {
        wait::until("the operator ends", END_WITHIN, || Ok(self.child.try_wait()?))
    }

    /// Everything the process has said.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        std::fs::read_to_string(self.log_path()).context("cannot read the operator's log")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join(LOG)
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the operator's log\n{}", self.log().unwrap_or_default());
        }
    }
}
