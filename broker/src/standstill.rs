//! A process that stood still for a while: stopped by a signal, moved with its machine, swapped out.
//!
//! Clients have given up by then what they had asked for, and what is answered to them goes nowhere. Where the broker renews
//! a delivery, nothing else would bring its messages back to anybody: the client is there, and does not know of them. So it is
//! with those as with what was delivered just before a restart (docs/adr/0002-unanswered-deliveries.md).

use crate::engine::{ANSWERED_WITHIN, Engine};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A busy machine makes a task wait for less, and clients wait for an answer no less than about so long.
const STOOD_STILL: Duration = Duration::from_secs(5);

/// Watches for as long as the process lives.
pub(crate) async fn follow(engine: Arc<Engine>) {
    loop {
        let (before, begun) = (engine.now(), Instant::now());
        tokio::time::sleep(LOOK_EVERY).await;
        let stood_still = begun.elapsed().saturating_sub(LOOK_EVERY);
        if stood_still < STOOD_STILL {
            continue;
        }
        tracing::warn!(
            seconds = stood_still.as_secs(),
            "the process stood still: what it delivered just before and after is visible to others in a minute unless settled"
        );
        // Calls that came meanwhile are answered first, and nobody may wait for those answers any more.
        tokio::time::sleep(ANSWERED_WITHIN).await;
        match engine.bound_unanswered_since(before).await {
            Ok(messages) => tracing::info!(messages, "delivered around the standstill, and not settled yet"),
            Err(error) => {
                tracing::warn!(%error, "what was delivered around the standstill may stay hidden for hours: restart the broker if consumers miss messages");
            }
        }
    }
}
