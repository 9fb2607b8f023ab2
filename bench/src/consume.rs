//! Receives and acknowledges as fast as the server delivers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::args::{ConsumeArgs, Shape, Target};
use crate::client::{Client, connect};
use crate::message::Maker;
use crate::pace::{Load, Plan};
use crate::produce::Sender;
use crate::progress::{Live, Progress};
use crate::receive::Receiver;
use crate::report::Report;
use crate::session::Session;
use crate::settings::Role;
use crate::tally::Tally;

const PREFILL_IN_FLIGHT: usize = 32;
/// How often the end is looked for; at most this much of idle time is in a rate by count.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Runs `consume`.
///
/// # Errors
/// When the run cannot start; failed calls are in the report.
pub async fn run(args: &ConsumeArgs) -> Result<Report> {
    let target = &args.target;
    let clients = connect(target).await?;
    if args.prefill > 0 {
        prefill(target, &args.shape, args.prefill, clients.clone()).await?;
    }
    let session = Session::open(&clients[0], target, Role::Consumer(args.reception.clone())).await?;
    let live = Arc::<Live>::default();
    let progress = Progress::start(Arc::clone(&live));
    let receiver = Receiver::new(
        clients,
        session.queues.clone(),
        &args.reception,
        target,
        Arc::clone(&live),
    )?;
    let from = Instant::now() + args.warmup;
    receiver.measure(from, None);
    let loops = receiver.start();
    let count = args.count.or_else(|| (args.prefill > 0).then_some(args.prefill));
    let end = from + args.duration;
    while Instant::now() < end && count.is_none_or(|count| Live::get(&live.acked) < count) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let ended = Instant::now();
    let tally = receiver.finish(loops).await?;
    drop(progress);
    session.close().await;
    // Up to the last acknowledgement, not up to the end of a long poll that found nothing more.
    let last = tally.last.unwrap_or(ended).min(ended);
    let mut report = Report::new("consume", last.saturating_duration_since(from));
    add(&mut report, &tally);
    report.counts.insert("asked to acknowledge", count.unwrap_or(0));
    Ok(report)
}

/// Adds what a consumer counted.
pub fn add(report: &mut Report, tally: &Tally) {
    report.add("receive", &tally.receive);
    report.add("ack", &tally.ack);
    report.add("delivery", &tally.delivery);
    // Rates are of messages, not of calls.
    report.rates.remove("delivery");
    report.rate("receive", tally.received);
    report.rate("ack", tally.acked);
    report.counts.insert("received", tally.received);
    report.counts.insert("acknowledged", tally.acked);
    report.counts.insert("redelivered", tally.redelivered);
}

/// Sends so many messages, unmeasured.
///
/// # Errors
/// When one of them is not taken.
pub async fn prefill(target: &Target, shape: &Shape, messages: u64, clients: Vec<Client>) -> Result<()> {
    eprintln!("sending {messages} messages first");
    let session = Session::open(&clients[0], target, Role::Producer).await?;
    let live = Arc::<Live>::default();
    let progress = Progress::start(Arc::clone(&live));
    let count = Some(messages);
    let plan = Plan::new(Load {
        warmup: Duration::ZERO,
        duration: Duration::ZERO,
        count,
        rate: None,
    });
    let sender = Sender {
        clients,
        in_flight: PREFILL_IN_FLIGHT,
        request_timeout: target.request_timeout,
        maker: Arc::new(Maker::new(&target.topic, shape)?),
        live,
        stamped: false,
    };
    let sent = sender.run(&plan, None).await?;
    drop(progress);
    session.close().await;
    ensure!(
        sent.errors().is_empty(),
        "cannot send the {messages} messages to be received: {:?}",
        sent.errors()
    );
    Ok(())
}
