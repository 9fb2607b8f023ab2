//! More sends at a time than a broker in trouble takes, and what became of each of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sluice_proto::v2::Code;
use tokio::task::JoinSet;

use crate::client::{Client, Receive, code, message};

const TOPIC: &str = "orders";
/// Connections that the sends go through.
const CONNECTIONS: usize = 8;
/// Senders whose call was lost wait a moment: the broker may be gone.
const AFTER_LOSS: Duration = Duration::from_millis(20);
const NUMBER_BYTES: usize = 8;

/// What became of the sends, by their numbers.
#[derive(Debug, Default)]
pub struct Sends {
    /// Stored.
    pub acknowledged: Vec<usize>,
    /// Turned away, with what the client was told.
    pub refused: BTreeMap<usize, String>,
    /// Without an answer.
    pub lost: Vec<usize>,
}

/// Running sends.
pub struct Flood {
    clients: Vec<Client>,
    body_bytes: usize,
    over: Arc<AtomicBool>,
    next: Arc<AtomicUsize>,
    acknowledged: Arc<AtomicUsize>,
    senders: JoinSet<Sends>,
}

impl Flood {
    /// Begins, with so many sends under way at one time. Needs a runtime around it.
    ///
    /// # Errors
    /// When the endpoint is malformed.
    pub fn begin(endpoint: &str, at_a_time: usize, body_bytes: usize) -> Result<Self> {
        let clients: Result<Vec<_>> = (0..CONNECTIONS).map(|_| Client::new(endpoint)).collect();
        let mut flood = Self {
            clients: clients?,
            body_bytes,
            over: Arc::default(),
            next: Arc::default(),
            acknowledged: Arc::default(),
            senders: JoinSet::new(),
        };
        flood.swell(at_a_time);
        Ok(flood)
    }

    /// So many more are under way at one time.
    pub fn swell(&mut self, more: usize) {
        for sender in 0..more {
            let sender = Sender {
                client: self.clients[sender % CONNECTIONS].clone(),
                body_bytes: self.body_bytes,
                over: Arc::clone(&self.over),
                next: Arc::clone(&self.next),
                acknowledged: Arc::clone(&self.acknowledged),
            };
            self.senders.spawn(sender.send());
        }
    }

    /// How many were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Ends, once each send that is under way has its answer.
    ///
    /// # Errors
    /// When a sender panicked.
    pub async fn end(mut self) -> Result<Sends> {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Sends::default();
        while let Some(ended) = self.senders.join_next().await {
            let sends = ended?;
            all.acknowledged.extend(sends.acknowledged);
            all.refused.extend(sends.refused);
            all.lost.extend(sends.lost);
        }
        Ok(all)
    }
}

struct Sender {
    client: Client,
    body_bytes: usize,
    over: Arc<AtomicBool>,
    next: Arc<AtomicUsize>,
    acknowledged: Arc<AtomicUsize>,
}

impl Sender {
    async fn send(self) -> Sends {
        let mut sends = Sends::default();
        while !self.over.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let mut body = format!("{number:0NUMBER_BYTES$}").into_bytes();
            body.resize(self.body_bytes.max(NUMBER_BYTES), b'.');
            let Ok(answer) = self.client.send(vec![message(TOPIC, body)]).await else {
                sends.lost.push(number);
                tokio::time::sleep(AFTER_LOSS).await;
                continue;
            };
            match (code(answer.status.as_ref()), answer.status) {
                (Some(Code::Ok), _) => {
                    sends.acknowledged.push(number);
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                (Some(Code::TooManyRequests), Some(status)) => {
                    sends.refused.insert(number, status.message);
                }
                (_, _) => sends.lost.push(number),
            }
        }
        sends
    }
}

impl Sends {
    /// Has a group that knows nothing yet receive what is stored, until it is given nothing more.
    ///
    /// # Errors
    /// When something acknowledged is missing, something refused is there, something comes twice that was acknowledged, or there
    /// is no end.
    pub async fn check(&self, endpoint: &str, within: Duration) -> Result<()> {
        let client = Client::new(endpoint)?;
        let began = Instant::now();
        let mut found = BTreeMap::<usize, u32>::new();
        loop {
            let receive = Receive {
                poll: Duration::from_millis(500),
                ..Receive::new("afterwards", TOPIC)
            };
            let messages = client.receive(&receive).await?.messages;
            if messages.is_empty() {
                break;
            }
            for message in &messages {
                let number = message.body.get(..NUMBER_BYTES).map(str::from_utf8);
                let number = number.context("a short body")??.parse().context("no number")?;
                *found.entry(number).or_default() += 1;
            }
            client.ack_ok("afterwards", TOPIC, &messages).await?;
            ensure!(began.elapsed() < within, "{} messages and no end", found.len());
        }
        let lost: Vec<_> = self
            .acknowledged
            .iter()
            .filter(|number| !found.contains_key(number))
            .collect();
        ensure!(
            lost.is_empty(),
            "{} acknowledged messages are gone: {:?}",
            lost.len(),
            &lost[..lost.len().min(20)]
        );
        let back: Vec<_> = self
            .refused
            .keys()
            .filter(|number| found.contains_key(number))
            .collect();
        ensure!(back.is_empty(), "refused, and there all the same: {back:?}");
        let twice: Vec<_> = found.iter().filter(|(_, times)| **times > 1).collect();
        ensure!(twice.is_empty(), "acknowledged, and delivered again: {twice:?}");
        Ok(())
    }
}
