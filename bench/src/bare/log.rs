//! The one thread that writes: takes all that waits, one pwritev, one fdatasync, then lets the calls be completed.
//! The running sync is the only linger: what comes in while it runs is the next group.
//!
//! A group goes to one task of the runtime, which completes its calls: one wake-up from outside the runtime a group.
//! Completing each call from here costs a wake-up each and was 5 % slower.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::mpsc;

use super::frame::{FRAME_BYTES_MAX, FRAME_COMMANDS_MAX, HEADER_BYTES, encode_header};
use super::queue::{Append, Queue};
use super::segment::Ring;
use crate::args::Flush;
use crate::units::nanos;

const ASYNC_SYNC_EVERY: Duration = Duration::from_millis(500);
const ASYNC_SYNC_BYTES: u64 = 4 << 20;
/// Linux takes no more slices in one pwritev.
const SLICES_MAX: usize = 1024;

/// What the log thread has done so far.
#[derive(Debug, Default)]
pub struct Totals {
    /// Commands completed.
    pub commands: AtomicU64,
    /// Groups written.
    pub groups: AtomicU64,
    /// Syncs done.
    pub syncs: AtomicU64,
    /// Time in pwritev.
    pub write_nanos: AtomicU64,
    /// Time in fdatasync.
    pub sync_nanos: AtomicU64,
}

/// Groups that may wait to be completed; a runtime that lags so far behind holds up the log.
pub const SAFE_GROUPS_MAX: usize = 64;

/// A group as safe as was asked for.
#[derive(Debug)]
pub struct Safe {
    first: u64,
    appends: Vec<Append>,
}

impl Safe {
    /// Answers the calls.
    pub fn complete(self) {
        for (position, append) in (self.first..).zip(self.appends) {
            // The caller may be gone; its message is stored all the same.
            let _ = append.done.send(position);
        }
    }
}

/// The log thread's state; the thread is a loop around [`Log::step`].
#[derive(Debug)]
pub struct Log {
    queue: Arc<Queue>,
    ring: Ring,
    flush: Flush,
    totals: Arc<Totals>,
    safe: mpsc::Sender<Safe>,
    index: u64,
    unsynced_bytes: u64,
    synced_at: Instant,
}

impl Log {
    /// A log that takes from the queue and writes to the ring.
    #[must_use]
    pub fn new(
        queue: Arc<Queue>,
        ring: Ring,
        flush: Flush,
        totals: Arc<Totals>,
        safe: mpsc::Sender<Safe>,
    ) -> Self {
        let synced_at = Instant::now();
        Self {
            queue,
            ring,
            flush,
            totals,
            safe,
            index: 0,
            unsynced_bytes: 0,
            synced_at,
        }
    }

    /// Works until the queue is closed.
    ///
    /// # Errors
    /// When a write or sync fails: nothing more may be acknowledged then.
    pub fn run(mut self) -> Result<()> {
        while self.step()? {}
        self.ring.sync()
    }

    /// Writes one group; false when the queue is closed and empty.
    ///
    /// # Errors
    /// As [`Log::run`].
    pub fn step(&mut self) -> Result<bool> {
        let mut group = Vec::new();
        let open = self.queue.take(&mut group, ASYNC_SYNC_EVERY);
        if !group.is_empty() {
            let first = self.ring.physical_offset();
            let started = Instant::now();
            self.write(&group)?;
            add(&self.totals.write_nanos, nanos(started.elapsed()));
            if self.flush == Flush::Sync {
                self.sync()?;
            }
            add(&self.totals.groups, 1);
            add(&self.totals.commands, group.len() as u64);
            // Without a runtime there is nobody left to tell.
            let _ = self.safe.blocking_send(Safe {
                first,
                appends: group,
            });
        }
        let due = self.unsynced_bytes >= ASYNC_SYNC_BYTES || self.synced_at.elapsed() >= ASYNC_SYNC_EVERY;
        if self.unsynced_bytes > 0 && due {
            self.sync()?;
        }
        Ok(open)
    }

    fn sync(&mut self) -> Result<()> {
        let started = Instant::now();
        self.ring.sync()?;
        self.synced_at = Instant::now();
        self.unsynced_bytes = 0;
        add(&self.totals.sync_nanos, nanos(started.elapsed()));
        add(&self.totals.syncs, 1);
        Ok(())
    }

    fn write(&mut self, group: &[Append]) -> Result<()> {
        let mut rest = group;
        while !rest.is_empty() {
            let taken = self.write_some(rest)?;
            rest = &rest[taken..];
        }
        Ok(())
    }

