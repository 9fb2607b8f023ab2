//! Who changed what: a line in the log for each call that changes something, or was to.

use super::guard::Caller;
use super::{Answered, Outcome, answer};
use tonic::{Request, Status};

/// A call that changes something.
#[derive(Clone, Debug)]
pub struct Change {
    call: &'static str,
    topic: Option<String>,
    group: Option<String>,
}

impl Change {
    /// By this call.
    pub fn by(call: &'static str) -> Self {
        Self {
            call,
            topic: None,
            group: None,
        }
    }

    /// Of this topic.
    pub fn topic(self, topic: &str) -> Self {
        Self {
            topic: Some(printable(topic)),
            ..self
        }
    }

    /// Of this group.
    pub fn group(self, group: &str) -> Self {
        Self {
            group: Some(printable(group)),
            ..self
        }
    }

    /// Logs how it went, with the words of `what` where it was done.
    fn tell<T>(&self, caller: &Caller, outcome: &Outcome<T>, what: impl FnOnce(&T) -> String) {
        let (call, by) = (self.call, caller);
        let (topic, group) = (self.topic.as_deref(), self.group.as_deref());
        match outcome {
            Ok(done) => tracing::info!(call, %by, topic, group, "{}", what(done)),
            Err(failure) => {
                let reason = failure.reason.text();
                tracing::info!(call, %by, topic, group, reason, "an admin call was refused");
            }
        }
    }
}

/// Characters of a name that are logged at most.
const NAME_MAX: usize = 255;

/// A name as it is logged: it may be anything where the call is refused for it.
fn printable(name: &str) -> String {
    name.escape_debug().take(NAME_MAX).collect()
}

/// The request, and who makes it.
pub fn asked<T>(request: Request<T>) -> Result<(Caller, T), Status> {
    let (_, extensions, body) = request.into_parts();
    // The guard lets nobody in without.
    let caller = extensions.get::<Caller>().cloned();
    let caller = caller.ok_or_else(|| Status::internal("the call came past the guard"))?;
    Ok((caller, body))
}

/// Makes a change, logs it, and answers the call. The work has a task of its own: what has begun goes on to its end, with all
/// that follows from it, when the caller hangs up or its deadline is over.
pub async fn answer_change<T: Send + 'static>(
    change: Change,
    caller: Caller,
    work: impl Future<Output = Outcome<T>> + Send + 'static,
    what: impl FnOnce(&T) -> String + Send + 'static,
) -> Answered<T> {
    let done = tokio::spawn(async move {
        let outcome = work.await;
        change.tell(&caller, &outcome, what);
        outcome
    });
    // It ends early only with the runtime.
    let cut_off = |error| Status::unavailable(format!("the broker is stopping: {error}"));
    answer(done.await.map_err(cut_off)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_of_bounded_length_whatever_it_is() {
        assert_eq!(printable("orders"), "orders");
        assert_eq!(printable("a\n2026 INFO forged"), "a\\n2026 INFO forged");
        assert_eq!(printable(&"x".repeat(10_000)).len(), NAME_MAX);
    }
}
