//! One group's place at one topic, in memory: cursors, waiting polls and the alarm for what is visible again.
//!
//! It is made for a topic and a group as they are. When one of them changes, or is deleted, the dispatcher is retired: its
//! polls wake up and look for the next one. What it still has under way is settled by apply, as ever.

use super::clock::Clock;
use super::waiters::Waiters;
use parking_lot::{Mutex, RwLock};
use sluice_core::ids::{GroupId, QueueId, TimeMs, TopicId};
use sluice_core::plan::Cursor;
use sluice_core::state::{Changed, Group, Refused, Subscription, Tables, Topic};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

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
    retired: AtomicBool,
    alarm: Mutex<Option<Alarm>>,
    clock: Arc<Clock>,
    runtime: Handle,
    wakeups: Arc<AtomicU64>,
}

/// Message groups that may go on, until a receive looks.
#[derive(Default)]
struct Unlocked {
    groups: Vec<u32>,
    /// There were too many to name.
    all: bool,
    /// The group was moved in the queue.
    moved: bool,
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

    /// The group was moved in the queue.
    pub(super) fn moved(&self, queue: QueueId) {
        if let Some(unlocked) = self.unlocked.get(queue.0 as usize) {
            unlocked.lock().moved = true;
        }
    }

    /// Tells the queue's cursor which message groups may go on, and whether it is to start over.
    pub(super) fn pass_on_unlocked(&self, queue: QueueId, cursor: &mut Cursor) {
        let Unlocked { groups, all, moved } = std::mem::take(&mut *self.unlocked[queue.0 as usize].lock());
        if moved {
            // Nothing is parked then that could be unlocked.
            return cursor.start_over();
        }
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

    /// Whether topic or group have changed. A poll that parks here, and only then finds this false, is woken when they do.
    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }

    fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
        while self.waiters.wake_one() {}
        // It wakes nobody any more, and its task need not wait.
        if let Some(alarm) = self.alarm.lock().take() {
            alarm.task.abort();
        }
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

    /// Wakes a poll at `when`, if one waits then.
    pub(super) fn alarm(self: &Arc<Self>, when: TimeMs) {
        if self.waiters.is_empty() {
            return;
        }
        let mut alarm = self.alarm.lock();
        if alarm.as_ref().is_some_and(|alarm| alarm.at <= when) {
            return;
        }
        let this = Arc::downgrade(self);
        let wait = Duration::from_millis(when.saturating_sub(self.clock.now()));
        let task = self.runtime.spawn(async move {
            tokio::time::sleep(wait).await;
            if let Some(this) = this.upgrade() {
                this.ring(when);
            }
        });
        let task = task.abort_handle();
        if let Some(later) = alarm.replace(Alarm { at: when, task }) {
            later.task.abort();
        }
    }

    fn ring(self: &Arc<Self>, when: TimeMs) {
        if self.alarm.lock().take_if(|alarm| alarm.at == when).is_none() {
            return; // a sooner one took its place, and sets the next when it rings
        }
        // Before anyone is woken: what is visible later than this, the woken poll may look too early for.
        let now = self.clock.now();
        self.alarm_after(now);
        if when <= now {
            self.wake(1);
        }
    }

    /// Sets the alarm for what is hidden at `now` and visible again first. What was visible at `now` is not its
    /// business: a poll that looked then could take it or not, and whatever frees it later wakes a poll.
    pub(super) fn alarm_after(self: &Arc<Self>, now: TimeMs) {
        if self.waiters.is_empty() {
            return;
        }
        let shards = self.subscription.shards.iter();
        let soonest = shards.filter_map(|shard| shard.read(|queue| queue.visible_after(now)));
        if let Some(when) = soonest.min() {
            self.alarm(when);
        }
    }
}

/// What wakes a poll at a time. While a poll waits, this is set no later than the first message becomes visible.
struct Alarm {
    at: TimeMs,
    task: AbortHandle,
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
        group: GroupId,
        topic: TopicId,
        tables: &Tables,
        clock: &Arc<Clock>,
    ) -> Result<Arc<Dispatcher>, Refused> {
        let mut by_topic = self.by_topic.write();
        let of_topic = by_topic.get(&topic).into_iter().flatten();
        for present in of_topic {
            if present.group.id == group {
                return Ok(Arc::clone(present));
            }
        }
        // Under the lock, which retiring takes after the tables have changed: what is made here of old tables is retired.
        let (group, topic, subscription) = (
            tables.group_by_id(group).ok_or(Refused::NoGroup(group))?,
            tables.topic_by_id(topic).ok_or(Refused::NoTopic(topic))?,
            tables
                .subscription(group, topic)
                .ok_or(Refused::NotSubscribed(group, topic))?,
        );
        let dispatcher = Arc::new(Dispatcher {
            cursors: subscription.shards.iter().map(|_| Mutex::default()).collect(),
            unlocked: subscription.shards.iter().map(|_| Mutex::default()).collect(),
            group,
            topic,
            subscription,
            waiters: Arc::default(),
            next_queue: AtomicUsize::new(0),
            retired: AtomicBool::new(false),
            alarm: Mutex::default(),
            clock: Arc::clone(clock),
            runtime: self.runtime.clone(),
            wakeups: Arc::clone(&self.wakeups),
        });
        let of_topic = by_topic.entry(dispatcher.topic.id).or_default();
        of_topic.push(Arc::clone(&dispatcher));
        Ok(dispatcher)
    }

    /// Retires the dispatchers of what has changed. The tables say so already.
    pub(super) fn follow(&self, what: Changed) {
        let gone: Vec<Arc<Dispatcher>> = {
            let mut by_topic = self.by_topic.write();
            match what {
                Changed::Topic(topic) | Changed::TopicGone(topic) => {
                    by_topic.remove(&topic).unwrap_or_default()
                }
                Changed::Group(group) | Changed::GroupGone(group) => {
                    let of_group = |dispatcher: &mut Arc<Dispatcher>| dispatcher.group.id == group;
                    let gone = by_topic
                        .values_mut()
                        .flat_map(|of_topic| of_topic.extract_if(.., of_group))
                        .collect();
                    by_topic.retain(|_, of_topic| !of_topic.is_empty());
                    gone
                }
            }
        };
        gone.iter().for_each(|dispatcher| dispatcher.retire());
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_topic.read().values().map(Vec::len).sum()
    }
}
