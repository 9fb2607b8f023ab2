//! What retention is asked for.

use sluice_core::ids::{TimeMs, TopicId};
use sluice_core::limits;
use std::collections::BTreeMap;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How long messages are kept, in milliseconds; for ever if not given.
    pub keep_ms: Option<u64>,
    /// How many bytes the log may have; any number if not given.
    pub keep_bytes: Option<u64>,
    /// How many bytes the log may have before what no group still has to read goes early; any number if not given.
    pub read_bytes: Option<u64>,
    /// How many bytes the log may have before the oldest goes, read or not, for want of disk. Nothing goes where the log cannot
    /// become so small.
    pub forced_bytes: Option<u64>,
    /// Whether messages are refused for want of disk, and not for a moment only: then no more come, so that it is of no use to wait
    /// for them.
    pub full: bool,
    /// Topics that keep their messages in their own way.
    pub own: BTreeMap<TopicId, Own>,
    /// Places in queues at which messages may stand carried; as many as state takes if not given.
    pub carried_max: Option<usize>,
}

/// What a topic keeps in its own way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Milliseconds for which its messages are kept, if they are not those of all topics: longer or less long.
    pub keep_ms: Option<u64>,
    /// No more bytes of its messages are kept.
    pub keep_bytes: Option<u64>,
}

impl Own {
    /// Messages kept for so many milliseconds, whatever there are.
    pub fn time(keep_ms: u64) -> Self {
        Self {
            keep_ms: Some(keep_ms),
            keep_bytes: None,
        }
    }

    /// No more bytes than these, of messages as old as others may be.
    pub fn bytes(keep_bytes: u64) -> Self {
        Self {
            keep_ms: None,
            keep_bytes: Some(keep_bytes),
        }
    }
}

impl Settings {
    /// Places at which messages may stand carried. State counts a command's places before it looks which of them it has already,
    /// so that those of one more must fit at any time.
    pub(super) fn carried_max(&self) -> usize {
        let most = limits::CARRIED_MAX - limits::CARRY_PLACES_MAX;
        self.carried_max.map_or(most, |max| max.min(most))
    }

    /// Whether the time of a message that was put then has not come.
    pub(super) fn keeps(&self, topic: TopicId, put_ms: TimeMs, now: TimeMs) -> bool {
        let own = self.own.get(&topic).and_then(|own| own.keep_ms);
        let Some(keep_ms) = own.or(self.keep_ms) else {
            return true;
        };
        put_ms.saturating_add(keep_ms) > now
    }

    /// Whether messages of a topic are kept longer than others.
    pub(super) fn is_longer(&self, topic: TopicId) -> bool {
        let own = self.own.get(&topic).and_then(|own| own.keep_ms);
        own.is_some_and(|own| self.keep_ms.is_some_and(|keep_ms| own > keep_ms))
    }

    /// Topics that may have to give up messages before the log does, and what they keep.
    pub(super) fn shorter(&self) -> impl Iterator<Item = (TopicId, Own)> + '_ {
        let is_shorter = |own: &Own| {
            let less_long = |own| self.keep_ms.is_none_or(|keep_ms| own < keep_ms);
            own.keep_bytes.is_some() || own.keep_ms.is_some_and(less_long)
        };
        let own = self.own.iter().map(|(topic, own)| (*topic, *own));
        own.filter(move |(_, own)| is_shorter(own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    #[test]
    fn a_topic_keeps_messages_for_its_own_time_and_gives_up_some_before_the_log_for_less_time_or_for_bytes() {
        let mut settings = Settings {
            keep_ms: Some(2 * HOUR),
            ..Settings::default()
        };
        let [longer, shorter, other] = [1, 2, 3].map(TopicId);
        settings.own = [(longer, Own::time(5 * HOUR)), (shorter, Own::time(HOUR))].into();
        let keeps = |topic| [1, 3, 4].map(|put| settings.keeps(topic, put * HOUR, 5 * HOUR));
        assert_eq!(keeps(longer), [true, true, true]);
        assert_eq!(keeps(shorter), [false, false, false]);
        assert_eq!(keeps(other), [false, false, true]);
        assert_eq!(
            [longer, shorter, other].map(|topic| settings.is_longer(topic)),
            [true, false, false]
        );
        let all = |settings: &Settings| settings.shorter().map(|(topic, _)| topic).collect::<Vec<_>>();
        assert_eq!(all(&settings), [shorter]);
        settings.own.get_mut(&longer).unwrap().keep_bytes = Some(1);
        assert_eq!(all(&settings), [longer, shorter]);
    }
}
