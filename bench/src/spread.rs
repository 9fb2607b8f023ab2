//! Many topics, each read by many groups: what a server's metrics have to tell of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use sluice_proto::v2;
use tokio::task::JoinSet;

use crate::args::SpreadArgs;
use crate::client::{Client, connect};
use crate::hold::Taken;
use crate::message::{Maker, resource};
use crate::produce::send;
use crate::report::{Recorder, Report};

/// Runs `spread`.
///
/// # Errors
/// When a call fails: half of it would be another picture.
pub async fn run(args: &SpreadArgs) -> Result<Report> {
    ensure!(args.each > 0, "--each 0 sends nothing: take 1 at least");
    let began = Instant::now();
    let clients = connect(&args.target).await?;
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for client in clients {
        workers.spawn(work(client, args.clone(), Arc::clone(&next)));
    }
    let (mut sent, mut received) = (Recorder::new()?, Recorder::new()?);
    while let Some(done) = workers.join_next().await {
        let (sends, receives) = done.context("a worker panicked")??;
        sent.merge(&sends)?;
        received.merge(&receives)?;
    }
    let mut report = Report::new("spread", began.elapsed());
    report.add("send", &sent);
    report.add("receive", &received);
    Ok(report)
}

/// Takes topic after topic.
async fn work(mut client: Client, args: SpreadArgs, next: Arc<AtomicU64>) -> Result<(Recorder, Recorder)> {
    let (mut sent, mut received) = (Recorder::new()?, Recorder::new()?);
    let deadline = args.target.request_timeout;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= args.topics {
            return Ok((sent, received));
        }
        let topic = format!("{}-{number}", args.target.topic);
        let maker = Maker::new(&topic, &args.shape)?;
        for message in 0..args.each {
            let began = Instant::now();
            let done = send(&mut client, maker.make(message, None), deadline).await;
            done.map_err(|failure| anyhow::anyhow!("cannot send to {topic}: {failure:?}"))?;
            sent.record(began.elapsed());
        }
        for group in 0..args.groups {
            let began = Instant::now();
            let taken = Taken {
                group: format!("{}-{group}", args.group),
                queue: v2::MessageQueue {
                    topic: Some(resource(&topic)),
                    ..Default::default()
                },
                batch: 1,
                wait: deadline,
            };
            let got = taken.receive(&mut client).await;
            let got = got.map_err(|failure| anyhow::anyhow!("cannot receive from {topic}: {failure:?}"))?;
            ensure!(
                got == 1,
                "group {group} received {got} messages of {topic}, not 1"
            );
            received.record(began.elapsed());
        }
    }
}
