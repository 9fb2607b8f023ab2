//! Small values from the protocol's types to ours and back.

use prost_types::{Duration as ProtoDuration, Timestamp};
use sluice_core::command::{MessageKind, Types};
use sluice_core::ids::TimeMs;
use sluice_proto::v2::{self, MessageType};
use std::net::SocketAddr;
use std::time::Duration;

/// Milliseconds since the epoch as the protocol has them.
pub fn timestamp(ms: TimeMs) -> Timestamp {
    Timestamp {
        seconds: (ms / 1000) as i64,
        nanos: (ms % 1000 * 1_000_000) as i32,
    }
}

/// The latest time that the protocol has, the end of the year 9999: clients fail on what is later.
const LATEST_MS: TimeMs = 253_402_300_799_999;

/// Milliseconds since the epoch, up to the latest there are; `None` before it.
pub fn time_ms(timestamp: &Timestamp) -> Option<TimeMs> {
    let seconds = u64::try_from(timestamp.seconds).ok()?;
    let nanos = u64::try_from(timestamp.nanos).ok()?;
    let ms = seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000);
    Some(ms.min(LATEST_MS))
}

/// A duration as the protocol has it.
pub fn proto_duration(ms: u64) -> ProtoDuration {
    ProtoDuration {
        seconds: (ms / 1000) as i64,
        nanos: (ms % 1000 * 1_000_000) as i32,
    }
}

/// A duration; `None` if it is negative or malformed.
pub fn duration(duration: &ProtoDuration) -> Option<Duration> {
    let seconds = u64::try_from(duration.seconds).ok()?;
    let nanos = u32::try_from(duration.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(seconds, nanos))
}

/// A duration in milliseconds; `None` if it is negative or malformed.
pub fn duration_ms(value: &ProtoDuration) -> Option<u64> {
    u64::try_from(duration(value)?.as_millis()).ok()
}

/// What a route says that a topic takes: never nothing, and never "unspecified".
pub fn accepted(types: Types) -> Vec<i32> {
    [
        (MessageKind::Normal, MessageType::Normal),
        (MessageKind::Fifo, MessageType::Fifo),
    ]
    .into_iter()
    .filter(|(kind, _)| types.take(*kind))
    .map(|(_, accepted)| accepted.into())
    .collect()
}

/// An address as it stands in a message.
pub fn host(address: SocketAddr) -> String {
    let ip = address.ip().to_canonical();
    if address.port() == 0 {
        ip.to_string()
    } else {
        SocketAddr::new(ip, address.port()).to_string()
    }
}

/// The name of a code for labels; the number of one that this build does not know is not one.
pub fn code_name(code: i32) -> &'static str {
    v2::Code::try_from(code).map_or("UNKNOWN", |code| code.as_str_name())
}

/// Whether a call that was answered with the code did what it was to do; that there was no message, or no offset yet, is no
/// failure.
pub fn is_success(code: i32) -> bool {
    const SUCCESSES: [v2::Code; 4] = [
        v2::Code::Ok,
        v2::Code::MultipleResults,
        v2::Code::MessageNotFound,
        v2::Code::OffsetNotFound,
    ];
    SUCCESSES.iter().any(|success| *success as i32 == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_to_the_millisecond() {
        for ms in [0, 1, 999, 1000, 1_700_000_000_123] {
            assert_eq!(time_ms(&timestamp(ms)), Some(ms));
            assert_eq!(duration_ms(&proto_duration(ms)), Some(ms));
        }
        assert_eq!(
            time_ms(&Timestamp {
                seconds: -1,
                nanos: 0
            }),
            None
        );
        assert_eq!(
            duration(&ProtoDuration {
                seconds: -1,
                nanos: 0
            }),
            None
        );
        assert_eq!(
            duration(&ProtoDuration {
                seconds: 0,
                nanos: 1_000_000_000
            }),
            None
        );
    }

    #[test]
    fn times_beyond_the_protocols_last_are_that_one() {
        for (seconds, nanos) in [
            // Here the seconds alone fit a number of milliseconds.
            (18_446_744_073_709_551, i32::MAX),
            (i64::MAX, 0),
            (253_402_300_800, 0),
        ] {
            assert_eq!(time_ms(&Timestamp { seconds, nanos }), Some(LATEST_MS));
        }
    }

    #[test]
    fn a_route_names_just_what_the_topic_takes() {
        assert_eq!(accepted(Types::NORMAL), [MessageType::Normal as i32]);
        assert_eq!(accepted(Types::FIFO), [MessageType::Fifo as i32]);
        assert_eq!(
            accepted(Types::ALL),
            [MessageType::Normal as i32, MessageType::Fifo as i32]
        );
    }

    #[test]
    fn hosts_are_written_as_clients_know_them() {
        for (address, text) in [
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("[::ffff:10.0.0.1]:80", "10.0.0.1:80"),
            ("[::1]:9", "[::1]:9"),
        ] {
            assert_eq!(host(address.parse().unwrap()), text);
        }
    }
}
