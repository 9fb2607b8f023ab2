//! What the store counts about itself, since its start. Plain atomics: the log thread and the applier add to them once a
//! group or round, never once a message, and whoever looks disturbs nobody.

mod histogram;

pub use histogram::{Counted, Histogram};

use crate::checkpoint::WriteStats;
use parking_lot::Mutex;
use sluice_core::ids::PhysicalOffset;
use sluice_core::log::NotProposed;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Upper bounds of times in microseconds: from a disk with a cache of its own to one that hangs.
const MICROS: &[u64] = &[
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    5_000_000,
];
/// Upper bounds of a group's bytes.
const BYTES: &[u64] = &[1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20];
/// Upper bounds of a frame's commands: one frame holds 1,024 at most.
const COMMANDS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/// What the log counts.
#[derive(Debug)]
pub struct LogStats {
    /// Bytes of groups: what one write brings to the file.
    pub group_bytes: Histogram,
    /// Commands of frames: what one batch gathers.
    pub frame_commands: Histogram,
    /// Microseconds of syncs that succeeded.
    pub sync_micros: Histogram,
    refused: [AtomicU64; REFUSALS.len()],
}

/// Why proposals are refused, as [`LogStats::refused`] tells them.
const REFUSALS: [&str; 8] = [
    "busy",
    "late",
    "too_large",
    "disk_full",
    "disk_nearly_full",
    "stopping",
    "not_permitted",
    "no_descriptors",
];

impl Default for LogStats {
    fn default() -> Self {
        Self {
            group_bytes: Histogram::new(BYTES),
            frame_commands: Histogram::new(COMMANDS),
            sync_micros: Histogram::new(MICROS),
            refused: Default::default(),
        }
    }
}

impl LogStats {
    /// Proposals refused, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.refused.iter().map(|count| count.load(Ordering::Relaxed));
        REFUSALS.into_iter().zip(counts)
    }

    pub(crate) fn count_refusal(&self, why: &NotProposed) {
        let at = match why {
            NotProposed::Busy => 0,
            NotProposed::Late { .. } => 1,
            NotProposed::TooLarge { .. } => 2,
            NotProposed::NoSpace => 3,
            NotProposed::NearlyFull => 4,
            NotProposed::Stopping => 5,
            NotProposed::NotPermitted => 6,
            NotProposed::NoDescriptors => 7,
        };
        self.refused[at].fetch_add(1, Ordering::Relaxed);
    }
}

/// What the applier counts.
#[derive(Debug)]
pub struct ApplyStats {
    /// Microseconds of rounds: everything that was committed when the round began, with the answers.
    pub round_micros: Histogram,
    /// Microseconds for which a checkpoint held apply up: freezing what changed, and waking the thread that writes it.
    pub freeze_micros: Histogram,
    commands: AtomicU64,
    applied_to: AtomicU64,
}

impl Default for ApplyStats {
    fn default() -> Self {
        Self {
            round_micros: Histogram::new(MICROS),
            freeze_micros: Histogram::new(MICROS),
            commands: AtomicU64::new(0),
            applied_to: AtomicU64::new(0),
        }
    }
}

impl ApplyStats {
    /// Commands applied, those of the replay at the start included.
    pub fn commands(&self) -> u64 {
        self.commands.load(Ordering::Relaxed)
    }

    /// Where the next frame to apply starts.
    pub fn applied_to(&self) -> PhysicalOffset {
        PhysicalOffset(self.applied_to.load(Ordering::Relaxed))
    }

    pub(crate) fn applied(&self, commands: u64, end: PhysicalOffset) {
        self.commands.fetch_add(commands, Ordering::Relaxed);
        self.applied_to.store(end.0, Ordering::Relaxed);
    }
}

/// What the writer of checkpoints counts.
#[derive(Debug)]
pub struct CheckpointStats {
    /// Microseconds of checkpoints that were written.
    pub micros: Histogram,
    full_disks: AtomicU64,
    gone: AtomicU64,
    newest: Mutex<Newest>,
}

/// The newest checkpoint.
#[derive(Clone, Copy, Debug)]
pub struct Newest {
    /// Where the log goes on behind it.
    pub position: PhysicalOffset,
    /// When it was written, or found at the start.
    pub since: Instant,
    /// Bytes that were written for it; what did not change it shares with those before. 0 if it was found.
    pub bytes: u64,
    /// Bytes of all that it is made of. 0 if it was found.
    pub state_bytes: u64,
}

impl CheckpointStats {
    /// A store that began with the checkpoint at `position`, or with none at 0.
    pub fn new(position: PhysicalOffset) -> Self {
        Self {
            micros: Histogram::new(MICROS),
            full_disks: AtomicU64::new(0),
            gone: AtomicU64::new(0),
            newest: Mutex::new(Newest {
                position,
                since: Instant::now(),
                bytes: 0,
                state_bytes: 0,
            }),
        }
    }

    /// Checkpoints written.
    pub fn written(&self) -> u64 {
        self.micros.read().count
    }

    /// Checkpoints that were not written because the disk was full.
    pub fn not_written(&self) -> u64 {
        self.full_disks.load(Ordering::Relaxed)
    }

    /// How often the writer has found that files of a checkpoint were gone which it had written.
    pub fn gone(&self) -> u64 {
        self.gone.load(Ordering::Relaxed)
    }

    /// The newest one.
    pub fn newest(&self) -> Newest {
        *self.newest.lock()
    }

    pub(crate) fn wrote(&self, position: PhysicalOffset, written: &WriteStats) {
        self.micros.observe_micros(written.elapsed);
        *self.newest.lock() = Newest {
            position,
            since: Instant::now(),
            bytes: written.bytes,
            state_bytes: written.state_bytes,
        };
    }

    pub(crate) fn found_gone(&self, files: u64) {
        self.gone.fetch_add(files, Ordering::Relaxed);
    }

    pub(crate) fn found_disk_full(&self) {
        self.full_disks.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn refusals_are_counted_by_their_reason() {
        let stats = LogStats::default();
        for why in [
            NotProposed::Busy,
            NotProposed::Late { max: Duration::ZERO },
            NotProposed::TooLarge { size: 2, max: 1 },
            NotProposed::NoSpace,
            NotProposed::NoSpace,
            NotProposed::NearlyFull,
            NotProposed::Stopping,
            NotProposed::NotPermitted,
            NotProposed::NoDescriptors,
        ] {
            stats.count_refusal(&why);
        }
        let counted: Vec<_> = stats.refused().collect();
        assert_eq!(
            counted,
            [
                ("busy", 1),
                ("late", 1),
                ("too_large", 1),
                ("disk_full", 2),
                ("disk_nearly_full", 1),
                ("stopping", 1),
                ("not_permitted", 1),
                ("no_descriptors", 1)
            ]
        );
    }
}
