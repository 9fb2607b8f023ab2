//! The client for Python, package `rocketmq-python-client`:
//!
//! - `python-1168`, `python-1191`: a push consumer of 5.1.0 hangs where it is told that metrics are off, as every client is.
//!   Later ones do not.
//! - `python-stream`: it does not notice for minutes that its stream of telemetry has ended. A stream that nothing is said on
//!   stays open.
//! - `python-late-settings`: so after a restart it sends its settings minutes later, as the one for Go.
//! - `python-status`: it takes settings only from a command whose status is OK.
//! - `python-back-off`: it reads lists of back-offs only, in whole seconds: [`customized`].
//! - `python-entry`: it wants one entry in the answer to a send of one message. Every message has its own.
//! - `python-encoding`: it fails on a body whose encoding is not specified. Delivered ones are IDENTITY.
//! - `python-address`: it fails on several addresses of the scheme DOMAIN_NAME, as the one for Java, and leaves out queues
//!   whose broker is not number 0.
//! - `python-body-size`: it announces bodies of 128 MiB. It is told the broker's size.
//! - `python-authorization`: it sends the header with an empty access key. Nothing reads that header yet.
//! - `python-lite`: consumers of LITE topics wait for quotas in their settings. LITE is not there yet.

use sluice_core::command::{Backoff, GroupSpec};
use sluice_core::limits;

/// The group's back-off as a list, one step a retry: the client reads nothing else, and all others but the one for Node.js
/// do read it.
pub fn customized(group: &GroupSpec) -> Backoff {
    match group.backoff {
        Backoff::Customized(_) => group.backoff.clone(),
        Backoff::Exponential {
            initial_ms,
            max_ms,
            multiplier_milli,
        } => {
            let retries = usize::from(group.max_attempts)
                .saturating_sub(1)
                .clamp(1, limits::BACKOFF_STEPS_MAX);
            let grow = |ms: &u64| Some((ms.saturating_mul(u64::from(multiplier_milli)) / 1000).min(max_ms));
            let steps = std::iter::successors(Some(initial_ms.min(max_ms)), grow);
            Backoff::Customized(steps.take(retries).collect())
        }
    }
}
