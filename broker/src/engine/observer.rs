//! What the applier tells the dispatchers, and the pulls that wait: there is something to take.

use super::answers::Answers;
use super::arrivals::Arrivals;
use super::dispatcher::Dispatchers;
use sluice_core::ids::{GroupId, GroupQueueId, TimeMs, TopicId, TopicQueue};
use sluice_core::limits;
use sluice_core::state::Changed;
use sluice_store::Observer;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::broadcast;

/// Changes that a listener may be behind; one that is further behind is told so.
const CHANGES_MAX: usize = 1024;

/// Wakes polls for what the applier applied. It gathers a round of commands first: a burst of messages wakes as many
/// polls as it takes to carry them, not one a message.
pub struct Wakes {
    dispatchers: Arc<Dispatchers>,
    arrivals: Arc<Arrivals>,
    answers: Arc<Answers>,
    changes: broadcast::Sender<Changed>,
    appended: Vec<(TopicId, usize)>,
    ready: Vec<(GroupId, TopicId)>,
}

impl Wakes {
    /// Wakes polls that run on `runtime`.
    pub fn new(runtime: Handle) -> Self {
        let answers = Answers::start(&runtime);
        let changes = broadcast::Sender::new(CHANGES_MAX);
        let arrivals = Arc::new(Arrivals::new(runtime.clone()));
        Self::over(Arc::new(Dispatchers::new(runtime)), arrivals, answers, changes)
    }

    /// A second handle on the same dispatchers: one goes to the store, the other to the engine.
    pub fn share(&self) -> Self {
        Self::over(
            Arc::clone(&self.dispatchers),
            Arc::clone(&self.arrivals),
            Arc::clone(&self.answers),
            self.changes.clone(),
        )
    }

    fn over(
        dispatchers: Arc<Dispatchers>,
        arrivals: Arc<Arrivals>,
        answers: Arc<Answers>,
        changes: broadcast::Sender<Changed>,
    ) -> Self {
        Self {
            dispatchers,
            arrivals,
            answers,
            changes,
            appended: Vec::new(),
            ready: Vec::new(),
        }
    }

    pub(super) fn answers(&self) -> Arc<Answers> {
        Arc::clone(&self.answers)
    }

    pub(super) fn changes(&self) -> broadcast::Sender<Changed> {
        self.changes.clone()
    }

    pub(super) fn dispatchers(&self) -> Arc<Dispatchers> {
        Arc::clone(&self.dispatchers)
    }

    pub(super) fn arrivals(&self) -> Arc<Arrivals> {
        Arc::clone(&self.arrivals)
    }
}

impl Observer for Wakes {
    fn appended(&mut self, at: TopicQueue) {
        match self.appended.iter_mut().find(|(topic, _)| *topic == at.topic) {
            Some((_, count)) => *count += 1,
            None => self.appended.push((at.topic, 1)),
        }
    }

    fn ready(&mut self, id: GroupQueueId, when: TimeMs, now: TimeMs) {
        if when <= now {
            if !self.ready.contains(&(id.group, id.at.topic)) {
                self.ready.push((id.group, id.at.topic));
            }
        } else if let Some(dispatcher) = self.dispatchers.find(id.group, id.at.topic) {
            dispatcher.alarm(when);
        }
    }

    fn unlocked(&mut self, id: GroupQueueId, group_hash: u32) {
        if let Some(dispatcher) = self.dispatchers.find(id.group, id.at.topic) {
            dispatcher.unlocked(id.at.queue, group_hash);
        }
    }

    fn moved(&mut self, id: GroupQueueId) {
        if let Some(dispatcher) = self.dispatchers.find(id.group, id.at.topic) {
            dispatcher.moved(id.at.queue);
        }
    }

    fn changed(&mut self, what: Changed) {
        self.dispatchers.follow(what);
        if let Changed::TopicGone(topic) = what {
            self.arrivals.gone(topic);
        }
        // Nobody may listen; and who listens too slowly is told that it has missed something.
        let _ = self.changes.send(what);
    }

    fn round_applied(&mut self) {
        self.answers.send_out();
        if !self.appended.is_empty() {
            self.arrivals
                .appended(self.appended.iter().map(|(topic, _)| *topic));
        }
        for (topic, count) in self.appended.drain(..) {
            let polls = count.div_ceil(limits::RECEIVE_MAX);
            self.dispatchers.each(topic, |dispatcher| dispatcher.wake(polls));
        }
        for (group, topic) in self.ready.drain(..) {
            if let Some(dispatcher) = self.dispatchers.find(group, topic) {
                dispatcher.wake(1);
            }
        }
    }
}
