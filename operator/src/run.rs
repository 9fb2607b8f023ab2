//! The operator as a process: it waits until it leads, runs the controllers while it does, and ends in order.

use crate::alerts::{self, Listing, Receiver, Seen};
use crate::broker::{Brokers, Caller};
use crate::clock::Clock;
use crate::context::Context;
use crate::controllers;
use crate::evaluation::Pushes;
use crate::http::{self, Probes, Stage};
use crate::kubernetes;
use crate::leadership::Leadership;
use crate::lease::{Campaign, End, Loss};
use crate::logging;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::shutdown::{Shutdown, Signals};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use kube::Api;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// What runs when the process is asked to stop may take this long to end.
const DRAIN_WITHIN: Duration = Duration::from_secs(15);

/// Starts a runtime, and runs in it until the end.
pub fn run(settings: Settings) -> Result<()> {
    logging::start(&settings.log, settings.log_format);
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
    let ended = runtime.block_on(operate(settings));
    // What still runs is nobody's any more.
    runtime.shutdown_background();
    ended
}

async fn operate(settings: Settings) -> Result<()> {
    let signals = Signals::listen().context("cannot listen for signals")?;
    let (shutdown, clock) = (Shutdown::default(), Clock::start());
    let metrics = Arc::new(Metrics::new().context("cannot make the metrics")?);
    let probes = Arc::new(Probes::new(Arc::clone(&metrics)));
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("cannot listen on {}: choose another --listen", settings.listen))?;
    tracing::info!(address = %settings.listen, version = env!("CARGO_PKG_VERSION"), "serving probes and metrics");
    tokio::spawn(http::serve(listener, Arc::clone(&probes)));
    let alerts = match &settings.webhook {
        Some(guarding) => Some(alerts::Port::open(guarding).await?),
        None => None,
    };
    let client = kubernetes::connect(Arc::clone(&metrics)).await?;

    // A process that was started again must not be taken for the one before it.
    let identity = format!("{}_{:016x}", settings.identity, fastrand::u64(..));
    let leadership = Arc::new(Leadership::new(clock));
    let leases = match &settings.lease_namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::default_namespaced(client.clone()),
    };
    let mut campaign = Campaign::new(
        leases,
        settings.lease_name.clone(),
        identity.clone(),
        settings.lease_terms,
        clock,
        Arc::clone(&leadership),
    );
    let pushes = Pushes::new(settings.scopes.len());
    if let Some(port) = alerts {
        tokio::spawn(port.serve(Receiver {
            client: client.clone(),
            listing: Listing::of(settings.scopes.clone()),
            leadership: Arc::clone(&leadership),
            pushes: pushes.clone(),
            shutdown: shutdown.clone(),
            clock,
            metrics: Arc::clone(&metrics),
            seen: Seen::default(),
        }));
    }
    tokio::spawn(stop_on_signal(signals, shutdown.clone()));
    if campaign
        .win(&shutdown, || probes.reach(Stage::Standby))
        .await
        .is_some()
    {
        return Ok(());
    }
    let brokers = Brokers::new(Caller {
        identity: identity.clone(),
        leadership: Arc::clone(&leadership),
        metrics: Arc::clone(&metrics),
    });
    let context = Context::new(
        client,
        metrics,
        brokers,
        Arc::clone(&leadership),
        clock,
        &settings,
        identity,
    );
    let context = Arc::new(context.pushed_by(pushes));
    lead(&settings, &shutdown, &probes, &mut campaign, &leadership, context).await
}

async fn stop_on_signal(mut signals: Signals, shutdown: Shutdown) {
    let signal = signals.next().await;
    tracing::info!(signal, "stopping");
    shutdown.begin();
}

/// Runs the controllers until the process is to stop or leads no longer.
async fn lead(
    settings: &Settings,
    shutdown: &Shutdown,
    probes: &Probes,
    campaign: &mut Campaign,
    leadership: &Leadership,
    context: Arc<Context>,
) -> Result<()> {
    let mut controllers = tokio::spawn(controllers::run(
        settings.scopes.clone(),
        context,
        shutdown.clone(),
    ));
    probes.reach(Stage::Leading);
    let end = tokio::select! {
        end = campaign.keep(shutdown) => end,
        _ = &mut controllers => {
            ensure!(shutdown.has_begun(), "the controllers broke, see the log before this; this replica ends, to be started again");
            End::Stopped
        }
        how = leadership.deposed() => {
            probes.reach(Stage::Stopping);
            bail!("{how}: it leads now, and this replica ends; see that all replicas use one --lease-name and --lease-namespace");
        }
    };
    probes.reach(Stage::Stopping);
    if let End::Lost(loss) = end {
        return Err(lost(&loss, settings));
    }
    // Renewed meanwhile: what runs may write until it has ended.
    if !controllers.is_finished() {
        tokio::select! {
            _ = controllers => {}
            loss = renew_for(campaign, settings, DRAIN_WITHIN) => {
                if let Some(loss) = loss {
                    return Err(lost(&loss, settings));
                }
                tracing::warn!("some reconciliations have not ended in time, and are given up");
            }
        }
    }
    campaign.release().await;
    Ok(())
}

fn lost(loss: &Loss, settings: &Settings) -> anyhow::Error {
    anyhow!(
        "lost the lease '{}': {loss}; this replica ends, so that only one leads, and can be started again",
        settings.lease_name
    )
}

/// Renews the lease for so long, or until it is lost.
async fn renew_for(campaign: &mut Campaign, settings: &Settings, time: Duration) -> Option<Loss> {
    let end = tokio::time::Instant::now() + time;
    while tokio::time::Instant::now() < end {
        tokio::time::sleep(settings.lease_terms.retry.min(time)).await;
        if let Some(loss) = campaign.renew().await {
            return Some(loss);
        }
    }
    None
}
