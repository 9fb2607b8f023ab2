//! Messages on their way to a client. Those that are never taken out have certainly not reached it: they are handed
//! back, wherever on the way the call ends.

use super::Received;
use crate::budget::Share;
use crate::engine::Engine;
use sluice_core::command::{Change, SettleItem};
use sluice_core::ids::GroupQueueId;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::vec;

/// Messages that a receive came to and does not bring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Lost: their group goes on without them.
    pub lost: u64,
    /// They cannot be read at present, and are tried again in a minute.
    pub unreadable: u64,
}

impl Passed {
    /// These and others.
    pub fn add(&mut self, others: Self) {
        self.lost += others.lost;
        self.unreadable += others.unreadable;
    }
}

/// What a receive got. What is taken out by [`Iterator::next`] counts as delivered; the rest is handed back on drop.
pub struct Taken {
    engine: Arc<Engine>,
    left: vec::IntoIter<Received>,
    /// Whether they repeat a delivery.
    resumed: bool,
    hidden_ms: u64,
    share: Option<Share>,
    passed: Passed,
}

impl Taken {
    pub(super) fn new(engine: &Arc<Engine>, messages: Vec<Received>, resumed: bool) -> Self {
        Self {
            engine: Arc::clone(engine),
            left: messages.into_iter(),
            resumed,
            hidden_ms: 0,
            share: None,
            passed: Passed::default(),
        }
    }

    /// Their bytes are counted until the share is dropped.
    pub(super) fn held_by(mut self, share: Share) -> Self {
        self.share = Some(share);
        self
    }

    /// What their look came to beside them.
    pub(super) fn passing(mut self, passed: Passed) -> Self {
        self.passed = passed;
        self
    }

    /// Counts with what earlier looks of the same receive came to, `before`.
    pub fn beside(mut self, before: &mut Passed) -> Self {
        before.add(self.passed);
        self.passed = *before;
        self
    }

    /// Messages that were come to and are not brought.
    pub fn passed(&self) -> Passed {
        self.passed
    }

    /// What counts their bytes, for whoever has them longer than this is there.
    pub fn share(&mut self) -> Option<Share> {
        self.share.take()
    }

    /// No messages.
    pub(super) fn nothing(engine: &Arc<Engine>) -> Self {
        Self::new(engine, Vec::new(), false)
    }

    /// What is handed back stays hidden for this long yet.
    pub fn hidden_for(mut self, hidden_ms: u64) -> Self {
        self.hidden_ms = hidden_ms;
        self
    }

    /// Separates the messages that `wanted` is true for from the others, which stay.
    pub fn separate(&mut self, wanted: impl FnMut(&Received) -> bool) -> Self {
        let all = std::mem::take(&mut self.left);
        let (separate, stay): (Vec<_>, Vec<_>) = all.partition(wanted);
        self.left = stay.into_iter();
        Self::new(&self.engine, separate, self.resumed).hidden_for(self.hidden_ms)
    }
}

impl Deref for Taken {
    type Target = [Received];

    /// Those that are not taken out.
    fn deref(&self) -> &[Received] {
        self.left.as_slice()
    }
}

impl Iterator for Taken {
    type Item = Received;

    fn next(&mut self) -> Option<Received> {
        self.left.next()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.left.as_slice().is_empty() {
            return;
        }
        let (engine, left) = (Arc::clone(&self.engine), std::mem::take(&mut self.left));
        let change = hand_back(self.hidden_ms, self.resumed);
        // Outside of the runtime there is nobody to do it: they come back when their time is over.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                engine
                    .change_all(left.map(|message| message.held()), change)
                    .await
            });
        }
    }
}

/// How messages are given back that this delivery has not brought to the client. Repeated ones it may have seen before,
/// and that delivery counts.
pub(super) fn hand_back(hidden_ms: u64, resumed: bool) -> Change {
    if resumed {
        Change::VisibleIn(hidden_ms)
    } else {
        Change::HandBack(hidden_ms)
    }
}

impl Engine {
    /// Changes deliveries that reach nobody.
    pub(super) async fn change_all(
        &self,
        held: impl IntoIterator<Item = (GroupQueueId, SettleItem)>,
        change: Change,
    ) {
        let mut by_queue: HashMap<GroupQueueId, Vec<SettleItem>> = HashMap::new();
        for (id, item) in held {
            by_queue.entry(id).or_default().push(item);
        }
        for (id, items) in by_queue {
            if let Err(error) = self.settle(id, change, items).await {
                let (group, topic) = (
                    self.tables().group_by_id(id.group),
                    self.tables().topic_by_id(id.at.topic),
                );
                tracing::warn!(
                    group = group.as_ref().map(|group| &*group.spec.name),
                    topic = topic.as_ref().map(|topic| &*topic.spec.name),
                    queue = id.at.queue.0,
                    %error,
                    "messages that reached nobody stay hidden until they expire"
                );
            }
        }
    }
}
