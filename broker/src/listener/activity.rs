//! What a connection does: with all places of its port taken, the one that is idle longest is closed for a new one. So whoever holds connections without asking for anything keeps nobody out.

use parking_lot::Mutex;
use std::cmp::Reverse;
use std::sync::{Arc, Weak};
use std::time::Instant;
use tokio::sync::Notify;

/// What keeps a connection from giving way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Any call that runs on it.
    ByAnyCall,
    /// Calls that say so, since others are open to everyone.
    ByCallsThatSaySo,
}

/// One connection's doing.
#[derive(Debug)]
pub(super) struct Activity {
    kept: Kept,
    doing: Mutex<Doing>,
    gives_way: Notify,
}

#[derive(Debug)]
struct Doing {
    calls: usize,
    idle_since: Instant,
}

impl Activity {
    /// Nothing, from now on.
    pub(super) fn new(kept: Kept) -> Arc<Self> {
        let doing = Doing {
            calls: 0,
            idle_since: Instant::now(),
        };
        Arc::new(Self {
            kept,
            doing: Mutex::new(doing),
            gives_way: Notify::new(),
        })
    }

    /// Since when no call runs; `None` while one does.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let doing = self.doing.lock();
        (doing.calls == 0).then_some(doing.idle_since)
    }

    /// A call begins, whichever it is.
    pub(super) fn any_call(self: &Arc<Self>) -> Option<Busy> {
        (self.kept == Kept::ByAnyCall).then(|| self.busy())
    }

    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.doing.lock().calls += 1;
        Busy(Arc::clone(self))
    }
}

/// Until the connection is to give way.
pub(super) async fn displaced(activity: Arc<Activity>) {
    activity.gives_way.notified().await
}

/// A call that runs.
#[derive(Debug)]
pub struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut doing = self.0.doing.lock();
        doing.calls -= 1;
        doing.idle_since = Instant::now();
    }
}

/// The connections that stand.
#[derive(Debug, Default)]
pub(super) struct Activities(Vec<Weak<Activity>>);

impl Activities {
    /// One more, which does nothing yet.
    pub(super) fn one_more(&mut self, kept: Kept) -> Arc<Activity> {
        self.0.retain(|activity| activity.strong_count() > 0);
        let activity = Activity::new(kept);
        self.0.push(Arc::downgrade(&activity));
        activity
    }

    /// Has those that are idle longest give way, so many of them at most; answers how many do.
    pub(super) fn displace(&mut self, most: usize) -> usize {
        let standing = self.0.iter().enumerate();
        let idle = standing.filter_map(|(at, activity)| Some((activity.upgrade()?.idle_since()?, at)));
        let mut longest: Vec<_> = idle.collect();
        longest.sort_unstable();
        longest.truncate(most);
        // Each is asked once. From behind, since removing one moves those behind it.
        longest.sort_unstable_by_key(|(_, at)| Reverse(*at));
        for (_, at) in &longest {
            if let Some(activity) = self.0.swap_remove(*at).upgrade() {
                activity.gives_way.notify_one();
            }
        }
        longest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn gives_way(activity: &Arc<Activity>) -> bool {
        displaced(Arc::clone(activity)).now_or_never().is_some()
    }

    #[test]
    fn the_one_that_is_idle_longest_gives_way_and_busy_ones_do_not() {
        let mut all = Activities::default();
        let [first, second, third] = [(); 3].map(|()| all.one_more(Kept::ByCallsThatSaySo));
        let running = second.busy();
        assert!(third.any_call().is_none(), "it does not say so");
        drop(first.busy());
        let expected = [(&third, true), (&first, true), (&second, false)];
        for (activity, displaced) in expected {
            assert_eq!(all.displace(1), usize::from(displaced));
            assert_eq!(gives_way(activity), displaced);
        }
        drop(running);
        assert!(all.displace(1) == 1 && gives_way(&second));
        assert_eq!(all.displace(1), 0, "each is asked once");
    }

    #[test]
    fn where_any_call_keeps_a_connection_none_that_runs_one_gives_way() {
        let mut all = Activities::default();
        let connection = all.one_more(Kept::ByAnyCall);
        let call = connection.any_call();
        assert_eq!(all.displace(1), 0);
        drop(call);
        assert!(all.displace(1) == 1 && gives_way(&connection));
    }

    #[test]
    fn several_give_way_at_once_and_the_others_stand() {
        let mut all = Activities::default();
        let five = [(); 5].map(|()| all.one_more(Kept::ByAnyCall));
        let running = five[1].busy();
        assert_eq!(all.displace(2), 2);
        assert_eq!(five.each_ref().map(gives_way), [true, false, true, false, false]);
        drop(running);
        assert_eq!(all.displace(9), 3);
    }

    #[test]
    fn connections_that_are_gone_are_forgotten() {
        let mut all = Activities::default();
        drop(all.one_more(Kept::ByAnyCall));
        assert_eq!(all.displace(1), 0);
        let _standing = all.one_more(Kept::ByAnyCall);
        assert_eq!(all.0.len(), 1);
    }
}
