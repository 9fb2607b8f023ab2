//! A store that goes on with its damage: what must be there still, and what may be missing.

use super::picture::{Answer, Picture, Place, body, by_id, messages};
use sluice_core::ids::QueueOffset;
use sluice_store::Store;
use std::collections::{BTreeMap, BTreeSet};

/// Of the ids of what is there one of so many is looked for.
const NTH_ID: usize = 8;

/// What of the sound store's messages is there later.
#[derive(Debug, Default)]
pub struct Left {
    /// That answer an error instead of themselves.
    pub unread: BTreeSet<Place>,
    /// That retention has not taken, and that can be read.
    pub read: usize,
    /// What the index has said instead of an answer.
    pub not_found: Vec<String>,
    /// The messages that have come since, as they are read.
    pub new: BTreeMap<Place, Answer<Vec<u8>>>,
}

impl Left {
    /// Looks at every message. Panics where one is another than in the sound store, or is missing without having been taken by
    /// retention, or where the index leads somewhere else.
    pub fn of(store: &Store, sound: &Picture, whose: &dyn std::fmt::Display) -> Self {
        let mut left = Self::default();
        let found = messages(store);
        for place in sound.messages().keys().filter(|place| !found.contains_key(place)) {
            let is_gone = store.tables().gone(place.0).contains(place.1);
            assert!(is_gone, "{whose}: {place:?} is missing");
        }
        for (place, answer) in found {
            let answer = answer.map(|record| body(&record));
            match (sound.messages().get(&place), answer) {
                (None, answer) => drop(left.new.insert(place, answer)),
                (Some(_), Err(_)) => drop(left.unread.insert(place)),
                (Some(before), Ok(now)) => {
                    assert_eq!(before.as_ref(), Ok(&now), "{whose}: {place:?} is another");
                    if left.read.is_multiple_of(NTH_ID) {
                        left.look_for(store, sound, place, &now, whose);
                    }
                    left.read += 1;
                }
            }
        }
        left
    }

    fn look_for(
        &mut self,
        store: &Store,
        sound: &Picture,
        place: Place,
        body: &Vec<u8>,
        whose: &dyn std::fmt::Display,
    ) {
        match by_id(store, sound.id(place)) {
            Err(error) => self.not_found.push(error),
            Ok(bodies) => assert!(
                bodies.contains(body),
                "{whose}: the index does not lead to {place:?}"
            ),
        }
    }

    /// Whether everything that was acknowledged since is there, but for what retention has taken.
    pub fn has_new(
        &self,
        store: &Store,
        acknowledged: &BTreeMap<(sluice_core::ids::TopicQueue, QueueOffset), Vec<u8>>,
        whose: &dyn std::fmt::Display,
    ) {
        for ((at, offset), body) in acknowledged {
            if store.tables().gone(*at).contains(offset.0) {
                continue;
            }
            let found = self.new.get(&(*at, offset.0));
            assert_eq!(
                found,
                Some(&Ok(body.clone())),
                "{whose}: {offset} of {at:?}, sent later"
            );
        }
    }
}
