//! The ceiling: a server that decodes, frames, writes and syncs sends, and does nothing else with them.

pub mod frame;
pub mod log;
pub mod queue;
pub mod segment;
pub mod service;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use sluice_proto::v2::messaging_service_server::MessagingServiceServer;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tonic::transport::Server;

use crate::args::BareArgs;
use frame::HEADER_BYTES;
use log::{Log, SAFE_GROUPS_MAX, Safe, Totals};
use queue::Queue;
use segment::Ring;
use service::Bare;

const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
const STREAMS_MAX: u32 = 1024;
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// The HTTP/2 settings of the broker, so that both servers meet the same clients in the same way.
/// Windows let a connection carry its streams' bodies without waiting for updates; the limit of streams bounds what
/// one client can have under way; frames keep their default size.
#[must_use]
pub fn http2_server() -> Server {
    Server::builder()
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
}

/// Serves until a signal ends it.
///
/// # Errors
/// When the segments cannot be filled, the address is taken, or a write or sync fails.
pub async fn run(args: &BareArgs) -> Result<()> {
    eprintln!(
        "filling {} segments of {} bytes in {}",
        args.prefill_segments,
        args.segment_size,
        args.data_dir.display()
    );
    let ring = Ring::open(&args.data_dir, args.prefill_segments, args.segment_size)?;
    let command_bytes_max = ring.room_max() - HEADER_BYTES as u64;
    let queue = Arc::new(Queue::default());
    let totals = Arc::new(Totals::default());
    let (safe, mut completed) = mpsc::channel::<Safe>(SAFE_GROUPS_MAX);
    tokio::spawn(async move {
        while let Some(group) = completed.recv().await {
            group.complete();
        }
    });
    let log = Log::new(Arc::clone(&queue), ring, args.flush, Arc::clone(&totals), safe);
    let (failed, failure) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || {
            if let Err(error) = log.run() {
                // The receiver is gone only when the server is stopping anyway.
                let _ = failed.send(error);
            }
        })
        .context("cannot start the log thread")?;
    if args.stats {
        tokio::spawn(print_stats(totals));
    }

    let service = MessagingServiceServer::new(Bare {
        queue: Arc::clone(&queue),
        command_bytes_max,
    })
    .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    eprintln!("ready on {}, flush {:?}", args.listen, args.flush);
    // One service needs no router: it is served as it is, sparing each request the matching and boxing.
    let served = tokio::select! {
        ended = http2_server().serve(args.listen, service) => {
            ended.with_context(|| format!("cannot serve on {}: is the address free?", args.listen))
        }
        error = failure => Err(error.unwrap_or_else(|_| anyhow!("the log thread ended"))),
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    queue.close();
    thread.join().map_err(|_| anyhow!("the log thread panicked"))?;
    served
}

async fn print_stats(totals: Arc<Totals>) {
    let counters = || {
        [
            &totals.commands,
            &totals.groups,
            &totals.syncs,
            &totals.write_nanos,
            &totals.sync_nanos,
        ]
        .map(|counter| counter.load(Ordering::Relaxed))
    };
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let mut before = counters();
    loop {
        tick.tick().await;
        let now = counters();
        let [commands, groups, syncs, write, sync] = std::array::from_fn(|which| now[which] - before[which]);
        before = now;
        let mean = |total: u64, count: u64| total.checked_div(count).unwrap_or(0);
        if commands > 0 {
            eprintln!(
                "{commands}/s in {groups} groups of {}, {syncs} syncs; a write {} us, a sync {} us",
                mean(commands, groups),
                mean(write, groups) / 1000,
                mean(sync, syncs) / 1000,
            );
        }
    }
}
