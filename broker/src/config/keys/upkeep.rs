//! What the broker does with its files by itself.

use super::{KEY, Key, STORE};
use crate::config::forms::Form;

pub static SCRUB_BYTES_PER_SECOND: Key = Key {
    name: "scrubBytesPerSecond",
    flag: "scrub-bytes-per-second",
    variable: "SLUICE_SCRUB_BYTES_PER_SECOND",
    // Below that a round of a few hundred gigabytes takes months, and finds nothing early.
    form: Form::Rate(64 << 10, 1 << 40),
    default: Some("8MiB"),
    live: true,
    heading: STORE,
    help: "Read all files again at this rate, once a day at most, to find damage early; 0 for never",
    ..KEY
};
