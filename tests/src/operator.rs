//! An operator process: started against an API server, killed, stopped, looked at.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::kube::Process;
use crate::metrics::{self, Sample};
use crate::{binaries, http, ports, wait};

const READY_WITHIN: Duration = Duration::from_secs(30);
const END_WITHIN: Duration = Duration::from_secs(30);
/// What the kernel counts a process's time in, on every machine that Linux runs on today.
const TICKS_A_SECOND: f64 = 100.0;

/// A Lease with such times that another operator takes over within seconds, and that load is no reason to lose it.
pub const SHORT_LEASE: [&str; 6] = [
    "--lease-duration-seconds",
    "10",
    "--lease-renew-within-seconds",
    "8",
    "--lease-retry-seconds",
    "1",
];

/// A running operator; dropping it kills the process. Its log is printed when the test fails.
#[derive(Debug)]
pub struct Operator {
    process: Process,
    http_port: u16,
    _logs: TempDir,
}

impl Operator {
    /// Starts one with these flags, on a free port, and waits until it is ready: as the leader or standing by. Its log is
    /// beside the kubeconfig.
    ///
    /// # Errors
    /// When it ends or does not become ready in time.
    pub fn start(kubeconfig: &Path, flags: &[&str]) -> Result<Self> {
        let folder = kubeconfig.parent().context("the kubeconfig is in no folder")?;
        let logs = TempDir::with_prefix_in("operator-", folder)
            .context("cannot make a folder for the operator's log")?;
        let http_port = ports::free()?;
        let mut command = Command::new(binaries::operator()?);
        command
            .arg("run")
            .args(["--listen", &format!("127.0.0.1:{http_port}")])
            .args(["--log-format", "text"])
            .args(flags)
            .env("KUBECONFIG", kubeconfig);
        let mut operator = Self {
            process: Process::start("sluice-operator", &command, logs.path())?,
            http_port,
            _logs: logs,
        };
        operator.wait_until_ready()?;
        Ok(operator)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        wait::until("the operator is ready", READY_WITHIN, || {
            self.process.check()?;
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

    /// How often consumer groups were evaluated.
    ///
    /// # Errors
    /// When the metrics cannot be read.
    pub fn evaluations(&self) -> Result<f64> {
        let of_scaling =
            |sample: &Sample| sample.labels.get("kind").map(String::as_str) == Some("Autoscaling");
        self.sum("sluice_operator_reconcile_runs_total", of_scaling)
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
        let path = format!("/proc/{}/{file}", self.process.id());
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }

    /// Kills the process as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks the process to stop and waits until it has.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.process.terminate()?;
        self.wait_for_end()
    }

    /// Waits until the process ends by itself.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn wait_for_end(&mut self) -> Result<ExitStatus> {
        wait::until("the operator ends", END_WITHIN, || self.process.try_wait())
    }

    /// Everything the process has said.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the operator's log\n{}", self.log());
        }
    }
}
