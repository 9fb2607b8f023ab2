//! The bounded queue before the log. Its bounds are the broker's: when it is full, clients are told so at once.

use super::blame::Refusal;
use super::frame::{FRAME_HEADER_BYTES, padded};
use super::op::Op;
use super::options::SegmentLimits;
use super::space::Space;
use crate::stats::LogStats;
use parking_lot::{Condvar, Mutex};
use sluice_core::limits::BATCH_COMMANDS_MAX;
use sluice_core::log::{Batch, Completion, NotProposed, Outcome, Results};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Bytes of commands and number of commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) bytes: usize,
    pub(super) commands: usize,
}

impl Load {
    /// Bytes that these take in the log at most: each command in a frame of its own.
    pub(super) fn in_frames(&self) -> u64 {
        (self.bytes + self.commands * padded(FRAME_HEADER_BYTES + 1)) as u64
    }
}

/// The queue before the log; clones share it.
#[derive(Clone)]
pub struct Inbox(Arc<Inner>);

struct Inner {
    limits: SegmentLimits,
    bound: Load,
    queue: Mutex<Queue>,
    wake: Condvar,
    /// What proposers have put in and the log thread has not written yet.
    bytes: AtomicUsize,
    commands: AtomicUsize,
    space: Space,
    /// The disk is fuller than whoever watches it lets messages make it.
    nearly_full: AtomicBool,
    stats: Arc<LogStats>,
}

#[derive(Default)]
struct Queue {
    ops: VecDeque<Op>,
    /// The log thread waits; whoever puts something in wakes it.
    sleeping: bool,
    closed: bool,
}

impl Inbox {
    pub(super) fn new(limits: SegmentLimits, bound: Load) -> Self {
        Self(Arc::new(Inner {
            limits,
            bound,
            queue: Mutex::default(),
            wake: Condvar::new(),
            bytes: AtomicUsize::new(0),
            commands: AtomicUsize::new(0),
            space: Space::without_bound(),
            nearly_full: AtomicBool::new(false),
            stats: Arc::default(),
        }))
    }

    /// Queues one proposer's commands, which stay together in one frame, or answers at once why not.
    pub fn propose(&self, batch: Batch, done: Completion) {
        if batch.is_empty() {
            return done(Outcome::Applied(Results::new()));
        }
        match self.admit(&batch) {
            Ok(load) => {
                let op = Op::Propose {
                    batch,
                    bytes: load.bytes,
                    since: Instant::now(),
                    done,
                };
                if let Err(Op::Propose { done, .. }) = self.push(op) {
                    self.release(load);
                    self.refuse(done, NotProposed::Stopping);
                }
            }
            Err(refusal) => self.refuse(done, refusal),
        }
    }

    /// Answers a proposal that has left the queue, and that the log does not write.
    pub(super) fn give_back(&self, load: Load, done: Completion, why: NotProposed) {
        self.release(load);
        self.refuse(done, why);
    }

    fn refuse(&self, done: Completion, why: NotProposed) {
        self.0.stats.count_refusal(&why);
        done(Outcome::NotProposed(why));
    }

    fn admit(&self, batch: &Batch) -> Result<Load, NotProposed> {
        let bytes = batch.iter().map(|command| command.len()).sum();
        let max = self.0.limits.command_bytes;
        if bytes > max || batch.len() > BATCH_COMMANDS_MAX {
            return Err(NotProposed::TooLarge { size: bytes, max });
        }
        let holds_messages = batch.iter().any(|command| command.is_append());
        if let Some(refusal) = self.refuses_messages()
            && holds_messages
        {
            return Err(refusal);
        }
        let load = Load {
            bytes,
            commands: batch.len(),
        };
        let before_bytes = self.0.bytes.fetch_add(load.bytes, Ordering::Relaxed);
        let before_commands = self.0.commands.fetch_add(load.commands, Ordering::Relaxed);
        // A batch always fits an empty queue, whatever the bounds are.
        let over = before_bytes + load.bytes > self.0.bound.bytes
            || before_commands + load.commands > self.0.bound.commands;
        if over && before_commands > 0 {
            self.release(load);
            return Err(NotProposed::Busy);
        }
        // Behind the count of what is queued: whoever sets the bound anew then sees these bytes there, if not in the bound.
        if holds_messages && !self.0.space.take(load.in_frames()) {
            self.release(load);
            return Err(self.0.space.blame.not_proposed());
        }
        Ok(load)
    }

