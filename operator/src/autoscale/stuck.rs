//! Queues in which nothing gets done although they are consumed: a message that no consumer can handle holds up what is
//! behind it, and more consumers would not help.

use super::observed::{Lag, QueueLag};
use super::time::Time;
use std::collections::BTreeMap;

/// So many queues are followed; lag in further ones counts as any other.
const QUEUES: usize = 256;

/// A standstill that is shorter is likely to end by itself.
const LASTING_SECONDS: u64 = 60;

/// Since when nothing got done, by queue. Queues without lag are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standstills(BTreeMap<String, Standstill>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standstill {
    done: u64,
    since: Time,
}

impl Standstills {
    /// What follows from what is the case now. While nobody consumes, time does not count.
    pub fn observe(&self, lag: &Lag, consumed: bool, now: Time) -> Self {
        let lagging = lag.queues.iter().filter(|queue| queue.ready > 0);
        let followed = lagging.filter_map(|queue| {
            let done = queue.done?;
            let before = self
                .0
                .get(&queue.queue)
                .filter(|before| before.done == done && consumed);
            let since = before.map_or(now, |before| before.since);
            Some((queue.queue.clone(), Standstill { done, since }))
        });
        Self(followed.take(QUEUES).collect())
    }

    /// Each with how much is done, and since when.
    pub fn entries(&self) -> impl Iterator<Item = (String, u64, Time)> {
        let entries = self.0.iter();
        entries.map(|(queue, standstill)| (queue.clone(), standstill.done, standstill.since))
    }

    /// Those of these entries.
    pub fn of(entries: Vec<(String, u64, Time)>) -> Self {
        let entries = entries.into_iter().take(QUEUES);
        Self(
            entries
                .map(|(queue, done, since)| (queue, Standstill { done, since }))
                .collect(),
        )
    }

    /// Those that have lasted for a while.
    pub fn lasting(&self, now: Time) -> Self {
        let lasting = self
            .0
            .iter()
            .filter(|(_, standstill)| now.since(standstill.since) >= LASTING_SECONDS);
        Self(
            lasting
                .map(|(queue, standstill)| (queue.clone(), *standstill))
                .collect(),
        )
    }

    /// Tells whether the queue has stood still for so long.
    pub fn is_stuck(&self, queue: &QueueLag, seconds: u32, now: Time) -> bool {
        let standstill = self.0.get(&queue.queue);
        standstill.is_some_and(|standstill| now.since(standstill.since) >= u64::from(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(done: Option<u64>, ready: u64) -> Lag {
        let queue = QueueLag {
            queue: "orders/0".to_owned(),
            ready,
            done,
        };
        Lag {
            ready,
            inflight: 1,
            queues: vec![queue],
            left_out: None,
        }
    }

    #[test]
    fn a_queue_is_stuck_when_nothing_got_done_for_long() {
        let step = |standstills: &Standstills, done, ready, consumed, at| {
            let lag = lag(done, ready);
            let next = standstills.observe(&lag, consumed, Time(at));
            let stuck = next.is_stuck(&lag.queues[0], 300, Time(at));
            (next, stuck)
        };
        // What is done, what is ready, whether somebody consumes, and when.
        type Row = (Option<u64>, u64, bool, u64);
        let cases: &[(&str, &[Row], bool)] = &[
            (
                "for 300 seconds",
                &[(Some(5), 9, true, 0), (Some(5), 12, true, 300)],
                true,
            ),
            (
                "for 299",
                &[(Some(5), 9, true, 0), (Some(5), 12, true, 299)],
                false,
            ),
            (
                "something got done",
                &[(Some(5), 9, true, 0), (Some(6), 9, true, 300)],
                false,
            ),
            (
                "the group was moved back",
                &[(Some(5), 9, true, 0), (Some(0), 9, true, 300)],
                false,
            ),
            (
                "nobody consumes",
                &[(Some(5), 9, true, 0), (Some(5), 9, false, 300)],
                false,
            ),
            (
                "somebody came late",
                &[(Some(5), 9, false, 200), (Some(5), 9, true, 300)],
                false,
            ),
            (
                "no lag in between",
                &[
                    (Some(5), 9, true, 0),
                    (Some(5), 0, true, 150),
                    (Some(5), 9, true, 300),
                ],
                false,
            ),
            ("not known", &[(None, 9, true, 0), (None, 9, true, 300)], false),
        ];
        for &(name, rows, wanted) in cases {
            let mut standstills = Standstills::default();
            let mut stuck = false;
            for &(done, ready, consumed, at) in rows {
                (standstills, stuck) = step(&standstills, done, ready, consumed, at);
            }
            assert_eq!(stuck, wanted, "{name}");
        }
    }

    #[test]
    fn a_bounded_number_of_queues_is_followed() {
        let queue = |number| QueueLag {
            queue: format!("orders/{number}"),
            ready: 1,
            done: Some(0),
        };
        let lag = Lag {
            ready: 1000,
            inflight: 0,
            queues: (0..1000).map(queue).collect(),
            left_out: None,
        };
        assert_eq!(
            Standstills::default().observe(&lag, true, Time(0)).0.len(),
            QUEUES
        );
    }
}
