//! How much clients can make the broker hold. Beyond each of these they wait or are told to come again, and what is
//! refused is counted.

use super::error::ConfigError;
use super::keys::{self, Key};
use super::layers::Layers;
use std::time::Duration;

/// The bounds that can be configured; the others follow from the formats of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Clients' connections at a time, however many files may be open.
    pub connections: u64,
    /// Clients known at a time.
    pub clients: usize,
    /// Receives that wait or are being served.
    pub receives: usize,
    /// Bytes of the largest body.
    pub body_bytes: usize,
    /// Bytes of bodies that have been decoded and not been answered.
    pub unanswered_bytes: usize,
    /// How long a send may wait until the log writes it.
    pub send_wait: Duration,
    /// Bytes that have come of requests that are not whole.
    pub unfinished_bytes: usize,
    /// Bytes of messages that were asked for and are not read.
    pub unread_bytes: usize,
    /// How long a request may be under way, and an answer unread.
    pub transfer: Duration,
}

impl Limits {
    pub(super) fn of(layers: &Layers) -> Result<Self, ConfigError> {
        let number = |key: &'static Key| layers.need(key, |text| key.form.number(text));
        // What a key's form takes fits the machine's words.
        let size = |key| number(key).map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        Ok(Self {
            connections: number(&keys::MAX_CONNECTIONS)?,
            clients: size(&keys::MAX_CLIENTS)?,
            receives: size(&keys::MAX_RECEIVES)?,
            body_bytes: size(&keys::MAX_BODY_SIZE)?,
            unanswered_bytes: size(&keys::MAX_UNANSWERED_SENDS)?,
            send_wait: number(&keys::MAX_SEND_WAIT).map(Duration::from_millis)?,
            unfinished_bytes: size(&keys::MAX_UNFINISHED_REQUESTS)?,
            unread_bytes: size(&keys::MAX_UNREAD_ANSWERS)?,
            transfer: number(&keys::MAX_TRANSFER_SECONDS).map(Duration::from_secs)?,
        })
    }
}
