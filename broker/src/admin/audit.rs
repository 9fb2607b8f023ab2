//! Who changed what: a line in the log for each call that changes something, or was to.

use super::guard::Caller;
use super::{Answered, Outcome, answer};
use tonic::{Request, Status};

/// A call that changes something.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    call: &'static str,
    topic: Option<&'a str>,
    group: Option<&'a str>,
}

impl<'a> Change<'a> {
    /// By this call.
    pub fn by(call: &'static str) -> Self {
        Self {
            call,
            topic: None,
            group: None,
        }
    }

    /// Of this topic.
    pub fn topic(self, topic: &'a str) -> Self {
        Self {
            topic: Some(topic),
            ..self
        }
    }

    /// Of this group.
    pub fn group(self, group: &'a str) -> Self {
        Self {
            group: Some(group),
            ..self
        }
    }

    /// Logs how it went, with the words of `what` where it was done.
    pub fn tell<T>(self, caller: &Caller, outcome: &Outcome<T>, what: impl FnOnce(&T) -> String) {
        // Names may be anything where the call is refused for them.
        let (topic, group) = (self.topic.map(printable), self.group.map(printable));
        let (call, by) = (self.call, caller);
        match outcome {
            Ok(done) => tracing::info!(call, %by, topic, group, "{}", what(done)),
            Err(failure) => {
                let reason = failure.reason.text();
                tracing::info!(call, %by, topic, group, reason, "an admin call was refused");
            }
        }
    }
}

/// Bytes of a name that are logged at most.
const NAME_MAX: usize = 255;

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

/// Answers a call that changes something, and logs it.
pub fn answer_change<T>(
    change: Change<'_>,
    caller: &Caller,
    outcome: Outcome<T>,
    what: impl FnOnce(&T) -> String,
) -> Answered<T> {
    change.tell(caller, &outcome, what);
    answer(outcome)
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
