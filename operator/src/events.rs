//! Events: what people see in `kubectl describe`.

use crate::clock::Clock;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;

/// Of a note; the API server refuses longer ones.
const NOTE_CHARS_MAX: usize = 1_000;
/// What is told again within this time is counted in the event that there is: as long as a recorder remembers.
const REMEMBERED_FOR: Duration = Duration::from_secs(360);
/// Texts that are remembered. Beyond that all are forgotten, and what is told again is an event of its own.
const TEXTS_MAX: usize = 1_000;

/// Something that happened to a resource, for people who look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whether somebody should have a look.
    pub warning: bool,
    /// A word of the resource's reasons.
    pub reason: &'static str,
    /// A sentence.
    pub text: String,
}

/// Writes events.
pub struct Events {
    client: Client,
    reporter: Reporter,
    clock: Clock,
    texts: Mutex<Texts<Recorder>>,
}

impl Events {
    /// Those of this process.
    pub fn new(client: Client, identity: String, clock: Clock) -> Self {
        Self {
            client,
            reporter: Reporter {
                controller: "sluice-operator".to_owned(),
                instance: Some(identity),
            },
            clock,
            texts: Mutex::default(),
        }
    }

    /// Writes one about an object, or counts it in the one that says the same.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn publish(&self, about: &ObjectReference, note: &Note) -> Result<(), kube::Error> {
        let text: String = note.text.chars().take(NOTE_CHARS_MAX).collect();
        let event = Event {
            type_: if note.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: note.reason.to_owned(),
            note: Some(text.clone()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let recorder = self.texts.lock().of(text, self.clock.since_start(), || {
            Recorder::new(self.client.clone(), self.reporter.clone())
        });
        recorder.publish(&event, about).await
    }
}

/// A recorder counts all of one reason as one event, and keeps the words of the first: 0 to 4 replicas, and then 4 to 5. One for
/// each text keeps them apart.
struct Texts<R>(HashMap<String, (Duration, R)>);

impl<R> Default for Texts<R> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<R: Clone> Texts<R> {
    fn of(&mut self, text: String, now: Duration, make: impl FnOnce() -> R) -> R {
        self.0.retain(|_, (told, _)| now < *told + REMEMBERED_FOR);
        if self.0.len() >= TEXTS_MAX && !self.0.contains_key(&text) {
            self.0.clear();
        }
        let (told, recorder) = self.0.entry(text).or_insert_with(|| (now, make()));
        *told = now;
        recorder.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_the_same_goes_to_one_recorder_and_what_does_not_to_another() {
        let mut texts = Texts::default();
        let mut made = 0;
        let mut of = |text: &str, second| {
            texts.of(text.to_owned(), Duration::from_secs(second), || {
                made += 1;
                made
            })
        };
        assert_eq!(of("from 0 to 4", 0), 1);
        assert_eq!(of("from 4 to 5", 1), 2);
        assert_eq!(of("from 0 to 4", 300), 1);
        assert_eq!(of("from 4 to 5", 400), 3, "it is forgotten");
        assert_eq!(of("from 0 to 4", 500), 1, "it was told again meanwhile");
    }

    #[test]
    fn never_more_texts_are_kept_than_the_bound() {
        let mut texts = Texts::default();
        for number in 0..TEXTS_MAX + 10 {
            texts.of(number.to_string(), Duration::ZERO, || ());
            assert!(texts.0.len() <= TEXTS_MAX);
        }
    }
}
