//! An Alertmanager: Debian's, over a folder of its own.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::kube::Process;
use crate::{binaries, http, metrics, ports, wait};

const PROGRAM: &str = "prometheus-alertmanager";
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running Alertmanager; dropping it ends it.
#[derive(Debug)]
pub struct Alertmanager {
    /// Before the folder that it writes to: fields are dropped in this order.
    process: Process,
    port: u16,
    _folder: TempDir,
}

impl Alertmanager {
    /// Starts one with this configuration, which knows no others, and waits until it is ready.
    ///
    /// # Errors
    /// When it is not installed, or does not like the configuration: its log is in the error then.
    pub fn start(configuration: &str) -> Result<Self> {
        let base = binaries::scratch().join("system-tests");
        std::fs::create_dir_all(&base)?;
        let folder = TempDir::with_prefix_in("alertmanager-", &base)?;
        let (file, data) = (
            folder.path().join("configuration.yaml"),
            folder.path().join("data"),
        );
        std::fs::write(&file, configuration)?;
        let port = ports::free()?;
        let mut command = Command::new(PROGRAM);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", data.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=");
        let mut process = Process::start(PROGRAM, &command, folder.path())
            .with_context(|| format!("install Debian's package {PROGRAM}"))?;
        wait::until("the Alertmanager is ready", READY_WITHIN, || {
            process.check()?;
            Ok((http::get(port, "/-/ready")?.status == 200).then_some(()))
        })?;
        Ok(Self {
            process,
            port,
            _folder: folder,
        })
    }

    /// Has it know of alerts, as a Prometheus does.
    ///
    /// # Errors
    /// When it refuses them.
    pub fn post(&self, alerts: &Value) -> Result<()> {
        let headers = [("Content-Type", "application/json")];
        let body = alerts.to_string();
        let answer = http::send(self.port, "POST", "/api/v2/alerts", &headers, body.as_bytes())?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(())
    }

    /// Notifications to webhooks that it has given up, for whatever reason.
    ///
    /// # Errors
    /// When it does not say.
    pub fn given_up(&self) -> Result<f64> {
        let samples = metrics::parse(&http::get(self.port, "/metrics")?.body)?;
        let failed = samples.iter().filter(|sample| {
            sample.name == "alertmanager_notifications_failed_total"
                && sample.labels.get("integration").is_some_and(|of| of == "webhook")
        });
        Ok(failed.map(|sample| sample.value).sum())
    }

    /// Everything it has said.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the Alertmanager's log\n{}", self.log());
        }
    }
}
