//! Sluice's domain: what may be in the log, and what it means.
//!
//! Everything here is pure. There is no clock, no file, no thread and no randomness; the
//! caller passes time and bytes in. [`state::State::apply`] folds commands into state in log order, and two
//! nodes that applied the same prefix are equal, digest by digest. [`plan`] decides, from a
//! view of that state, what a receiving client may be offered; what it decides becomes a
//! command before anything changes.

#![forbid(unsafe_code)]

pub mod codec;
pub mod command;
pub mod entry;
pub mod excerpt;
pub mod hash;
pub mod ids;
pub mod limits;
pub mod log;
pub mod names;
pub mod plan;
pub mod record;
pub mod state;
pub mod system_names;
pub mod units;