    /// Writes as many frames as one pwritev and the segment take, at least one; returns the number of commands.
    fn write_some(&mut self, appends: &[Append]) -> Result<usize> {
        if self.ring.room() < frame_bytes(&appends[..1]) {
            self.ring.roll()?;
            self.unsynced_bytes = 0;
        }
        let mut frames = Vec::new();
        let (mut taken, mut bytes) = (0, 0);
        while taken < appends.len() && taken + frames.len() + 2 <= SLICES_MAX {
            let slices_left = SLICES_MAX - taken - frames.len() - 1;
            let frame = next_frame(
                &appends[taken..],
                slices_left.min(FRAME_COMMANDS_MAX),
                self.ring.room() - bytes,
            );
            if frame.is_empty() {
                break;
            }
            let commands = frame.iter().map(|append| append.command.as_slice());
            frames.push((
                encode_header(commands, self.ring.physical_offset() + bytes, self.index),
                frame,
            ));
            self.index += 1;
            bytes += frame_bytes(frame);
            taken += frame.len();
        }
        let mut slices = Vec::with_capacity(taken + frames.len());
        for (header, frame) in &frames {
            slices.push(IoSlice::new(header));
            slices.extend(frame.iter().map(|append| IoSlice::new(&append.command)));
        }
        self.ring.write(&mut slices)?;
        self.unsynced_bytes += bytes;
        Ok(taken)
    }
}

/// The commands of the next frame: none when not even one fits into `room`.
fn next_frame(appends: &[Append], commands_max: usize, room: u64) -> &[Append] {
    let mut bytes = HEADER_BYTES;
    let mut count = 0;
    for append in appends.iter().take(commands_max) {
        bytes += append.command.len();
        if bytes as u64 > room || (bytes > FRAME_BYTES_MAX && count > 0) {
            break;
        }
        count += 1;
    }
    &appends[..count]
}

fn frame_bytes(appends: &[Append]) -> u64 {
    (HEADER_BYTES + appends.iter().map(|append| append.command.len()).sum::<usize>()) as u64
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    fn push(queue: &Queue, bytes: usize) -> oneshot::Receiver<u64> {
        let (done, told) = oneshot::channel();
        queue
            .push(Append {
                command: vec![1; bytes],
                done,
            })
            .unwrap();
        told
    }

    fn log(
        directory: &std::path::Path,
        segments: u16,
        bytes: u64,
        flush: Flush,
    ) -> (Log, mpsc::Receiver<Safe>) {
        let ring = Ring::open(directory, segments, bytes).unwrap();
        let (safe, completed) = mpsc::channel(SAFE_GROUPS_MAX);
        (
            Log::new(Arc::default(), ring, flush, Arc::default(), safe),
            completed,
        )
    }

    #[test]
    fn a_group_larger_than_a_segment_is_cut_into_frames_and_rolls() {
        let directory = tempfile::tempdir().unwrap();
        let (mut log, mut completed) = log(directory.path(), 2, 1 << 20, Flush::Sync);
        let waiting: Vec<_> = (0..2000).map(|_| push(&log.queue, 1024)).collect();
        assert!(log.step().unwrap());
        completed.try_recv().unwrap().complete();
        let offsets: Vec<_> = waiting
            .into_iter()
            .map(|mut told| told.try_recv().unwrap())
            .collect();
        assert!(offsets.is_sorted());
        assert_eq!(log.totals.commands.load(Ordering::Relaxed), 2000);
        assert!(log.ring.physical_offset() > 2000 * 1024);
        // Eight frames of at most 256 KiB, and one more where the segment or a pwritev ends.
        assert!((8..=10).contains(&log.index), "{} frames", log.index);
        log.queue.close();
        assert!(!log.step().unwrap());
    }

    #[test]
    fn async_flush_completes_before_it_syncs() {
        let directory = tempfile::tempdir().unwrap();
        let (mut log, mut completed) = log(directory.path(), 1, 8 << 20, Flush::Async);
        let mut told = push(&log.queue, 1024);
        log.step().unwrap();
        completed.try_recv().unwrap().complete();
        assert!(told.try_recv().is_ok());
        assert_eq!(log.totals.syncs.load(Ordering::Relaxed), 0);
        let _told = push(&log.queue, 5 << 20);
        log.step().unwrap();
        assert_eq!(log.totals.syncs.load(Ordering::Relaxed), 1);
    }
}
