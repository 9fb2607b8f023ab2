//! What must be left of a used store after a repair.

use super::{Message, Used, content};
use sluice_core::ids::QueueOffset;
use sluice_store::Store;
use sluice_store::log::ReadError;
use sluice_store::repair::Range;
use std::collections::BTreeSet;

impl Used {
    /// Checks what is left in a store that was repaired: everything but what stood in `lost`; of that what a checkpoint behind it
    /// counted in has its place yet, and cannot be read. From `end` on nothing is left.
    pub fn check(&self, store: &Store, lost: &[Range], end: Option<u64>, kept_to: u64) {
        let (queues, done) = content(store);
        let is_lost = |message: &Message| {
            let mut lost = lost
                .iter()
                .filter_map(|range| range.to.map(|to| (range.from.0, to.0)));
            lost.any(|(from, to)| message.from < to && message.to > from)
        };
        for (at, messages) in &self.messages {
            let mut found = queues.get(at).into_iter().flatten();
            for message in messages {
                if end.is_some_and(|end| message.from >= end) {
                    continue;
                }
                match (is_lost(message), message.from < kept_to) {
                    (true, false) => {}
                    (true, true) => match found.next() {
                        Some(Err(ReadError::Damaged { reason, .. })) => {
                            // The segments that were made anew may begin elsewhere than those that were.
                            let is_told = reason.contains("lost") || reason.contains("within one segment");
                            assert!(is_told, "{reason}");
                        }
                        other => panic!("{message:?} of {at:?} was lost, and now there is {other:?}"),
                    },
                    (false, _) => match found.next() {
                        Some(Ok(there)) => assert_eq!(there.body, message.body, "in {at:?}"),
                        other => panic!("{message:?} of {at:?} is {other:?}"),
                    },
                }
            }
            assert!(
                found.next().is_none(),
                "nobody sent what stands at the end of {at:?}"
            );
        }
        for (group, body) in &done {
            let was_done = self.done.contains(&(*group, body.clone()));
            assert!(was_done, "group {group} has not done what it now counts as done");
        }
    }

    /// Checks a store whose queue files were damaged behind a repair: every entry is there, and is the one it was or one of what
    /// was lost. Answers how many messages can be read, and how many were lost besides what stood in `lost`.
    pub fn count_lost(&self, store: &Store, lost: &Range) -> (usize, usize) {
        let (queues, _) = content(store);
        let (mut read, mut more) = (0, 0);
        for (at, messages) in &self.messages {
            let found = &queues[at];
            assert_eq!(found.len(), messages.len(), "{at:?}");
            for (message, found) in messages.iter().zip(found) {
                let was_lost = message.from < lost.to.unwrap().0 && message.to > lost.from.0;
                match found {
                    Ok(there) => {
                        assert_eq!(there.body, message.body, "in {at:?}");
                        read += 1;
                    }
                    Err(ReadError::Damaged { reason, .. }) => {
                        assert!(reason.contains("lost"), "{reason}");
                        more += usize::from(!was_lost);
                    }
                    Err(other) => panic!("{message:?} of {at:?}: {other}"),
                }
            }
        }
        (read, more)
    }

    /// Entries that cannot be read. These are of what stood in `lost`; every other message is what it was, or stood there too.
    pub fn unreadable(&self, store: &Store, lost: &Range) -> usize {
        let mut unreadable = 0;
        for (at, messages) in &self.messages {
            for (offset, message) in (0..).map(QueueOffset).zip(messages) {
                let was_lost = message.from < lost.to.unwrap().0 && message.to > lost.from.0;
                let mut entries = Vec::new();
                match store.queues().read(*at, offset, 1, &mut entries) {
                    Ok(_) => assert_eq!(entries[0].physical.0, message.from, "{offset} of {at:?}"),
                    Err(error) if was_lost => {
                        assert!(error.to_string().contains("is damaged"), "{error}");
                        unreadable += 1;
                    }
                    Err(error) => panic!("{message:?} at {offset} of {at:?}: {error}"),
                }
            }
        }
        unreadable
    }

    /// Messages that stood between these places.
    pub fn messages_between(&self, from: u64, to: u64) -> usize {
        let all = self.messages.values().flatten();
        all.filter(|message| message.from >= from && message.from < to)
            .count()
    }

    /// Whether groups have done all that they had, of what can be read.
    pub fn has_all_done(&self, store: &Store) -> bool {
        let (queues, done) = content(store);
        let there: BTreeSet<&Vec<u8>> = queues
            .values()
            .flatten()
            .filter_map(|message| message.as_ref().ok().map(|message| &message.body))
            .collect();
        let mut before = self.done.iter().filter(|(_, body)| there.contains(body));
        before.all(|one| done.contains(one))
    }
}
