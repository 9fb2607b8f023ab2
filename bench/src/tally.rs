//! What a consumer counts.

use std::time::Instant;

use anyhow::Result;

use crate::report::Recorder;

/// What was received so far, counted from the start of measuring.
#[derive(Debug)]
pub struct Tally {
    /// Receive calls that brought messages.
    pub receive: Recorder,
    /// Acknowledge calls.
    pub ack: Recorder,
    /// From the moment a send was due to the arrival of its message here.
    pub delivery: Recorder,
    /// Messages received.
    pub received: u64,
    /// Messages acknowledged.
    pub acked: u64,
    /// Messages of a second or later delivery.
    pub redelivered: u64,
    /// Messages of this run's own producer, measured or not.
    pub own: u64,
    /// When the last acknowledgement was answered.
    pub last: Option<Instant>,
}

impl Tally {
    /// Nothing yet.
    ///
    /// # Errors
    /// As [`Recorder::new`].
    pub fn new() -> Result<Self> {
        Ok(Self {
            receive: Recorder::new()?,
            ack: Recorder::new()?,
            delivery: Recorder::new()?,
            received: 0,
            acked: 0,
            redelivered: 0,
            own: 0,
            last: None,
        })
    }
}
