//! Many groups that have received much and settled none of it: what a server must keep of deliveries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sluice_proto::v2;
use sluice_proto::v2::receive_message_response::Content;
use tokio::task::JoinSet;

use crate::args::{Consumer, HoldArgs, Reception};
use crate::client::{Client, Failure, check, connect};
use crate::consume::prefill;
use crate::message::resource;
use crate::progress::{Live, Progress};
use crate::report::{Recorder, Report};
use crate::session::Session;
use crate::settings::{Role, everything};

/// What a group has received stays in flight for as long, which is as long as the protocol allows.
const INVISIBLE: Duration = Duration::from_secs(12 * 3600);

/// A receive whose messages nobody settles.
#[derive(Debug)]
pub struct Taken {
    /// For which group.
    pub group: String,
    /// From where; a queue without a number is any of its topic.
    pub queue: v2::MessageQueue,
    /// How many messages at most.
    pub batch: i32,
    /// How long the server may wait for the first one.
    pub wait: Duration,
}

impl Taken {
    /// Asks once; answers how many messages came.
    ///
    /// # Errors
    /// When the call or the server says so, also that there is none.
    pub async fn receive(self, client: &mut Client) -> Result<usize, Failure> {
        let body = v2::ReceiveMessageRequest {
            group: Some(resource(&self.group)),
            message_queue: Some(self.queue),
            filter_expression: Some(everything()),
            batch_size: self.batch,
            invisible_duration: prost_types::Duration::try_from(INVISIBLE).ok(),
            long_polling_timeout: prost_types::Duration::try_from(self.wait).ok(),
            ..Default::default()
        };
        let request = client.request(body, self.wait * 2);
        let mut frames = client.stub.receive_message(request).await?.into_inner();
        let mut messages = 0;
        while let Some(frame) = frames.message().await? {
            match frame.content {
                Some(Content::Status(status)) => check(Some(&status))?,
                Some(Content::Message(_)) => messages += 1,
                Some(Content::DeliveryTimestamp(_)) | None => {}
            }
        }
        Ok(messages)
    }
}

/// What the workers share.
struct Work {
    args: HoldArgs,
    queues: Vec<v2::MessageQueue>,
    next: AtomicU64,
    live: Arc<Live>,
}

/// Runs `hold`.
///
/// # Errors
/// When a call fails, or a queue has fewer messages than each group is to receive: half of it would be another picture.
pub async fn run(args: &HoldArgs) -> Result<Report> {
    ensure!(args.each > 0, "--each 0 holds nothing: take 1 at least");
    ensure!(
        args.receivers > 0,
        "--receivers 0 receives nothing: take 1 at least"
    );
    let clients = connect(&args.target).await?;
    if args.prefill > 0 {
        prefill(&args.target, &args.shape, args.prefill, clients.clone()).await?;
    }
    let began = Instant::now();
    let live = Arc::<Live>::default();
    let work = Arc::new(Work {
        queues: queues(args, &clients).await?,
        args: args.clone(),
        next: AtomicU64::new(0),
        live: Arc::clone(&live),
    });
    let progress = Progress::start(live);
    let mut workers = JoinSet::new();
    for client in clients.iter().cycle().take(clients.len() * args.receivers) {
        workers.spawn(Arc::clone(&work).work(client.clone()));
    }
    let mut received = Recorder::new()?;
    while let Some(done) = workers.join_next().await {
        received.merge(&done.context("a worker panicked")??)?;
    }
    drop(progress);
    let mut report = Report::new("hold", began.elapsed());
    let held = args.groups * work.queues.len() as u64 * args.each;
    report.add("receive", &received);
    report.rate("receive", held);
    report.counts.insert("held", held);
    Ok(report)
}

/// All queues of the topic, as a simple consumer finds them.
async fn queues(args: &HoldArgs, clients: &[Client]) -> Result<Vec<v2::MessageQueue>> {
    let reception = Reception {
        group: format!("{}-0", args.group),
        consumer: Consumer::Simple,
        receivers: 1,
        batch: args.batch,
        ack_batch: 1,
        ack_in_flight: 1,
        long_poll: args.target.request_timeout,
        invisible: INVISIBLE,
    };
    let mut session = Session::open(&clients[0], &args.target, Role::Consumer(reception)).await?;
    let queues = std::mem::take(&mut session.queues);
    session.close().await;
    Ok(queues)
}

impl Work {
    /// Takes one queue for one group after the other: a group's queues one behind the other.
    async fn work(self: Arc<Self>, mut client: Client) -> Result<Recorder> {
        let mut received = Recorder::new()?;
        let queues = self.queues.len() as u64;
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let (group, queue) = (number / queues, number % queues);
            if group >= self.args.groups {
                return Ok(received);
            }
            let group = format!("{}-{group}", self.args.group);
            self.hold(&mut client, &group, queue as usize, &mut received)
                .await
                .with_context(|| format!("group {group}, queue {queue} of {}", self.args.target.topic))?;
        }
    }

    async fn hold(
        &self,
        client: &mut Client,
        group: &str,
        queue: usize,
        received: &mut Recorder,
    ) -> Result<()> {
        let mut left = self.args.each;
        while left > 0 {
            let taken = Taken {
                group: group.to_owned(),
                queue: self.queues[queue].clone(),
                batch: i32::try_from(left).map_or(self.args.batch, |left| left.min(self.args.batch)),
                wait: self.args.target.request_timeout,
            };
            let began = Instant::now();
            let got = taken.receive(client).await? as u64;
            received.record(began.elapsed());
            Live::add(&self.live.received, got);
            left = left.saturating_sub(got);
        }
        Ok(())
    }
}
