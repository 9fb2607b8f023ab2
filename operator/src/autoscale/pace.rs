//! How far a step may go.

use super::history::Step;
use super::policy::{StepPolicy, StepSize};
use super::time::Time;

/// The greatest number of replicas that a step up may lead to.
pub fn highest(current: u32, policies: &[StepPolicy], steps: &[Step], now: Time) -> u32 {
    let highest = policies.iter().map(|policy| {
        let start = current.saturating_sub(changed(policy, steps, now, Step::added));
        match policy.size {
            StepSize::Pods(pods) => start.saturating_add(pods.get()),
            StepSize::Percent(percent) => start.saturating_add(part(start, percent.get())),
        }
    });
    // What was added already is no reason to take it away.
    highest.max().unwrap_or(u32::MAX).max(current)
}

/// The least number of replicas that a step down may lead to.
pub fn lowest(current: u32, policies: &[StepPolicy], steps: &[Step], now: Time) -> u32 {
    let lowest = policies.iter().map(|policy| {
        let start = current.saturating_add(changed(policy, steps, now, Step::removed));
        match policy.size {
            StepSize::Pods(pods) => start.saturating_sub(pods.get()),
            StepSize::Percent(percent) => start.saturating_sub(part(start, percent.get())),
        }
    });
    lowest.min().unwrap_or(0).min(current)
}

/// What was changed within the policy's period.
fn changed(policy: &StepPolicy, steps: &[Step], now: Time, by: fn(&Step) -> u32) -> u32 {
    let period = u64::from(policy.period_seconds.get());
    let within = steps.iter().filter(|step| now.since(step.at) < period);
    within.fold(0, |sum, step| sum.saturating_add(by(step)))
}

/// So many hundredths, and one pod at least.
fn part(start: u32, percent: u32) -> u32 {
    let part = (u64::from(start) * u64::from(percent)).div_ceil(100);
    u32::try_from(part).unwrap_or(u32::MAX).max(1)
}

impl Step {
    fn added(&self) -> u32 {
        self.to.saturating_sub(self.from)
    }

    fn removed(&self) -> u32 {
        self.from.saturating_sub(self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::super::decision::Reason;
    use super::*;
    use std::num::NonZeroU32;

    fn policy(size: fn(NonZeroU32) -> StepSize, value: u32, period: u32) -> StepPolicy {
        let number = |value| NonZeroU32::new(value).unwrap();
        StepPolicy {
            size: size(number(value)),
            period_seconds: number(period),
        }
    }

    fn step(at: u64, from: u32, to: u32) -> Step {
        Step {
            at: Time(at),
            from,
            to,
            rate_before: None,
            reason: Reason::Lag,
            judged: true,
        }
    }

    #[test]
    fn a_step_up_is_bounded_by_the_policy_that_allows_most() {
        let (double, pods) = (policy(StepSize::Percent, 100, 60), policy(StepSize::Pods, 4, 60));
        let cases: &[(u32, &[StepPolicy], &[Step], u32)] = &[
            (3, &[], &[], u32::MAX),
            (3, &[double], &[], 6),
            (3, &[pods], &[], 7),
            (3, &[double, pods], &[], 7),
            (8, &[double, pods], &[], 16),
            (0, &[double], &[], 1),
            (6, &[double], &[step(941, 3, 6)], 6),
            (6, &[double], &[step(940, 3, 6)], 12),
            (5, &[pods], &[step(950, 3, 5)], 7),
            (5, &[pods], &[step(950, 7, 5)], 9),
            (9, &[pods], &[step(950, 1, 20)], 9),
        ];
        for (current, policies, steps, wanted) in cases {
            assert_eq!(
                highest(*current, policies, steps, Time(1000)),
                *wanted,
                "{current} {policies:?} {steps:?}"
            );
        }
    }

    #[test]
    fn a_step_down_is_bounded_by_the_policy_that_allows_most() {
        let (half, pods) = (policy(StepSize::Percent, 50, 60), policy(StepSize::Pods, 2, 60));
        let cases: &[(u32, &[StepPolicy], &[Step], u32)] = &[
            (9, &[], &[], 0),
            (9, &[half], &[], 4),
            (9, &[pods], &[], 7),
            (9, &[half, pods], &[], 4),
            (1, &[half], &[], 0),
            (1, &[pods], &[], 0),
            (7, &[pods], &[step(941, 9, 7)], 7),
            (7, &[pods], &[step(940, 9, 7)], 5),
            (9, &[pods], &[step(950, 5, 9)], 7),
        ];
        for (current, policies, steps, wanted) in cases {
            assert_eq!(
                lowest(*current, policies, steps, Time(1000)),
                *wanted,
                "{current} {policies:?} {steps:?}"
            );
        }
    }
}
