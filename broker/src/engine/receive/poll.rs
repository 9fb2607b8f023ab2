//! The long poll: take, or wait for a turn and take again.

use super::{Passed, Receive, Taken};
use crate::engine::dispatcher::Dispatcher;
use crate::engine::{Engine, EngineError};
use std::sync::Arc;
use tokio::sync::oneshot;

impl Engine {
    /// Hands out messages, waiting for some until the deadline; empty when none came, which is not the queues' end where lost ones were
    /// [passed](Taken::passed). Where topic or group are deleted
    /// meanwhile, it says so.
    pub async fn receive(self: &Arc<Self>, request: Receive) -> Result<Taken, EngineError> {
        let _count = self.count_poll()?;
        let request = Arc::new(request);
        let mut dispatcher = self.dispatcher(&request).await?;
        let mut passed = Passed::default();
        let found = self.take(&dispatcher, &request).await?.beside(&mut passed);
        if !found.is_empty() {
            return Ok(found);
        }
        let mut stopping = self.stopping.subscribe();
        loop {
            if dispatcher.is_retired() {
                dispatcher = self.dispatcher(&request).await?;
            }
            let mut waiting = dispatcher.waiters.park();
            if dispatcher.is_retired() {
                continue;
            }
            // Before the look: the alarm is for all that this look comes too early for.
            let now = self.now();
            // What came between looking and parking woke nobody: look once more.
            let found = self.take(&dispatcher, &request).await?.beside(&mut passed);
            if !found.is_empty() {
                return Ok(found);
            }
            dispatcher.alarm_after(now);
            tokio::select! {
                () = waiting.turn() => {}
                () = tokio::time::sleep_until(request.deadline) => return Ok(Taken::nothing(self).beside(&mut passed)),
                _ = stopping.wait_for(|stop| *stop) => return Ok(Taken::nothing(self).beside(&mut passed)),
            }
            // Where it is retired the look comes to little, and through the next one it comes at once.
            let found = self.take(&dispatcher, &request).await?.beside(&mut passed);
            waiting.used();
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }

    async fn dispatcher(&self, request: &Receive) -> Result<Arc<Dispatcher>, EngineError> {
        let (group, topic) = (request.group.id, request.topic.id);
        if let Some(dispatcher) = self.dispatchers.find(group, topic) {
            return Ok(dispatcher);
        }
        // Rare, and not part of what each call carries along.
        let made = match Box::pin(self.subscription(&request.group, &request.topic)).await {
            Ok(_) => self
                .dispatchers
                .get_or_make(group, topic, self.tables(), &self.clock)
                .map_err(EngineError::from),
            Err(error) => Err(error),
        };
        made.map_err(|error| error.named(&request.group, &request.topic))
    }

    /// Takes what is ready now. The work goes on in a task of its own when the caller is dropped: then nobody takes the
    /// messages out of its answer.
    async fn take(
        self: &Arc<Self>,
        dispatcher: &Arc<Dispatcher>,
        request: &Arc<Receive>,
    ) -> Result<Taken, EngineError> {
        let chosen = match self.choose(dispatcher, request).await? {
            Some(chosen) => chosen,
            None => return Ok(Taken::nothing(self)),
        };
        // Before they are read: what is refused is given back as if nobody had looked.
        let share = self.options.unread.admit(&request.client, chosen.bytes())?;
        let (answer, answered) = oneshot::channel();
        let (engine, request) = (Arc::clone(self), Arc::clone(request));
        tokio::spawn(async move {
            let resumed = chosen.is_resumed();
            let messages = chosen.deliver(&engine, &request).await;
            let taken = messages.map(|(messages, passed)| {
                Taken::new(&engine, messages, resumed)
                    .held_by(share)
                    .passing(passed)
            });
            drop(answer.send(taken));
        });
        answered.await.unwrap_or(Err(EngineError::Unknown))
    }
}
