//! What the broker proposes before it serves any client, and goes on with where the disk has no room for it: a broker that does
//! not start cannot be drained.

use crate::engine::{Engine, EngineError};
use crate::init::{Init, Left};
use anyhow::Context as _;
use sluice_core::ids::TimeMs;
use std::sync::Arc;
use std::time::Duration;

const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What there was no room for.
pub(crate) struct Undone {
    /// What was delivered just before this is hidden for as long as ever.
    since: Option<TimeMs>,
    left: Option<Left>,
}

/// Does it, but for what there is no room for; closes the store where it fails.
pub(crate) async fn prepare(engine: &Engine, init: Init) -> anyhow::Result<Undone> {
    let proposed = propose_first(engine, init).await;
    if proposed.is_err()
        && let Err(error) = engine.close().await
    {
        tracing::error!("cannot close the store: {error}");
    }
    proposed
}

async fn propose_first(engine: &Engine, init: Init) -> anyhow::Result<Undone> {
    // The broker went down at this time, which what is proposed next ends.
    let down_at = engine.tables().now();
    let bounded = bound_unanswered(engine, down_at).await;
    let bounded = bounded.context("cannot take back what was delivered just before the broker went down")?;
    if let Err(error) = &bounded {
        tracing::error!(%error, "what was delivered just before the broker went down, and reached nobody, stays hidden until there is room");
    }
    let left = init.apply(engine).await.context("--init cannot be followed")?;
    if let Some(left) = &left {
        tracing::error!(why = %left.why, "the file for --init is followed when there is room: there is no {} yet", left.init);
    }
    engine.subscribe_all().await;
    Ok(Undone {
        since: bounded.is_err().then_some(down_at),
        left,
    })
}

/// The inner error is that there is no room.
async fn bound_unanswered(engine: &Engine, down_at: TimeMs) -> Result<Result<(), EngineError>, EngineError> {
    match engine.bound_unanswered_since(down_at).await {
        Ok(0) => Ok(Ok(())),
        Ok(messages) => {
            tracing::info!(
                messages,
                "delivered just before the broker went down: visible to others in a minute unless settled"
            );
            Ok(Ok(()))
        }
        Err(error) if error.is_for_want_of_room() => Ok(Err(error)),
        Err(error) => Err(error),
    }
}

impl Undone {
    /// Whether nothing is left to do.
    pub(crate) fn is_nothing(&self) -> bool {
        self.since.is_none() && self.left.is_none()
    }

    /// Tries again until there is room, or something else is in the way.
    pub(crate) async fn follow(mut self, engine: Arc<Engine>) {
        while !self.is_nothing() {
            tokio::time::sleep(AGAIN_AFTER).await;
            if let Err(error) = self.again(&engine).await {
                tracing::error!("what there was no room for at the start is left to the next one: {error:#}");
                return;
            }
        }
    }

    /// One more try.
    pub(crate) async fn again(&mut self, engine: &Engine) -> anyhow::Result<()> {
        if let Some(since) = self.since
            && bound_unanswered(engine, since).await?.is_ok()
        {
            self.since = None;
        }
        if let Some(left) = self.left.take() {
            self.left = left.init.apply(engine).await?;
            if self.left.is_none() {
                engine.subscribe_all().await;
                tracing::info!("there is room again: all that the file for --init has is there");
            }
        }
        Ok(())
    }
}
