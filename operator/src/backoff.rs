//! How long to wait before trying again.

use std::time::Duration;

/// What kind of waiting it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Somebody else has written in between: look again, soon.
    Overtaken,
    /// Something does not answer or is too busy: longer and longer.
    Down,
    /// Only a change of what was asked for helps, and that is told of. Still, look now and then.
    Refused,
}

/// At most this part is taken off a pause, so that what failed together does not come back together.
const JITTER: f64 = 0.25;

impl Pace {
    const fn bounds(self) -> (Duration, Duration) {
        match self {
            Self::Overtaken => (Duration::from_millis(100), Duration::from_secs(5)),
            Self::Down => (Duration::from_secs(1), Duration::from_secs(60)),
            Self::Refused => (Duration::from_secs(30), Duration::from_secs(300)),
        }
    }

    /// The pause after this many failures in a row, the first being 1. `chance` is from 0 to 1.
    pub fn pause(self, failures: u32, chance: f64) -> Duration {
        let (first, most) = self.bounds();
        let doublings = failures.saturating_sub(1).min(16);
        let pause = first.saturating_mul(1 << doublings).min(most);
        pause.mul_f64(1.0 - JITTER * chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound() {
        for (pace, pauses_ms) in [
            (Pace::Overtaken, [100, 200, 400, 800, 5_000]),
            (Pace::Down, [1_000, 2_000, 4_000, 8_000, 60_000]),
            (Pace::Refused, [30_000, 60_000, 120_000, 240_000, 300_000]),
        ] {
            for (failures, pause_ms) in [1, 2, 3, 4, u32::MAX].into_iter().zip(pauses_ms) {
                assert_eq!(
                    pace.pause(failures, 0.0),
                    Duration::from_millis(pause_ms),
                    "{pace:?} {failures}"
                );
            }
        }
    }

    #[test]
    fn chance_takes_off_no_more_than_a_quarter() {
        for (chance, pause_ms) in [(0.0, 1_000), (0.5, 875), (1.0, 750), (7.0, 750), (-1.0, 1_000)] {
            assert_eq!(
                Pace::Down.pause(1, chance),
                Duration::from_millis(pause_ms),
                "{chance}"
            );
        }
    }
}
