//! A paced producer and a consumer in one process: how long a send takes, and how long until its message arrives.
//! Both count from the moment the send was due.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::args::LatencyArgs;
use crate::client::connect;
use crate::consume;
use crate::message::Maker;
use crate::pace::{Load, Plan};
use crate::produce::Sender;
use crate::progress::{Live, Progress};
use crate::receive::{Clock, Receiver};
use crate::report::Report;
use crate::session::Session;
use crate::settings::Role;

/// How long what was sent may still arrive after the last send.
const ARRIVE_MAX: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Runs `latency`.
///
/// # Errors
/// When the run cannot start; failed calls are in the report.
pub async fn run(args: &LatencyArgs) -> Result<Report> {
    let target = &args.target;
    let maker = Arc::new(Maker::new(&target.topic, &args.shape)?);
    // Two client instances with connections of their own, as two programs would be.
    let producers = connect(target).await?;
    let consumers = connect(target).await?;
    let producing = Session::open(&producers[0], target, Role::Producer).await?;
    let consuming = Session::open(&consumers[0], target, Role::Consumer(args.reception.clone())).await?;
    let live = Arc::<Live>::default();
    let progress = Progress::start(Arc::clone(&live));
    let queues = consuming.queues.clone();
    let receiver = Receiver::new(consumers, queues, &args.reception, target, Arc::clone(&live))?;

    let load = Load {
        warmup: args.warmup,
        duration: args.duration,
        count: None,
        rate: Some(args.rate),
    };
    let plan = Plan::new(load);
    receiver.measure(
        plan.measured_from(),
        Some(Clock {
            maker: Arc::clone(&maker),
            start: plan.start(),
        }),
    );
    let loops = receiver.start();
    let sender = Sender {
        clients: producers,
        in_flight: args.in_flight,
        request_timeout: target.request_timeout,
        maker,
        live: Arc::clone(&live),
        stamped: true,
    };
    let sent = sender.run(&plan, None).await?;
    let measured = Instant::now().saturating_duration_since(plan.measured_from());
    let patience = Instant::now() + ARRIVE_MAX;
    while receiver.own() < Live::get(&live.sent) && Instant::now() < patience {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let missing = Live::get(&live.sent).saturating_sub(receiver.own());
    let tally = receiver.finish(loops).await?;
    drop(progress);
    producing.close().await;
    consuming.close().await;

    let mut report = Report::new("latency", measured);
    report.add("send", &sent);
    consume::add(&mut report, &tally);
    report.counts.insert("due but never sent", plan.never_made());
    report.counts.insert("sent but not arrived", missing);
    Ok(report)
}