    /// Puts an operation in, or gives it back when the log is stopping.
    pub(super) fn push(&self, op: Op) -> Result<(), Op> {
        let mut queue = self.0.queue.lock();
        if queue.closed {
            return Err(op);
        }
        queue.ops.push_back(op);
        let wake = std::mem::take(&mut queue.sleeping);
        drop(queue);
        if wake {
            self.0.wake.notify_one();
        }
        Ok(())
    }

    /// Moves everything queued into `backlog`, which is empty; answers whether nothing will follow.
    pub(super) fn take(&self, backlog: &mut VecDeque<Op>) -> bool {
        debug_assert!(backlog.is_empty());
        let mut queue = self.0.queue.lock();
        std::mem::swap(&mut queue.ops, backlog);
        queue.closed
    }

    /// Proposals that have left the queue make room for others.
    pub(super) fn release(&self, load: Load) {
        self.0.bytes.fetch_sub(load.bytes, Ordering::Relaxed);
        self.0.commands.fetch_sub(load.commands, Ordering::Relaxed);
    }

    /// Bytes of proposals not in a group yet.
    pub(super) fn bytes(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// What waits in the queue's bounds, and the bounds.
    pub(super) fn depth(&self) -> (Load, Load) {
        let commands = self.0.commands.load(Ordering::Relaxed);
        let bytes = self.bytes();
        (Load { bytes, commands }, self.0.bound)
    }

    /// What messages may take of the disk.
    pub(super) fn space(&self) -> &Space {
        &self.0.space
    }

    /// Whether messages are refused at all, and why.
    fn refuses_messages(&self) -> Option<NotProposed> {
        if self.0.space.is_full() {
            Some(self.0.space.blame.not_proposed())
        } else if self.0.nearly_full.load(Ordering::Relaxed) {
            Some(NotProposed::NearlyFull)
        } else {
            None
        }
    }

    /// Whether messages are refused before they are queued.
    pub(super) fn refuses(&self) -> bool {
        self.refuses_messages().is_some()
    }

    /// Why messages are refused, or would be if the last one says anything of the next; `None` while they are taken.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let space = &self.0.space;
        if space.is_full() || space.blame.is_unwritable() {
            return Some(space.blame.refusal());
        }
        let says = String::new();
        self.refuses_messages().map(|why| Refusal { why, says })
    }

    /// From now on refuses messages because the disk is fuller than they may make it, or takes them again.
    pub(super) fn set_nearly_full(&self, nearly_full: bool) {
        self.0.nearly_full.store(nearly_full, Ordering::Relaxed);
    }

    /// What the log counts.
    pub(super) fn stats(&self) -> &Arc<LogStats> {
        &self.0.stats
    }

    /// Waits until there is something to take, the queue is closed, or the time is over.
    pub(super) fn wait(&self, at_most: Option<Duration>) {
        let mut queue = self.0.queue.lock();
        if queue.ops.is_empty() && !queue.closed {
            queue.sleeping = true;
            match at_most {
                Some(time) => {
                    self.0.wake.wait_for(&mut queue, time);
                }
                None => self.0.wake.wait(&mut queue),
            }
            queue.sleeping = false;
        }
    }

