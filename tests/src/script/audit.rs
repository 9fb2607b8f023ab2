//! What must hold once the broker runs again.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sluice_proto::v2::Code;

use super::{AUDITORS, Base, HOLDER, OLD, Script, TOPICS, WORKER};
use crate::client::{Client, code};
use crate::oracle::{Oracle, Verdict};
use crate::process::Broker;
use crate::sluicectl::Sluicectl;

/// All of it, also where the machine's disk has much else to do.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

impl Script {
    /// Lets every group receive what it has not had, stops the broker, and has its files looked at. Returns what the checker
    /// says about all of it.
    ///
    /// # Errors
    /// When the broker does not answer or stop, its files are not sound, or the message that was in flight all the time is gone.
    pub async fn audit(&self, broker: &mut Broker, base: &Base) -> Result<Verdict> {
        self.hear_everything(broker, base).await?;
        ensure!(broker.stop()?.success(), "the broker did not stop well");
        self.finish(broker)
    }

    /// Lets every group receive what it has not had. The broker goes on.
    ///
    /// # Errors
    /// When the broker does not answer, or the message that was in flight all the time is gone.
    pub async fn hear_everything(&self, broker: &mut Broker, base: &Base) -> Result<()> {
        let (client, began) = (Client::new(&broker.endpoint())?, Instant::now());
        for topic in 0..TOPICS.len() {
            self.receive_everything(broker, &client, topic, began).await?;
        }
        // What the worker has acknowledged must not be among that.
        while let Err(error) = self.receive(&client, WORKER, 0).await {
            ensure!(
                began.elapsed() < ANSWERED_WITHIN && broker.runs()?,
                "the worker gets no answer: {error:#}"
            );
        }
        if !self.is_released.load(Ordering::Relaxed) {
            held_still(broker, &client, base, began).await?;
            self.is_released.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Has the files of the stopped broker looked at, and tells what the checker says.
    ///
    /// # Errors
    /// When they are not sound.
    pub fn finish(&self, broker: &Broker) -> Result<Verdict> {
        let verified = Sluicectl::new()?.ok(&["log", "verify", &broker.data_dir().display().to_string()]);
        verified.context("the files of the stopped broker")?;
        let oracle = std::mem::replace(&mut *self.oracle.lock(), Oracle::new(Vec::new()));
        Ok(oracle.finish())
    }

    /// Until nothing comes and nothing is missing, or it is too late for more: then it is for the checker to say. A call may
    /// end unanswered where the disk is busy, and what it brought is hidden for a while then.
    async fn receive_everything(
        &self,
        broker: &mut Broker,
        client: &Client,
        auditor: usize,
        began: Instant,
    ) -> Result<()> {
        loop {
            let received = self.receive(client, auditor, auditor).await;
            let is_late = began.elapsed() > ANSWERED_WITHIN;
            match received {
                Ok(messages) if !messages.is_empty() => {
                    // What is not acknowledged comes again.
                    let _ = self.acknowledge(client, auditor, auditor, &messages).await;
                    ensure!(!is_late, "{} has no end", AUDITORS[auditor]);
                }
                Ok(_) if is_late || self.is_complete(auditor) => return Ok(()),
                Err(error) if is_late || !broker.runs()? => return Err(error),
                _ => {}
            }
        }
    }

    fn is_complete(&self, auditor: usize) -> bool {
        self.oracle.lock().is_complete(auditor)
    }
}

/// The message that was in flight all the time can be acknowledged.
async fn held_still(broker: &mut Broker, client: &Client, base: &Base, began: Instant) -> Result<()> {
    let held = std::slice::from_ref(&base.held);
    let mut unanswered = 0;
    loop {
        match client.ack(HOLDER, OLD, held).await {
            // One that was not answered may have done it.
            Ok(answer) => {
                let accepted = code(answer.status.as_ref()) == Some(Code::Ok);
                ensure!(
                    accepted || unanswered > 0,
                    "what retention had to carry is gone: {answer:?}"
                );
                return Ok(());
            }
            Err(error) if began.elapsed() > ANSWERED_WITHIN || !broker.runs()? => return Err(error),
            Err(_) => unanswered += 1,
        }
    }
}
