//! A port of this machine for one of a pod, as `kubectl port-forward` makes it: on whatever cluster the suite runs.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::kubectl::Kubectl;
use super::process::Process;
use crate::wait;

const OPEN_WITHIN: Duration = Duration::from_secs(30);

/// Forwards connections until it is dropped, or the pod is gone.
#[derive(Debug)]
pub struct PortForward {
    _process: Process,
    address: String,
    _logs: TempDir,
}

impl PortForward {
    /// Opens one to a port of a pod, or of whatever else kubectl forwards to.
    ///
    /// # Errors
    /// When kubectl ends, with what it says.
    pub fn open(kubectl: &Kubectl, namespace: &str, target: &str, port: u16) -> Result<Self> {
        let logs = tempfile::tempdir().context("cannot make a folder for kubectl's log")?;
        let mut command = kubectl.command()?;
        command
            .args(["port-forward", "--namespace", namespace, target])
            .arg(format!(":{port}"));
        let mut process = Process::start("port-forward", &command, logs.path())?;
        let address = wait::until("kubectl forwards a port", OPEN_WITHIN, || {
            process.check()?;
            Ok(of_line(&process.log()))
        })?;
        Ok(Self {
            _process: process,
            address,
            _logs: logs,
        })
    }

    /// Where to connect to, as HOST:PORT.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// From `Forwarding from 127.0.0.1:40123 -> 8082`.
fn of_line(log: &str) -> Option<String> {
    let line = log
        .lines()
        .find_map(|line| line.strip_prefix("Forwarding from 127.0.0.1:"))?;
    let (port, _) = line.split_once(" -> ")?;
    Some(format!("127.0.0.1:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_what_kubectl_says_first() {
        let said = "Forwarding from 127.0.0.1:40123 -> 8082\nForwarding from [::1]:40123 -> 8082\n";
        assert_eq!(of_line(said).as_deref(), Some("127.0.0.1:40123"));
        assert_eq!(of_line("Forwarding from 127.0.0.1:401"), None);
    }
}
