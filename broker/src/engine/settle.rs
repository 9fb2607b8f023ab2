//! Ending deliveries.

use super::{Engine, EngineError, records};
use sluice_core::command::{Change, DeadLetter, Place, Settle, SettleItem};
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{DeliveryId, GroupQueueId, QueueOffset};
use sluice_core::state::{Done, Refused};
use sluice_store::damage::Unread;

/// How a settlement went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What holds the changed messages from now on.
    pub delivery: DeliveryId,
    /// By item, in order, whether it was still held.
    pub accepted: Vec<bool>,
}

impl Engine {
    /// Settles deliveries of one queue in one command.
    pub async fn settle(
        &self,
        id: GroupQueueId,
        change: Change,
        items: Vec<SettleItem>,
    ) -> Result<Settled, EngineError> {
        let command = Settle { id, change, items };
        match self.propose_one(command.encode(self.now())).await?? {
            Done::Settled { delivery, accepted } => Ok(Settled {
                delivery,
                accepted: accepted.into_vec(),
            }),
            _ => Err(EngineError::Unknown),
        }
    }

    /// Gives a held message up: it goes to the group's dead-letter topic.
    pub async fn dead_letter(
        &self,
        id: GroupQueueId,
        offset: QueueOffset,
        delivery: DeliveryId,
    ) -> Result<(), EngineError> {
        let read = async || {
            let entry = records::entry(&self.store, id.at, offset).await?;
            entry.ok_or_else(|| EngineError::from(Refused::NotHeld))
        };
        let bury = async |entry| {
            let command = DeadLetter {
                id,
                offset,
                delivery: Some(delivery),
                entry,
            };
            self.propose_one(command.encode(self.now())).await
        };
        let entry = read().await?;
        if self
            .skips_lost(id, SettleItem { offset, delivery }, entry)
            .await?
        {
            return Ok(());
        }
        let mut answer = bury(entry).await?;
        if let Err(Refused::Leaving(_)) = answer {
            // Retention may have carried the record since.
            let again = read().await?;
            if again.physical != entry.physical {
                answer = bury(again).await?;
            }
        }
        answer?;
        Ok(())
    }

    /// Ends a held message whose record is lost. Answers whether that is so.
    async fn skips_lost(
        &self,
        id: GroupQueueId,
        item: SettleItem,
        entry: QueueEntry,
    ) -> Result<bool, EngineError> {
        let place = Place {
            at: id.at,
            offset: item.offset,
            entry,
        };
        let mut read = records::commands(&self.store, vec![place], self.now()).await?;
        let Some(Err(Unread::Lost(error))) = read.pop() else {
            return Ok(false);
        };
        let topic = self.tables().topic_by_id(id.at.topic);
        let topic = topic.ok_or(Refused::NoTopic(id.at.topic))?;
        let group = self.tables().group_by_id(id.group);
        let group = group.ok_or(Refused::NoGroup(id.group))?;
        let lost = vec![(id, item, error.to_string())];
        self.skip_lost(&topic, &group, lost).await;
        Ok(true)
    }
}
