//! One group's place at one topic, in memory: cursors, waiting polls and the alarm for what is visible again.

use super::waiters::Waiters;
use parking_lot::{Mutex, RwLock};
use sluice_core::ids::{GroupId, QueueId, TimeMs, TopicId};
use sluice_core::plan::Cursor;
use sluice_core::state::{Group, Subscription, Topic};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

const NO_ALARM: TimeMs = TimeMs::MAX;

/// One group at one topic.
pub(super) struct Dispatcher {
    pub(super) group: Arc<Group>,
    pub(super) topic: Arc<Topic>,
    pub(super) subscription: Subscription,
    /// By queue. Held while choosing from that queue; the applier never takes it.
    pub(super) cursors: Vec<Mutex<Cursor>>,
    pub(super) waiters: Arc<Waiters>,
    /// By queue, on their way from the applier to the cursor.
    unlocked: Vec<Mutex<Unlocked>>,
    next_queue: AtomicUsize,
    alarm_at: AtomicU64,
    runtime: Handle,
    wakeups: Arc<AtomicU64>,
}

/// Message groups that may go on, until a receive looks.
#[derive(Default)]
struct Unlocked {
    groups: Vec<u32>,
    /// There were too many to name.
    all: bool,
}

/// Message groups that are named; beyond it all are looked at.
const UNLOCKED_MAX: usize = 4096;

impl Dispatcher {
    /// A message of this message group is done.
    pub(super) fn unlocked(&self, queue: QueueId, group_hash: u32) {
        if let Some(unlocked) = self.unlocked.get(queue.0 as usize) {
            let mut unlocked = unlocked.lock();
            if unlocked.groups.len() < UNLOCKED_MAX {
                unlocked.groups.push(group_hash);
            } else {
                unlocked.all = true;
            }
        }
    }

    /// Tells the queue's cursor which message groups may go on.
    pub(super) fn pass_on_unlocked(&self, queue: QueueId, cursor: &mut Cursor) {
        let Unlocked { groups, all } = std::mem::take(&mut *self.unlocked[queue.0 as usize].lock());
        groups
            .into_iter()
            .for_each(|group_hash| cursor.unlock(group_hash));
        if all {
            cursor.unlock_all();
        }
    }

    /// The order in which this receive looks at the queues: each receive starts one further.
    pub(super) fn rotation(&self) -> impl Iterator<Item = QueueId> + use<> {
        let queues = self.cursors.len();
        let start = self.next_queue.fetch_add(1, Ordering::Relaxed) % queues.max(1);
        (0..queues).map(move |step| QueueId(((start + step) % queues) as u32))
    }

    /// Wakes up to `polls` waiting polls.
    pub(super) fn wake(&self, polls: usize) {
        for _ in 0..polls {
            if self.waiters.is_empty() || !self.waiters.wake_one() {
                return;
            }
            self.wakeups.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Wakes a poll at `when`, if one waits then. `now` is state's time.
    pub(super) fn alarm(self: &Arc<Self>, when: TimeMs, now: TimeMs) {
        if self.waiters.is_empty() || self.alarm_at.fetch_min(when, Ordering::SeqCst) <= when {
            return;
        }
        let this = Arc::downgrade(self);
        let wait = Duration::from_millis(when.saturating_sub(now));
        self.runtime.spawn(async move {
            tokio::time::sleep(wait).await;
            let Some(this) = this.upgrade() else { return };
            // An earlier alarm set meanwhile has a task of its own, and the poll it wakes sets the next one.
            if this
                .alarm_at
                .compare_exchange(when, NO_ALARM, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
            {
                this.wake(1);
            }
        });
    }

    /// When the first of the pending messages is visible again.
    pub(super) fn soonest(&self) -> Option<TimeMs> {
        let first = |shard: &Arc<sluice_core::state::Shard>| {
            shard.read(|queue| queue.by_visibility().next().map(|(at, _)| at))
        };
        self.subscription.shards.iter().filter_map(first).min()
    }
}

/// All dispatchers, found by the applier's effects and by receives.
pub(super) struct Dispatchers {
    by_topic: RwLock<HashMap<TopicId, Vec<Arc<Dispatcher>>>>,
    runtime: Handle,
    wakeups: Arc<AtomicU64>,
}

impl Dispatchers {
    pub(super) fn new(runtime: Handle) -> Self {
        Self {
            by_topic: RwLock::default(),
            runtime,
            wakeups: Arc::default(),
        }
    }

    pub(super) fn wakeups(&self) -> u64 {
        self.wakeups.load(Ordering::Relaxed)
    }

    /// The dispatcher of `group` at `topic`, if there is one.
    pub(super) fn find(&self, group: GroupId, topic: TopicId) -> Option<Arc<Dispatcher>> {
        self.by_topic
            .read()
            .get(&topic)?
            .iter()
            .find(|dispatcher| dispatcher.group.id == group)
            .cloned()
    }

    /// Does something with each dispatcher of a topic.
    pub(super) fn each(&self, topic: TopicId, mut work: impl FnMut(&Arc<Dispatcher>)) {
        if let Some(dispatchers) = self.by_topic.read().get(&topic) {
            dispatchers.iter().for_each(&mut work);
        }
    }

    /// The dispatcher of a subscription, made if need be.
    pub(super) fn get_or_make(
        &self,
        group: &Arc<Group>,
        topic: &Arc<Topic>,
        subscription: Subscription,
    ) -> Arc<Dispatcher> {
        let mut by_topic = self.by_topic.write();
        let of_topic = by_topic.entry(topic.id).or_default();
        if let Some(present) = of_topic.iter().find(|dispatcher| dispatcher.group.id == group.id) {
            return Arc::clone(present);
        }
        let dispatcher = Arc::new(Dispatcher {
            group: Arc::clone(group),
            topic: Arc::clone(topic),
            cursors: subscription.shards.iter().map(|_| Mutex::default()).collect(),
            unlocked: subscription.shards.iter().map(|_| Mutex::default()).collect(),
            subscription,
            waiters: Arc::default(),
            next_queue: AtomicUsize::new(0),
            alarm_at: AtomicU64::new(NO_ALARM),
            runtime: self.runtime.clone(),
            wakeups: Arc::clone(&self.wakeups),
        });
        of_topic.push(Arc::clone(&dispatcher));
        dispatcher
    }
}
