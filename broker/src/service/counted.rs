//! What a client says of itself, as it is counted: in RocketMQ's words, and with a bound on how many there are. Clients
//! make things up, and each value would be a series.

use crate::clients::PUSH;
use sluice_proto::v2::{ClientType, Settings};
use std::sync::Arc;

/// Numbers of a version that are looked at, and their digits.
const VERSION_NUMBERS: usize = 3;
const DIGITS_MAX: usize = 3;

/// The client's version as RocketMQ writes its own: `v5_2_0` for 5.2.0 and 5.2.0-SNAPSHOT, `unknown` for what is none.
pub fn version(said: &str) -> Arc<str> {
    let said = said.trim().trim_start_matches(['v', 'V']);
    let numbers = said.split(['.', '_']).take(VERSION_NUMBERS).map(|part| {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        &part[..end]
    });
    let numbers: Vec<&str> = numbers
        .take_while(|number| (1..=DIGITS_MAX).contains(&number.len()))
        .collect();
    if numbers.is_empty() {
        return Arc::from("unknown");
    }
    Arc::from(format!("v{}", numbers.join("_")))
}

/// How a client comes to its messages, as RocketMQ's proxy counts it.
pub fn consume_mode(settings: &Settings) -> &'static str {
    match settings.client_type() {
        ClientType::PushConsumer | ClientType::LitePushConsumer => PUSH,
        ClientType::SimpleConsumer | ClientType::PullConsumer | ClientType::LiteSimpleConsumer => "pull",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_counted_as_rocketmq_writes_its_own() {
        for (said, counted) in [
            ("5.2.0", "v5_2_0"),
            ("5.0.8-SNAPSHOT", "v5_0_8"),
            ("V5_1_4", "v5_1_4"),
            ("5", "v5"),
            ("5.2.0.1.9", "v5_2_0"),
            ("", "unknown"),
            ("20261120.1", "unknown"),
            ("latest", "unknown"),
            ("5.x", "v5"),
        ] {
            assert_eq!(&*version(said), counted, "{said:?}");
        }
    }

    #[test]
    fn push_and_simple_consumers_are_told_apart() {
        let settings = |client_type: ClientType| Settings {
            client_type: Some(client_type.into()),
            ..Settings::default()
        };
        for (client_type, mode) in [
            (ClientType::PushConsumer, "push"),
            (ClientType::SimpleConsumer, "pull"),
            (ClientType::Producer, "unknown"),
        ] {
            assert_eq!(consume_mode(&settings(client_type)), mode);
        }
        assert_eq!(consume_mode(&Settings::default()), "unknown");
    }
}
