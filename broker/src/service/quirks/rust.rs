//! The client for Rust, crate `rocketmq`:
//!
//! - `rust-code`: version 5.0.0 panics on a status code newer than itself: [`known_to`].
//! - `rust-multiple-results`: it takes MULTIPLE_RESULTS for a failure of all, and would send all again. The messages of one
//!   send that fit a frame are taken together or not at all, so that their codes agree ([`crate::service::status::over`]).
//! - `rust-headers`: it waits for the headers of its stream of telemetry before it announces anything. They come at once.
//! - `rust-deadline`: it waits for a receive exactly as long as it polls ([`super::MARGIN`]). A poll of 0 it gives up before
//!   anybody can answer.
//! - `rust-frames`: it takes the time of delivery from the last frame of a receive that has one: that frame comes last.
//! - `rust-settings`: its settings have neither access point nor back-off, and those of simple consumers no subscriptions. None
//!   is asked for.
//! - `rust-late-settings`: after a restart it sends its settings never, and heartbeats every 30 s; they count it.
//! - `rust-push`: push consumers, which come after 5.0.0, send all their calls to the access point. That is this broker, so
//!   long as there is one only.

use crate::service::status::Failure;
use sluice_proto::v2::Code;

/// The failure with a code that the client knows: version 5.0.0 panics on those that were added after it.
pub fn known_to(language: &str, failure: Failure) -> Failure {
    match failure.code {
        Code::MessageBodyEmpty if language.eq_ignore_ascii_case("RUST") => Failure {
            code: Code::BadRequest,
            ..failure
        },
        _ => failure,
    }
}
