//! The broker's time beside the machine's.

use super::page::{Family, Page};
use crate::engine::Engine;

const MICROS: f64 = 1e6;

static AHEAD: Family = Family::gauge(
    "sluice_clock_ahead_seconds",
    &[],
    "How far the broker's time is ahead of the machine's clock; less than 0 if it is behind",
);

pub(super) fn write(page: &mut Page<'_>, engine: &Engine) {
    page.single(&AHEAD, engine.ahead_us() as f64 / MICROS);
}
