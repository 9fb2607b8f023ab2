//! More sends at a time than a broker in trouble takes, and what became of each of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sluice_proto::v2::{self, Code};
use tokio::task::JoinSet;
use tonic::{Response, Status};

use crate::client::{Client, HeldSend, Receive, code, message};

const TOPIC: &str = "orders";
/// Of sends that are not to end; some do.
const UNENDED: &str = "unended";
/// Senders whose call was lost wait a moment: the broker may be gone.
const AFTER_LOSS: Duration = Duration::from_millis(20);
/// A send waits for others of its own client for as long as these take, where many are under way.
const SEND_MAX: Duration = Duration::from_secs(60);
const NUMBER_BYTES: usize = 8;

/// What is offered at one time.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Clients, each with a connection, among which the sends are dealt out.
    pub connections: usize,
    /// Sends under way.
    pub at_a_time: usize,
    /// The body of each.
    pub body_bytes: usize,
}

impl Load {
    /// All bodies together.
    #[must_use]
    pub const fn mib(&self) -> usize {
        (self.at_a_time * self.body_bytes) >> 20
    }
}

/// Begins so many sends and ends none; answers those that the broker has not refused, which it holds for as long as they live. They
/// end by themselves after the time that a request has.
///
/// # Errors
/// When there is no connection.
pub async fn hold(endpoint: &str, load: Load) -> Result<Vec<HeldSend>> {
    let mut clients = JoinSet::new();
    for number in 0..load.connections {
        let client = Client::new(endpoint)?;
        let sends = (number..load.at_a_time).step_by(load.connections).len();
        clients.spawn(async move {
            let mut held = Vec::new();
            for _ in 0..sends {
                let body = vec![b'.'; load.body_bytes];
                match client.begin_send(vec![message(UNENDED, body)]).await {
                    Ok(send) => held.push(send),
                    // The next call of the connection was.
                    Err(error) if is_refused(&error) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(held)
        });
    }
    let mut all = Vec::new();
    while let Some(held) = clients.join_next().await {
        all.extend(held??);
    }
    all.retain(HeldSend::is_held);
    Ok(all)
}

fn is_refused(error: &anyhow::Error) -> bool {
    let status = error.downcast_ref::<Status>();
    status.is_some_and(|status| status.code() == tonic::Code::ResourceExhausted)
}

/// What became of the sends, by their numbers.
#[derive(Debug, Default)]
pub struct Sends {
    /// Stored.
    pub acknowledged: Vec<usize>,
    /// Turned away, with what the client was told.
    pub refused: BTreeMap<usize, String>,
    /// Without an answer, and why.
    pub lost: BTreeMap<usize, String>,
}

/// Running sends.
pub struct Flood {
    clients: Vec<Client>,
    body_bytes: usize,
    over: Arc<AtomicBool>,
    next: Arc<AtomicUsize>,
    acknowledged: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
    senders: JoinSet<Sends>,
}

impl Flood {
    /// Begins with so much. Needs a runtime around it.
    ///
    /// # Errors
    /// When the endpoint is malformed.
    pub fn begin(endpoint: &str, load: Load) -> Result<Self> {
        let clients: Result<Vec<_>> = (0..load.connections).map(|_| Client::new(endpoint)).collect();
        let mut flood = Self {
            clients: clients?,
            body_bytes: load.body_bytes,
            over: Arc::default(),
            next: Arc::default(),
            acknowledged: Arc::default(),
            answered: Arc::default(),
            senders: JoinSet::new(),
        };
        flood.swell(load.at_a_time);
        Ok(flood)
    }

    /// So many more are under way at one time.
    pub fn swell(&mut self, more: usize) {
        for sender in 0..more {
            let sender = Sender {
                client: self.clients[sender % self.clients.len()].clone(),
                body_bytes: self.body_bytes,
                over: Arc::clone(&self.over),
                next: Arc::clone(&self.next),
                acknowledged: Arc::clone(&self.acknowledged),
                answered: Arc::clone(&self.answered),
            };
            self.senders.spawn(sender.send());
        }
    }

    /// How many were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// How many were acknowledged or refused so far.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
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
    answered: Arc<AtomicUsize>,
}

/// What a send was answered.
enum Answer {
    Stored,
    Refused(String),
    Nothing(String),
}

impl Sender {
    async fn send(self) -> Sends {
        let mut sends = Sends::default();
        while !self.over.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            match self.one(number).await {
                Answer::Stored => {
                    sends.acknowledged.push(number);
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                Answer::Refused(why) => {
                    sends.refused.insert(number, why);
                }
                Answer::Nothing(why) => {
                    sends.lost.insert(number, why);
                    tokio::time::sleep(AFTER_LOSS).await;
                    continue;
                }
            }
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        sends
    }

    async fn one(&self, number: usize) -> Answer {
        let mut body = format!("{number:0NUMBER_BYTES$}").into_bytes();
        body.resize(self.body_bytes.max(NUMBER_BYTES), b'.');
        let messages = vec![message(TOPIC, body)];
        let request = v2::SendMessageRequest { messages };
        let request = self.client.request_within(request, SEND_MAX);
        match self
            .client
            .stub()
            .send_message(request)
            .await
            .map(Response::into_inner)
        {
            Ok(answer) => match (code(answer.status.as_ref()), answer.status) {
                (Some(Code::Ok), _) => Answer::Stored,
                (Some(Code::TooManyRequests), Some(status)) => Answer::Refused(status.message),
                (_, status) => Answer::Nothing(format!("{status:?}")),
            },
            // Before the request was whole.
            Err(status) if status.code() == tonic::Code::ResourceExhausted => {
                Answer::Refused(status.message().to_owned())
            }
            Err(status) => Answer::Nothing(format!("{status}")),
        }
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
