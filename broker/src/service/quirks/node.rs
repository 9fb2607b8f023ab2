//! The client for Node.js, package `rocketmq-client-nodejs`:
//!
//! - `node-1093`: it knows queue 0 of a topic only. A receive is given messages of all queues, and the broker chooses the
//!   queue of a message.
//! - `node-digest`: it fails on a message without a digest, as the one for Python does on one without an encoding. Every
//!   delivered message has both.
//! - `node-back-off`: it reads exponential back-offs only: [`Node::backoff`].
//! - `node-units`: up to 1.0.8 it takes a back-off's seconds for milliseconds: [`Node::backoff`].
//! - `node-first-settings`: with several topics it waits for its first settings only after they have come, and for ever:
//!   [`repeat`].
//! - `node-refusal`: it tries again for ever where its settings are refused: [`refusal`].
//! - `node-trial`: it refuses to try a message in the form of the question: [`refused_trial`].
//! - `node-namespace`: some of its calls have the namespace in the header only
//!   ([`crate::service::metadata::Caller::namespace`]).
//! - `node-connections`: it makes several connections under one client id. What is known of a client goes by its id.
//! - `node-4-mib`: its library takes 4 MiB with everything around a body; so does the one for Rust. `maxBodySize` keeps larger
//!   ones out.
//! - `node-lite`: consumers of LITE topics name a broker of their own. LITE is not there yet.

use crate::clients::TelemetrySender;
use crate::service::metadata::Caller;
use crate::service::status::Failure;
use crate::service::telemetry::settings_command;
use sluice_core::command::Backoff;
use sluice_proto::v2::{Language, Settings, TelemetryCommand, VerifyMessageCommand};
use std::time::Duration;

/// With several topics it waits for its first settings only after they have come, and for ever: they are sent again.
const REPEATED_AFTER: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
];
/// Up to this version it takes a back-off's seconds for milliseconds.
const MISREADS_UP_TO: [u32; 3] = [1, 0, 8];

/// That a client is one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Whether it takes seconds for milliseconds.
    misreads: bool,
}

impl Node {
    /// Whether the client is one, by its settings or by its header, which says HTTP.
    pub fn of(caller: &Caller<'_>, settings: &Settings) -> Option<Self> {
        let agent = settings.user_agent.as_ref();
        let announced = agent.map_or(0, |agent| agent.language);
        let is_one = announced == Language::NodeJs as i32
            || matches!(caller.language(), "HTTP" | "NODE_JS" | "NODEJS");
        let said = agent.map_or("", |agent| agent.version.as_str());
        let version = [said, caller.version()].into_iter().find_map(version);
        is_one.then(|| Self {
            misreads: version.is_some_and(|version| version <= MISREADS_UP_TO),
        })
    }

    /// The back-off as it reads it: exponential, since it reads no lists, and in its units.
    pub fn backoff(self, backoff: &Backoff) -> Backoff {
        let (initial_ms, max_ms, multiplier_milli) = match backoff {
            Backoff::Customized(steps) => {
                let initial_ms = steps.first().copied().unwrap_or(1000).max(1);
                (initial_ms, steps.last().copied().unwrap_or(initial_ms), 2000)
            }
            Backoff::Exponential {
                initial_ms,
                max_ms,
                multiplier_milli,
            } => (*initial_ms, *max_ms, *multiplier_milli),
        };
        let unit = if self.misreads { 1000 } else { 1 };
        Backoff::Exponential {
            initial_ms: initial_ms.saturating_mul(unit),
            max_ms: max_ms.max(initial_ms).saturating_mul(unit),
            multiplier_milli,
        }
    }
}

/// Tells it its settings again, a few times over.
pub fn repeat(settings: Settings, to: &TelemetrySender) {
    // The stream ends when it is to end.
    let to = to.downgrade();
    tokio::spawn(async move {
        for after in REPEATED_AFTER {
            tokio::time::sleep(after).await;
            let Some(to) = to.upgrade() else {
                return;
            };
            // Whose buffer is full has an answer to settings on its way already.
            let _ = to.try_send(Ok(settings_command(settings.clone())));
        }
    });
}

/// Why its settings are refused, before the stream ends with that: an end alone lets it try again for ever.
pub fn refusal(failure: &Failure) -> TelemetryCommand {
    TelemetryCommand {
        status: Some(failure.clone().into_status()),
        command: None,
    }
}

/// The nonce of its refusal to try a message.
pub fn refused_trial(question: VerifyMessageCommand) -> String {
    question.nonce
}

fn version(text: &str) -> Option<[u32; 3]> {
    let mut parts = text.trim().split('.').map(str::parse);
    let mut next = || parts.next()?.ok();
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_proto::v2::Ua;
    use tonic::Extensions;
    use tonic::metadata::MetadataMap;

    fn node(header: &str, language: Language, version: &str) -> Option<Node> {
        let (mut metadata, extensions) = (MetadataMap::new(), Extensions::new());
        metadata.insert("x-mq-client-id", "c".parse().unwrap());
        metadata.insert("x-mq-language", header.parse().unwrap());
        let agent = Ua {
            language: language.into(),
            version: version.to_owned(),
            ..Ua::default()
        };
        let settings = Settings {
            user_agent: Some(agent),
            ..Settings::default()
        };
        Node::of(&Caller::of(&metadata, &extensions).unwrap(), &settings)
    }

    // Quirk node-units: up to which version.
    #[test]
    fn it_is_known_by_its_header_or_its_settings_and_misreads_up_to_a_version() {
        for (header, language, version, expected) in [
            ("HTTP", Language::Unspecified, "1.0.8", Some(true)),
            ("HTTP", Language::NodeJs, "1.0.7", Some(true)),
            ("", Language::NodeJs, "1.0.9", Some(false)),
            ("HTTP", Language::NodeJs, "1.1.0", Some(false)),
            ("HTTP", Language::NodeJs, "new", Some(false)),
            ("JAVA", Language::Java, "1.0.8", None),
        ] {
            let found = node(header, language, version).map(|node| node.misreads);
            assert_eq!(found, expected, "{header} {language:?} {version}");
        }
    }

    // Quirks node-back-off, node-units.
    #[test]
    fn a_backoff_is_exponential_and_in_the_units_that_it_reads() {
        let steps = Backoff::Customized(vec![1000, 5000, 7_200_000]);
        let exponential = |initial_ms, max_ms| Backoff::Exponential {
            initial_ms,
            max_ms,
            multiplier_milli: 2000,
        };
        for (misreads, given, expected) in [
            (false, steps.clone(), exponential(1000, 7_200_000)),
            (true, steps, exponential(1_000_000, 7_200_000_000)),
            (false, Backoff::Customized(Vec::new()), exponential(1000, 1000)),
            (true, exponential(10, 1000), exponential(10_000, 1_000_000)),
        ] {
            assert_eq!(Node { misreads }.backoff(&given), expected);
        }
    }
}
