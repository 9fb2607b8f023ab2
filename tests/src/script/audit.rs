//! What must hold once the broker runs again.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::{AUDITORS, Base, HOLDER, OLD, Script, TOPICS, WORKER};
use crate::client::Client;
use crate::oracle::{Oracle, Verdict};
use crate::process::Broker;
use crate::sluicectl::Sluicectl;

/// What a killed call of the auditors could have hidden, it hides no longer than that.
const DELIVERED_WITHIN: Duration = Duration::from_secs(25);

impl Script {
    /// Lets every group receive what it has not had, stops the broker, and has its files looked at. Returns what the checker
    /// says about all of it.
    ///
    /// # Errors
    /// When the broker does not answer or stop, its files are not sound, or the message that was in flight all the time is gone.
    pub async fn audit(&self, broker: &mut Broker, base: &Base) -> Result<Verdict> {
        let client = Client::new(&broker.endpoint())?;
        for topic in 0..TOPICS.len() {
            self.receive_everything(&client, topic).await?;
        }
        // What the worker has acknowledged must not be among that.
        self.receive(&client, WORKER, 0).await?;
        let held = client.ack_ok(HOLDER, OLD, std::slice::from_ref(&base.held));
        held.await
            .context("the message that was in flight when the log gave up its start")?;
        ensure!(broker.stop()?.success(), "the broker did not stop well");
        let verified = Sluicectl::new()?.ok(&["log", "verify", &broker.data_dir().display().to_string()]);
        verified.context("the files of the stopped broker")?;
        let oracle = std::mem::replace(&mut *self.oracle.lock(), Oracle::new(Vec::new()));
        Ok(oracle.finish())
    }

    async fn receive_everything(&self, client: &Client, auditor: usize) -> Result<()> {
        let began = Instant::now();
        loop {
            let messages = self.receive(client, auditor, auditor).await?;
            if messages.is_empty() {
                return Ok(());
            }
            self.acknowledge(client, auditor, auditor, &messages).await?;
            ensure!(
                began.elapsed() < DELIVERED_WITHIN,
                "{} has no end",
                AUDITORS[auditor]
            );
        }
    }
}
