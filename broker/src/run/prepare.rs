//! What the broker proposes before it serves any client, and goes on with where the disk has no room for it: a broker that does
//! not start cannot be drained.

use crate::engine::{Engine, EngineError};
use crate::init::{Init, Left};
use anyhow::Context as _;
use std::sync::Arc;
use std::time::Duration;

const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What there was no room for.
pub(crate) struct Undone {
    /// Something that was delivered just before the broker went down is hidden for as long as ever.
    unanswered: bool,
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
    let taken_back = allowing_for_room(engine.take_back().await);
    let taken_back =
        taken_back.context("cannot take back what was delivered just before the broker went down")?;
    if let Err(error) = &taken_back {
        tracing::error!(%error, "what was delivered just before the broker went down, and reached nobody, stays hidden until there is room");
    }
    let left = init.apply(engine).await.context("--init cannot be followed")?;
    if let Some(left) = &left {
        tracing::error!(why = %left.why, "the file for --init is followed when there is room: there is no {} yet", left.init);
    }
    engine.subscribe_all().await;
    Ok(Undone {
        unanswered: taken_back.is_err(),
        left,
    })
}

/// Tells how much was taken back. The inner error is one that may pass, as that there is no room.
fn allowing_for_room(taken_back: Result<u32, EngineError>) -> Result<Result<(), EngineError>, EngineError> {
    match taken_back {
        Ok(0) => Ok(Ok(())),
        Ok(messages) => {
            tracing::info!(
                messages,
                "delivered just before the broker went down: visible to others in a minute unless settled"
            );
            Ok(Ok(()))
        }
        Err(error) if error.may_pass() => Ok(Err(error)),
        Err(error) => Err(error),
    }
}

impl Undone {
    /// Whether nothing is left to do.
    pub(crate) fn is_nothing(&self) -> bool {
        !self.unanswered && self.left.is_none()
    }

    /// Tries again until all is done, or something else is in the way of what is not.
    pub(crate) async fn follow(mut self, engine: Arc<Engine>) {
        while !self.is_nothing() {
            tokio::time::sleep(AGAIN_AFTER).await;
            if let Err(error) = self.again(&engine).await {
                tracing::error!(
                    "a part of what there was no room for at the start is left to the next one: {error:#}"
                );
            }
        }
    }

    /// One more try. After an error, what it is about is given up, and the rest is not.
    pub(crate) async fn again(&mut self, engine: &Engine) -> anyhow::Result<()> {
        if std::mem::take(&mut self.unanswered) {
            let taken_back = allowing_for_room(engine.take_back_rest().await);
            self.unanswered = taken_back
                .context("cannot take back what was delivered just before the broker went down")?
                .is_err();
        }
        if let Some(left) = self.left.take() {
            self.left = left
                .init
                .apply(engine)
                .await
                .context("--init cannot be followed")?;
            if self.left.is_none() {
                engine.subscribe_all().await;
                tracing::info!("there is room again: all that the file for --init has is there");
            }
        }
        Ok(())
    }
}
