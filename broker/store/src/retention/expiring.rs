//! Has topics give up what they keep no longer than the log does.

use super::topics::{Expired, Topics};
use super::waiting::{Look, Record};
use super::{Propose, Ran, RetentionError, Run, Sizes};
use sluice_core::command::{Expire, Place};
use sluice_core::limits;
use sluice_core::state::{Done, Topic};

/// Places that one run carries for topics, of no more than a segment's bytes: each is a record written again.
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
        // What topics have carried is to leave room for what the log must.
        let most = settings.carried_max() / 2;
        let places = most.saturating_sub(self.store.tables().carried_len());
        let mut topics = Topics {
            look: Look::new(self.store, settings, self.now),
            room: (places.min(CARRIED_AT_A_LOOK), self.store.log().segment_capacity()),
            is_short: false,
        };
        for (id, own) in settings.shorter() {
            let Some(topic) = self.store.tables().topic_by_id(id) else {
                continue;
            };
            let expired = topics.expired(&topic, own, sizes);
            let gone = expired.and_then(|expired| self.give_up_of_topic(&topic, expired, &mut ran));
            if let Err(error) = gone {
                let topic = &topic.spec.name;
                tracing::warn!(topic, %error, "the topic keeps more than it should, until the next look");
                ran.failed = true;
            }
        }
        ran.too_many = topics.is_short && places == 0;
        ran
    }

    fn give_up_of_topic(&self, topic: &Topic, expired: Expired, ran: &mut Ran) -> Result<(), RetentionError> {
        let now = self.store.tables().topic_by_id(topic.id);
        if now.is_none_or(|now| now.generation != topic.generation) {
            // A long look must not take what somebody has just said to keep.
            return Ok(());
        }
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
            ran.blocked = true;
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
