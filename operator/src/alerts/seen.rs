//! Which alerts have come already: an Alertmanager sends again what it has no answer to, what still fires, and what has company
//! in its group, and two of them send everything twice.

use super::notification::Mark;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// An alert that is as it was within this time starts nothing. docs/alert-webhook.md says so.
pub const REMEMBERED_FOR: Duration = Duration::from_secs(3_600);
/// Alerts that are remembered; beyond that the oldest are forgotten, and start an evaluation when they come again.
const REMEMBERED_MAX: usize = 16_384;

/// What has come within the time.
#[derive(Debug, Default)]
pub struct Seen(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// When each came first.
    since: HashMap<Mark, Duration>,
    /// The same in the order in which they came.
    order: VecDeque<(Duration, Mark)>,
}

/// Alerts of a notification, some of them new. Unless it is kept these have not come: what could not be done is done when they
/// come again.
#[derive(Debug)]
pub struct Claim<'a> {
    seen: &'a Seen,
    new: Vec<Option<Mark>>,
    kept: bool,
}

impl Seen {
    /// Takes those of the marks that are new.
    pub fn claim(&self, marks: impl IntoIterator<Item = Mark>, now: Duration) -> Claim<'_> {
        let mut known = self.0.lock();
        known.forget(now);
        let new = marks.into_iter().map(|mark| known.add(mark, now).then_some(mark));
        Claim {
            new: new.collect(),
            seen: self,
            kept: false,
        }
    }
}

impl Known {
    fn add(&mut self, mark: Mark, now: Duration) -> bool {
        if self.since.contains_key(&mark) {
            return false;
        }
        self.since.insert(mark, now);
        self.order.push_back((now, mark));
        while self.order.len() > REMEMBERED_MAX {
            self.forget_oldest();
        }
        true
    }

    fn forget(&mut self, now: Duration) {
        while self
            .order
            .front()
            .is_some_and(|(since, _)| *since + REMEMBERED_FOR <= now)
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, mark)) = self.order.pop_front() {
            self.since.remove(&mark);
        }
    }
}

impl Claim<'_> {
    /// Whether the alert at this place is new.
    pub fn is_new(&self, place: usize) -> bool {
        self.new.get(place).is_some_and(Option::is_some)
    }

    /// How many are new.
    pub fn count(&self) -> usize {
        self.new.iter().flatten().count()
    }

    /// They were dealt with.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.kept {
            let known = &mut *self.seen.0.lock();
            for mark in self.new.iter().flatten() {
                known.since.remove(mark);
            }
            known.order.retain(|(_, mark)| known.since.contains_key(mark));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: usize) -> Mark {
        let mut mark = Mark::default();
        mark[..8].copy_from_slice(&number.to_be_bytes());
        mark
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_alert_is_new_once_within_the_time() {
        let seen = Seen::default();
        for (now, marks, new) in [
            (0, &[1, 2][..], 2),
            (1, &[1, 2], 0),
            (2, &[2, 3], 1),
            (3, &[4, 4], 1),
            (3_599, &[1, 2, 3, 4], 0),
            (3_600, &[1, 2, 3, 4], 2),
            (3_602, &[1, 2, 3, 4], 1),
            (3_603, &[1, 2, 3, 4], 1),
            (10_000, &[1, 2, 3, 4], 4),
        ] {
            let claim = seen.claim(marks.iter().map(|number| mark(*number)), seconds(now));
            assert_eq!(claim.count(), new, "{now}");
            claim.keep();
        }
    }

    #[test]
    fn what_is_given_back_is_new_again_and_is_kept_for_its_whole_time_then() {
        let seen = Seen::default();
        let claim = seen.claim([mark(1)], seconds(0));
        assert_eq!(seen.claim([mark(1)], seconds(0)).count(), 0, "somebody is at it");
        assert!(claim.is_new(0) && !claim.is_new(1));
        drop(claim);
        let again = seen.claim([mark(1)], seconds(100));
        assert_eq!(again.count(), 1);
        again.keep();
        assert_eq!(seen.claim([mark(1)], seconds(3_650)).count(), 0);
        assert_eq!(seen.claim([mark(1)], seconds(3_700)).count(), 1);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_go_first() {
        let seen = Seen::default();
        for number in 0..REMEMBERED_MAX + 5 {
            seen.claim([mark(number)], seconds(0)).keep();
        }
        let known = |number: usize| seen.claim([mark(number)], seconds(1)).count() == 0;
        assert!(known(REMEMBERED_MAX + 4) && known(5));
        assert_eq!(seen.0.lock().since.len(), REMEMBERED_MAX);
        for number in 0..5 {
            drop(seen.claim([mark(REMEMBERED_MAX + 10 + number)], seconds(2)));
        }
        assert!(seen.0.lock().order.len() <= REMEMBERED_MAX);
    }
}
