//! Receiving for a group until somebody interrupts: a broker that starts again, or has too much to do, is waited for.

use super::{notes, receive_up_to, report, settle};
use crate::args::ReceiveMessages;
use crate::commands::Outcome;
use crate::connect::{Client, entropy};
use crate::failure::{Failure, Kind};
use crate::session::Session;
use std::time::Duration;

/// The first pause, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// What a broker says that stops, starts, or has too much to do.
const PASSING: [&str; 2] = ["INTERNAL_SERVER_ERROR", "TOO_MANY_REQUESTS"];

/// Ends with the first failure that does not pass by itself.
pub(super) async fn follow(args: &ReceiveMessages, client: &mut Client, session: &Session) -> Outcome {
    let mut tries = 0;
    loop {
        match once(args, client, session).await {
            Ok(()) if tries > 0 => {
                session.printer().note("the broker answers again");
                tries = 0;
            }
            Ok(()) => {}
            Err(failure) if passes(&failure) => {
                if tries == 0 {
                    session.printer().note(&format!("{failure}\nwaiting for it"));
                }
                tokio::time::sleep(pause(tries, entropy())).await;
                tries += 1;
                // The old connection can hang where its other end went without a word.
                if let Ok(fresh) = session.client().await {
                    *client = fresh;
                }
            }
            Err(failure) => return Err(failure),
        }
    }
}

async fn once(args: &ReceiveMessages, client: &mut Client, session: &Session) -> Result<(), Failure> {
    let (received, failure) = receive_up_to(args, client).await?;
    notes::of_unread(args, &received, session);
    if received.messages.is_empty() {
        return Ok(());
    }
    let shown = session.printer().show_one_of_many(&report(args, &received));
    let settled = settle(args, &received.messages, shown, client).await;
    settled.map_err(|failure| match passes(&failure) {
        // They are hidden until then, and the broker may have heard of it or not.
        true => Failure {
            message: format!("{}; the messages shown last may come again", failure.message),
            ..failure
        },
        false => failure,
    })?;
    failure.map_or(Ok(()), Err)
}

fn passes(failure: &Failure) -> bool {
    let says = failure.reason.as_deref();
    failure.kind == Kind::Unreachable || says.is_some_and(|reason| PASSING.contains(&reason))
}

/// Twice as long each time up to a bound, and between half of that and all of it by chance, so that many do not come at once.
fn pause(tries: u32, chance: u64) -> Duration {
    let whole = PAUSE_MIN
        .saturating_mul(2_u32.saturating_pow(tries))
        .min(PAUSE_MAX);
    let part = u32::try_from(chance % 1000).unwrap_or_default();
    whole / 2 + whole / 2 * part / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        for (tries, least, most) in [(0, 125, 250), (1, 250, 500), (3, 1000, 2000), (6, 5000, 10_000)] {
            assert_eq!(pause(tries, 0), Duration::from_millis(least));
            let longest = pause(tries, 999).as_millis();
            assert!(longest > least.into() && longest <= most, "{tries}: {longest}");
        }
        assert_eq!(pause(u32::MAX, 0), pause(6, 0));
    }

    #[test]
    fn what_passes_is_told_from_a_refusal() {
        let failure = |kind, reason: Option<&str>| Failure {
            reason: reason.map(str::to_owned),
            ..Failure::new(kind, "why")
        };
        for (kind, reason, passing) in [
            (Kind::Unreachable, None, true),
            (Kind::Failed, Some("TOO_MANY_REQUESTS"), true),
            (Kind::Failed, Some("INTERNAL_SERVER_ERROR"), true),
            (Kind::Failed, None, false),
            (Kind::NotFound, Some("TOPIC_NOT_FOUND"), false),
            (Kind::NotAllowed, Some("UNAUTHORIZED"), false),
        ] {
            assert_eq!(passes(&failure(kind, reason)), passing, "{kind:?} {reason:?}");
        }
    }
}
