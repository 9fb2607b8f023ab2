//! Has topics give up what they keep no longer than the log does.

use super::topics::{Expired, Topics};
use super::waiting::{Look, Record};
use super::{Propose, Ran, RetentionError, Run, Sizes};
use sluice_core::command::{Expire, Place};
use sluice_core::limits;
use sluice_core::state::Done;

/// Places that one run carries for topics: each is a record written again.
const CARRIED_AT_A_LOOK: usize = 4096;

impl<P: Propose> Run<'_, P> {
    /// One topic after another: what cannot be done for one of them is told, and keeps none of the others.
    pub(super) fn expire(&self, sizes: &mut Sizes) -> Ran {
        let settings = self.settings;
        sizes.keep(|topic| {
            settings
                .own
                .get(&topic)
                .is_some_and(|own| own.keep_bytes.is_some())
        });
        let mut ran = Ran::default();
        let room = settings.carried_max();
        let room = room.saturating_sub(self.store.tables().carried_len());
        let mut topics = Topics {
            look: Look::new(self.store, settings, self.now),
            room: room.min(CARRIED_AT_A_LOOK),
        };
        for (id, own) in settings.shorter() {
            let Some(topic) = self.store.tables().topic_by_id(id) else {
                continue;
            };
            let expired = topics.expired(&topic, own, sizes);
            if let Err(error) = expired.and_then(|expired| self.give_up_of_topic(expired, &mut ran)) {
                let topic = &topic.spec.name;
                tracing::warn!(topic, %error, "the topic keeps more than it should, until the next look");
                ran.failed = true;
            }
        }
        ran
    }

    fn give_up_of_topic(&self, expired: Expired, ran: &mut Ran) -> Result<(), RetentionError> {
        let Expired {
            mut minimums,
            waiting,
            mut dropped,
        } = expired;
        let record = |place: Place| {
            let record = Record {
                size: place.entry.size,
                places: vec![place],
            };
            (place.entry.physical, record)
        };
        let records = waiting.into_iter().map(record);
        if !self.carry(records, ran)? {
            // For want of disk: what was carried by now the next run finds so.
            return Ok(());
        }
        while !minimums.is_empty() || !dropped.is_empty() {
            let some = minimums.len().min(limits::TRIM_QUEUES_MAX);
            let others = dropped.len().min(limits::TRIM_QUEUES_MAX - some);
            let expire = Expire {
                minimums: minimums.drain(..some).collect(),
                dropped: dropped.drain(..others).collect(),
            };
            let done = self.propose(vec![expire.encode(self.now)])?;
            for done in done.iter().flatten() {
                if let Done::Expired(expired) = done {
                    ran.expired += expired;
                }
            }
        }
        Ok(())
    }
}