    /// Takes nothing more; what is queued is still written.
    pub fn close(&self) {
        self.0.queue.lock().closed = true;
        self.0.wake.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::command::{EncodedCommand, NewMessage, encode_level};
    use sluice_core::ids::TopicId;
    use sluice_core::record::NewRecord;
    use std::sync::mpsc;

    fn inbox(commands: usize) -> Inbox {
        let limits = SegmentLimits::of(256 << 10).unwrap();
        Inbox::new(
            limits,
            Load {
                bytes: 1 << 20,
                commands,
            },
        )
    }

    fn batch(commands: usize) -> Batch {
        (0..commands).map(|n| encode_level(1, n as u32)).collect()
    }

    fn message() -> EncodedCommand {
        let host = "127.0.0.1:1".parse().unwrap();
        NewMessage {
            topic: TopicId(0),
            tag: None,
            message_group: None,
            record: NewRecord {
                topic: "topic",
                queue: 0,
                body: b"body",
                properties: &[],
                born_ms: 1,
                born_host: host,
                store_ms: 1,
                store_host: host,
            },
        }
        .encode()
    }

    fn refusal(inbox: &Inbox, batch: Batch) -> Option<Outcome> {
        let (tx, rx) = mpsc::channel();
        inbox.propose(batch, Box::new(move |outcome| tx.send(outcome).unwrap()));
        rx.try_recv().ok()
    }

    #[test]
    fn a_full_queue_refuses_at_once_and_takes_again_when_emptied() {
        let inbox = inbox(4);
        assert_eq!(refusal(&inbox, batch(3)), None);
        assert_eq!(
            refusal(&inbox, batch(2)),
            Some(Outcome::NotProposed(NotProposed::Busy))
        );
        assert_eq!(refusal(&inbox, batch(1)), None, "what fits is taken");
        let mut backlog = VecDeque::new();
        assert!(!inbox.take(&mut backlog));
        assert_eq!(backlog.len(), 2);
        assert_eq!(
            refusal(&inbox, batch(1)),
            Some(Outcome::NotProposed(NotProposed::Busy)),
            "not in a group yet"
        );
        inbox.release(Load {
            bytes: 0,
            commands: 4,
        });
        assert_eq!(refusal(&inbox, batch(1)), None);
    }

    #[test]
    fn what_cannot_fit_a_frame_is_refused_before_it_is_queued() {
        let inbox = inbox(1 << 16);
        assert!(matches!(
            refusal(&inbox, batch(BATCH_COMMANDS_MAX + 1)),
            Some(Outcome::NotProposed(NotProposed::TooLarge { .. }))
        ));
        assert_eq!(refusal(&inbox, batch(BATCH_COMMANDS_MAX)), None);
        assert_eq!(
            refusal(&inbox, Batch::new()),
            Some(Outcome::Applied(Results::new()))
        );
    }

    #[test]
    fn on_a_disk_that_is_nearly_full_messages_are_refused_and_nothing_else() {
        let inbox = inbox(10);
        let message = || -> Batch { [message()].into_iter().collect() };
        let refused = |why| Some(Outcome::NotProposed(why));
        assert_eq!(refusal(&inbox, message()), None);
        inbox.set_nearly_full(true);
        assert_eq!(refusal(&inbox, message()), refused(NotProposed::NearlyFull));
        assert_eq!(refusal(&inbox, batch(1)), None);
        inbox.space().bound(|| 0);
        assert_eq!(refusal(&inbox, message()), refused(NotProposed::NoSpace));
        inbox.set_nearly_full(false);
        assert_eq!(
            refusal(&inbox, message()),
            refused(NotProposed::NoSpace),
            "it is full"
        );
        inbox.space().lift();
        assert_eq!(refusal(&inbox, message()), None);
    }

    #[test]
    fn a_closed_queue_refuses_and_keeps_what_it_has() {
        let inbox = inbox(10);
        assert_eq!(refusal(&inbox, batch(1)), None);
        inbox.close();
        assert_eq!(
            refusal(&inbox, batch(1)),
            Some(Outcome::NotProposed(NotProposed::Stopping))
        );
        let mut backlog = VecDeque::new();
        assert!(inbox.take(&mut backlog));
        assert_eq!(backlog.len(), 1);
    }
}
