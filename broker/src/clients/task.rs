//! The task that looks after the clients.

use super::expiry::Watch;
use super::registry::Clients;
use crate::engine::Engine;
use crate::shutdown::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What a client held is visible to others after this: what it says in its last moment still counts.
pub const RELEASED_AFTER_MS: u64 = 1000;

/// Forgets clients that are gone and takes back what they hold, until the shutdown begins.
pub async fn run(clients: Arc<Clients>, engine: Arc<Engine>, shutdown: Shutdown) {
    let mut watch = Watch::default();
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.begun() => return,
            _ = tick.tick() => look(&mut watch, &clients, &engine).await,
        }
    }
}

async fn look(watch: &mut Watch, clients: &Clients, engine: &Engine) {
    let now = Instant::now();
    let decision = watch.decide(now, &clients.look(), &engine.holders());
    let back = |id: &Arc<str>| !clients.remove_if_silent_since(id, now);
    let back: Vec<_> = decision.forget.iter().filter(|id| back(id)).collect();
    for id in decision.release.iter().filter(|id| !back.contains(id)) {
        match engine.release_client(id, RELEASED_AFTER_MS).await {
            Ok(messages) => {
                if messages > 0 {
                    tracing::info!(client = %id, messages, "the client is gone: what it held is visible to others again");
                }
                watch.released(id);
            }
            Err(error) => {
                tracing::warn!(client = %id, %error, "what a gone client holds stays hidden for now")
            }
        }
    }
}
