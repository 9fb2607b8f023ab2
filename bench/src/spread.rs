//! Many topics, each read by many groups: what a server's metrics have to tell of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sluice_proto::v2;
use sluice_proto::v2::receive_message_response::Content;
use tokio::task::JoinSet;

use crate::args::SpreadArgs;
use crate::client::{Client, Failure, check, connect};
use crate::message::{Maker, resource};
use crate::produce::send;
use crate::report::{Recorder, Report};
use crate::settings::everything;

/// What a group has received stays in flight for as long, which is as long as the protocol allows.
const INVISIBLE: Duration = Duration::from_secs(12 * 3600);

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
            let got = receive_one(&mut client, &format!("{}-{group}", args.group), &topic, deadline).await;
            let got = got.map_err(|failure| anyhow::anyhow!("cannot receive from {topic}: {failure:?}"))?;
            ensure!(
                got == 1,
                "group {group} received {got} messages of {topic}, not 1"
            );
            received.record(began.elapsed());
        }
    }
}

async fn receive_one(
    client: &mut Client,
    group: &str,
    topic: &str,
    deadline: Duration,
) -> Result<usize, Failure> {
    let body = v2::ReceiveMessageRequest {
        group: Some(resource(group)),
        message_queue: Some(v2::MessageQueue {
            topic: Some(resource(topic)),
            ..Default::default()
        }),
        filter_expression: Some(everything()),
        batch_size: 1,
        invisible_duration: prost_types::Duration::try_from(INVISIBLE).ok(),
        long_polling_timeout: prost_types::Duration::try_from(deadline).ok(),
        ..Default::default()
    };
    let request = client.request(body, deadline * 2);
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
