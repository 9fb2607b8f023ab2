//! What was asked for within a window: only its extreme counts, so that a few marks are enough.

use super::time::Time;

/// A window is cut into so many slices, and each slice keeps one mark.
const SLICES: u64 = 30;

/// The extremes of the slices of a window, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window(Vec<Mark>);

/// The extreme of a slice, and when the slice was last added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    at: Time,
    replicas: u32,
}

impl Window {
    /// Adds what is asked for now, and drops what is older than the window. `extreme` is `min` or `max`.
    ///
    /// A slice's mark is as old as the newest number in it, so an extreme is remembered a slice too long at most and never
    /// too short.
    pub fn add(&mut self, replicas: u32, seconds: u32, now: Time, extreme: fn(u32, u32) -> u32) {
        self.0
            .retain(|mark| mark.at <= now && now.since(mark.at) < u64::from(seconds));
        let slice = u64::from(seconds).div_ceil(SLICES).max(1);
        match self.0.last_mut() {
            Some(last) if last.at.0 / slice == now.0 / slice => {
                *last = Mark {
                    at: now,
                    replicas: extreme(last.replicas, replicas),
                };
            }
            _ => self.0.push(Mark { at: now, replicas }),
        }
    }

    /// The extreme of what is in it; `None` if nothing is.
    pub fn extreme(&self, extreme: fn(u32, u32) -> u32) -> Option<u32> {
        self.0.iter().map(|mark| mark.replicas).reduce(extreme)
    }

    /// Forgets everything but this number.
    pub fn restart(&mut self, replicas: u32, now: Time) {
        self.0 = vec![Mark { at: now, replicas }];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_number_counts_for_the_length_of_the_window_and_no_longer() {
        let mut window = Window::default();
        window.add(8, 30, Time(1000), u32::max);
        for (at, greatest) in [(1001, 8), (1029, 8), (1030, 2), (1031, 2)] {
            window.add(2, 30, Time(at), u32::max);
            assert_eq!(window.extreme(u32::max), Some(greatest), "at {at}");
        }
    }

    #[test]
    fn a_window_of_no_length_has_what_is_asked_for_now() {
        let mut window = Window::default();
        for (at, replicas) in [(10, 3), (11, 9), (12, 1)] {
            window.add(replicas, 0, Time(at), u32::max);
            assert_eq!(window.extreme(u32::max), Some(replicas));
        }
    }

    #[test]
    fn an_hour_of_numbers_every_second_takes_few_marks() {
        let mut window = Window::default();
        for second in 0..10_000_u32 {
            window.add(10_000 - second, 3600, Time(u64::from(second)), u32::max);
            assert!(window.0.len() <= SLICES as usize + 1, "{}", window.0.len());
        }
        let greatest = window.extreme(u32::max).unwrap();
        assert!((3600..=3600 + 120).contains(&greatest), "{greatest}");
    }

    #[test]
    fn marks_from_a_clock_that_was_put_back_do_not_count() {
        let mut window = Window::default();
        window.add(8, 300, Time(9000), u32::max);
        window.add(2, 300, Time(5000), u32::max);
        assert_eq!(window.extreme(u32::max), Some(2));
    }
}
