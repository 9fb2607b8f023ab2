//! Following the lag: through the windows, a step at a time, and to zero.

use super::decide::{Case, Verdict};
use super::decision::{Limit, Reason};
use super::demand::{self, Demand};
use super::pace;
use super::sentence;
use std::cmp::Ordering;

impl Case<'_> {
    /// What the lag asks for, through the windows, a step at a time.
    pub(super) fn by_lag(&self, demand: Demand) -> Verdict {
        let words = self.words(demand);
        let (want, current) = (demand.want, self.current);
        let lowest = self.history.lowest.extreme(u32::min).unwrap_or(want);
        let highest = self.history.highest.extreme(u32::max).unwrap_or(want);
        if lowest > current {
            return self.up(demand, lowest, words);
        }
        if let Some(idle) = self.to_zero(highest, &words) {
            return idle;
        }
        if highest < current {
            let possible = pace::lowest(current, &self.policy.down.steps, &self.history.steps, self.now);
            let down = Verdict {
                limited_by: demand.limited_by,
                ..Verdict::new(highest, Reason::Lag, words)
            };
            return match highest {
                _ if possible > highest => {
                    down.limited(possible, Limit::Steps, &format!("a step leads to {possible}"))
                }
                _ if highest > want => down.limited(
                    highest,
                    Limit::DownWindow,
                    &sentence::down_window(highest, self.policy),
                ),
                _ => down,
            };
        }
        let steady = Verdict {
            limited_by: demand.limited_by,
            ..Verdict::new(current, Reason::Steady, words)
        };
        let within_tolerance = self.tolerated(demand) == current;
        let (limit, why) = match want.cmp(&current) {
            Ordering::Equal => return steady,
            _ if within_tolerance => (
                Limit::Tolerance,
                "the difference is within the tolerance".to_owned(),
            ),
            Ordering::Greater => (Limit::UpWindow, sentence::up_window(lowest, self.policy)),
            Ordering::Less => (Limit::DownWindow, sentence::down_window(highest, self.policy)),
        };
        steady.limited(current, limit, &format!("stays at {current}: {why}"))
    }

    fn up(&self, demand: Demand, lowest: u32, words: String) -> Verdict {
        let reason = if self.current == 0 {
            Reason::Activated
        } else {
            Reason::Lag
        };
        let possible = pace::highest(self.current, &self.policy.up.steps, &self.history.steps, self.now);
        let up = Verdict {
            limited_by: demand.limited_by,
            ..Verdict::new(lowest, reason, words)
        };
        if possible < lowest {
            return up.limited(possible, Limit::Steps, &format!("a step leads to {possible}"));
        }
        match lowest < demand.want {
            true => up.limited(lowest, Limit::UpWindow, &sentence::up_window(lowest, self.policy)),
            false => up,
        }
    }

    /// The last replicas go once there has been nothing to do for long enough, and stay away as long as that is so.
    fn to_zero(&self, highest: u32, words: &str) -> Option<Verdict> {
        if self.range.floor > 0 {
            return None;
        }
        let limited_by = self.demand.and_then(|demand| demand.limited_by);
        if self.current == 0 {
            return Some(Verdict {
                limited_by,
                ..Verdict::new(0, Reason::Idle, words)
            });
        }
        let idle = self.now.since(self.history.idle_since?);
        let after = u64::from(self.policy.zero_after_seconds);
        if highest > 1 || (idle < after && self.current > 1) {
            return None;
        }
        let verdict = Verdict::new(
            0,
            Reason::Idle,
            format!("{words}; nothing has been to do for {idle} s"),
        );
        if idle < after {
            let why = format!("the last replica stays until that is {after} s");
            let verdict = verdict.limited(1, Limit::ZeroDelay, &why);
            return Some(Verdict {
                reason: Reason::Steady,
                ..verdict
            });
        }
        let possible = pace::lowest(
            self.current,
            &self.policy.down.steps,
            &self.history.steps,
            self.now,
        );
        Some(match possible {
            0 => verdict,
            _ => verdict.limited(possible, Limit::Steps, &format!("a step leads to {possible}")),
        })
    }

    /// What the lag asks for, but for differences that are too small to act on. At the ends of the range, and where queues
    /// are not shared evenly yet, no difference is.
    pub(super) fn tolerated(&self, demand: Demand) -> u32 {
        let (want, current) = (demand.want, self.current);
        let between = want > self.range.floor.max(1) && want < demand.most;
        let is_even = demand::is_even(self.policy, self.range, current);
        if !between || current == 0 || current > demand.most || !is_even {
            return want;
        }
        let there_for = u128::from(current) * u128::from(self.policy.lag.messages_per_replica.get());
        let hundredths = u128::from(demand.ready) * 100;
        let above = hundredths > there_for * u128::from(100 + self.policy.up.tolerance_percent);
        let below =
            hundredths < there_for * u128::from(100_u32.saturating_sub(self.policy.down.tolerance_percent));
        if (want > current && !above) || (want < current && !below) {
            current
        } else {
            want
        }
    }
}
