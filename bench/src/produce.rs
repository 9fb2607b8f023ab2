//! Sends messages: a closed loop, or at a steady rate with latencies from the moment each send was due.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use parking_lot::Mutex;
use sluice_proto::v2;
use tokio::task::JoinSet;

use crate::args::ProduceArgs;
use crate::client::{Client, Failure, check, connect};
use crate::message::Maker;
use crate::pace::{Load, Plan};
use crate::progress::{Live, Progress};
use crate::report::{Recorder, Report};
use crate::session::Session;
use crate::settings::Role;
use crate::timeline::Timeline;

/// A failed worker waits as long, or a server that is down would be asked a million times a second.
const AFTER_FAILURE: Duration = Duration::from_millis(10);
/// Longer than any run.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Many workers that send what a plan hands out.
#[derive(Debug, Clone)]
pub struct Sender {
    /// One a connection.
    pub clients: Vec<Client>,
    /// Workers a connection.
    pub in_flight: usize,
    /// Deadline of a send.
    pub request_timeout: Duration,
    /// Makes the messages.
    pub maker: Arc<Maker>,
    /// Shown while the run is under way.
    pub live: Arc<Live>,
    /// Whether bodies carry the moment they were due.
    pub stamped: bool,
}

impl Sender {
    /// Sends until the plan is over, and tells the timeline of it meanwhile.
    ///
    /// # Errors
    /// When there is no worker or one of them panics, or the timeline cannot be written.
    pub async fn run(&self, plan: &Arc<Plan>, mut timeline: Option<Timeline>) -> Result<Recorder> {
        ensure!(self.in_flight > 0, "--in-flight 0 sends nothing: take 1 at least");
        plan.spawn_pacer().context("cannot start the pacing thread")?;
        // One recorder a connection: one a worker would be megabytes of histograms that a cache cannot hold.
        let mut connections = Vec::new();
        for client in &self.clients {
            connections.push((client, Arc::new(Mutex::new(Recorder::new()?))));
        }
        let mut workers = JoinSet::new();
        for _ in 0..self.in_flight {
            for (client, recorder) in &connections {
                let work = self
                    .clone()
                    .work((*client).clone(), Arc::clone(plan), Arc::clone(recorder));
                workers.spawn(work);
            }
        }
        let recorders: Vec<_> = connections.into_iter().map(|(_, recorder)| recorder).collect();
        let mut all = Recorder::new()?;
        let every = timeline.as_ref().map_or(NEVER, |timeline| timeline.every);
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
        // After a late tick the next one would come early otherwise, and its line would be of less than `every`.
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let over = tokio::select! {
                worker = workers.join_next() => match worker {
                    Some(worker) => {
                        worker.context("a sender panicked")?;
                        continue;
                    }
                    None => true,
                },
                _ = tick.tick() => false,
            };
            let since = take(&recorders)?;
            all.merge(&since)?;
            match &mut timeline {
                Some(timeline) if over => timeline.add_rest(&since)?,
                Some(timeline) => timeline.add(&since)?,
                None => {}
            }
            if over {
                return Ok(all);
            }
        }
    }

    async fn work(self, mut client: Client, plan: Arc<Plan>, recorder: Arc<Mutex<Recorder>>) {
        while let Some(slot) = plan.next().await {
            let stamp = self.stamped.then(|| slot.due.duration_since(plan.start()));
            let request = self.maker.make(slot.number, stamp);
            match send(&mut client, request, self.request_timeout).await {
                Ok(_) => {
                    Live::add(&self.live.sent, 1);
                    if slot.measured {
                        recorder.lock().record(slot.due.elapsed());
                    }
                }
                Err(failure) => {
                    self.live.fail("send", &failure);
                    if slot.measured {
                        recorder.lock().fail(failure.key);
                    }
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            }
        }
    }
}

/// What they have recorded, all together; they begin anew.
fn take(recorders: &[Arc<Mutex<Recorder>>]) -> Result<Recorder> {
    let mut all = Recorder::new()?;
    for recorder in recorders {
        let empty = Recorder::new()?;
        all.merge(&std::mem::replace(&mut *recorder.lock(), empty))?;
    }
    Ok(all)
}

/// Sends one request and checks every status in the response.
///
/// # Errors
/// When the call or an entry failed.
pub async fn send(
    client: &mut Client,
    body: v2::SendMessageRequest,
    deadline: Duration,
) -> Result<v2::SendMessageResponse, Failure> {
    let request = client.request(body, deadline);
    let response = client.stub.send_message(request).await?.into_inner();
    check(response.status.as_ref())?;
    response
        .entries
        .iter()
        .try_for_each(|entry| check(entry.status.as_ref()))?;
    Ok(response)
}

/// Runs `produce`.
///
/// # Errors
/// When the run cannot start; failed sends are in the report.
pub async fn run(args: &ProduceArgs) -> Result<Report> {
    let target = &args.target;
    let maker = Arc::new(Maker::new(&target.topic, &args.shape)?.over_topics(args.topics));
    let clients = connect(target).await?;
    let session = Session::open(&clients[0], target, Role::Producer).await?;
    let live = Arc::<Live>::default();
    let progress = Progress::start(Arc::clone(&live));
    let load = Load {
        warmup: args.warmup,
        duration: args.duration,
        count: args.count,
        rate: args.rate,
    };
    let plan = Plan::new(load);
    let sender = Sender {
        clients,
        in_flight: args.in_flight,
        request_timeout: target.request_timeout,
        maker,
        live,
        stamped: false,
    };
    let timeline = args.timeline.clone().map(|path| {
        let began = plan.measured_from();
        Timeline::new(path, args.timeline_every, began)
    });
    let sent = sender.run(&plan, timeline.transpose()?).await?;
    let measured = Instant::now().saturating_duration_since(plan.measured_from());
    drop(progress);
    session.close().await;
    let mut report = Report::new("produce", measured);
    report.add("send", &sent);
    report.counts.insert("due but never sent", plan.never_made());
    Ok(report)
}
