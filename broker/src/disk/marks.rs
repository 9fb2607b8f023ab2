//! What is to be done about how full a disk is: a function of its figures, of the marks, and of what was done before.
//!
//! Each mark holds from when the disk reaches it until the disk is [two percent](BACK) emptier, so that a disk that stays
//! about there does not make it come and go.

/// Percent that a disk must be emptier than a mark before the mark no longer holds.
const BACK: u64 = 2;
/// The lowest mark that makes sense: below it an empty broker could be above it.
const LEAST: u64 = 10;

/// A file system's bytes, as `df` counts: what only the superuser may use belongs to nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// In use, by whomever.
    pub used: u64,
    /// In use or free.
    pub size: u64,
}

impl Usage {
    /// A file system that says it has no bytes at all says nothing: none of its marks is reached.
    fn reaches(self, percent: u64) -> bool {
        self.size > 0 && u128::from(self.used) * 100 >= u128::from(self.size) * u128::from(percent)
    }

    /// Bytes beyond so many percent, rounded up.
    fn beyond(self, percent: u64) -> u64 {
        let allowed = u128::from(self.size) * u128::from(percent) / 100;
        let allowed = u64::try_from(allowed).unwrap_or(u64::MAX);
        self.used.saturating_sub(allowed)
    }

    /// Bytes that the broker can still use.
    pub fn free(self) -> u64 {
        self.size.saturating_sub(self.used)
    }

    /// How full it is, from 0 to 1.
    pub fn ratio(self) -> f64 {
        if self.size == 0 {
            return 0.0;
        }
        self.used as f64 / self.size as f64
    }
}

/// The marks, in percent; none for one that is turned off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// From here on what everybody has read is given up before its time.
    pub early: Option<u64>,
    /// From here on what is oldest is given up, read or not.
    pub forced: Option<u64>,
    /// From here on no messages are taken.
    pub refuse: Option<u64>,
}

impl Marks {
    /// From the values of their keys, where 0 turns one off.
    pub fn of(early: u64, forced: u64, refuse: u64) -> Self {
        let [early, forced, refuse] = [early, forced, refuse].map(|percent| (percent > 0).then_some(percent));
        Self {
            early,
            forced,
            refuse,
        }
    }

    /// Those that are on, by their names in `names`, must rise.
    pub fn check(self, names: [&str; 3]) -> Result<(), String> {
        let named = names.into_iter().zip([self.early, self.forced, self.refuse]);
        let on: Vec<_> = named.filter_map(|(name, mark)| Some((name, mark?))).collect();
        if let Some((name, mark)) = on.iter().find(|(_, mark)| *mark < LEAST) {
            return Err(format!(
                "{name} is {mark}: take {LEAST} to 99, or 0 to turn it off"
            ));
        }
        let wrong = on.windows(2).find(|pair| pair[0].1 >= pair[1].1);
        wrong.map_or(Ok(()), |pair| {
            let [(lower, low), (upper, high)] = [pair[0], pair[1]];
            Err(format!(
                "{lower} is {low} and {upper} is {high}: make {lower} less than {upper}, or turn one off with 0"
            ))
        })
    }
}

/// Which marks hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// What everybody has read is given up before its time.
    pub early: bool,
    /// What is oldest is given up, read or not.
    pub forced: bool,
    /// No messages are taken.
    pub refuse: bool,
}

impl Holding {
    /// What holds after a look at the disk, if `self` held before.
    #[must_use]
    pub fn after(self, usage: Usage, marks: &Marks) -> Self {
        let holds = |held: bool, mark: Option<u64>| {
            mark.is_some_and(|mark| usage.reaches(mark - if held { mark.min(BACK) } else { 0 }))
        };
        Self {
            early: holds(self.early, marks.early),
            forced: holds(self.forced, marks.forced),
            refuse: holds(self.refuse, marks.refuse),
        }
    }

    /// How bad it is: 0 with room, 1 and 2 with early and forced retention, 3 where messages are refused.
    pub fn level(self) -> u64 {
        if self.refuse {
            3
        } else if self.forced {
            2
        } else {
            u64::from(self.early)
        }
    }
}

/// What of the disk is the log's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Bytes that it keeps.
    pub kept: u64,
    /// Bytes that it has given up, and whose files the next checkpoint removes, or that come back piece by piece.
    pub leaving: u64,
}

/// How large the log may be for the disk's sake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Before what everybody has read goes early.
    pub read: Option<u64>,
    /// Before what is oldest goes, read or not.
    pub forced: Option<u64>,
}

impl Bounds {
    /// So that the marks that hold would hold no more: a mark that is reached is left at once by as much as it goes back.
    pub fn of(holding: Holding, usage: Usage, marks: &Marks, share: Share) -> Self {
        let within = |holds: bool, mark: Option<u64>| {
            let mark = mark.filter(|_| holds)?;
            // One byte more: exactly there it holds still.
            let too_much = usage.beyond(mark.saturating_sub(BACK)).saturating_add(1);
            let too_much = too_much.saturating_sub(share.leaving);
            (too_much > 0)
                .then(|| share.kept.checked_sub(too_much))
                .map(Option::unwrap_or_default)
        };
        Self {
            read: within(holding.early, marks.early),
            forced: within(holding.forced, marks.forced),
        }
    }

    /// How large the log may become, as full as the disk is otherwise, before the mark of forced retention holds; any size where
    /// the mark would hold without the log, for then nothing goes.
    pub fn room(usage: Usage, marks: &Marks, share: Share) -> Option<u64> {
        let mark = marks.forced?;
        let others = usage
            .used
            .saturating_sub(share.kept.saturating_add(share.leaving));
        let allowed = u128::from(usage.size) * u128::from(mark) / 100;
        let allowed = u64::try_from(allowed).unwrap_or(u64::MAX);
        allowed.checked_sub(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MARKS: Marks = Marks {
        early: Some(75),
        forced: Some(85),
        refuse: Some(90),
    };

    fn used(percent: u64) -> Usage {
        Usage {
            used: percent * 1000,
            size: 100_000,
        }
    }

    #[test]
    fn a_file_system_that_does_not_say_how_large_it_is_reaches_no_mark() {
        let holding = Holding::default().after(Usage::default(), &MARKS);
        assert_eq!(holding, Holding::default());
        let holding = Holding::default().after(used(95), &MARKS);
        assert_eq!(holding.after(Usage::default(), &MARKS), Holding::default());
    }

    #[test]
    fn a_mark_holds_until_the_disk_is_two_percent_emptier() {
        let mut holding = Holding::default();
        for (percent, level) in [
            (0, 0),
            (74, 0),
            (75, 1),
            (73, 1),
            (72, 0),
            (74, 0),
            (85, 2),
            (83, 2),
            (82, 1),
            (100, 3),
            (89, 3),
            (88, 3),
            (87, 2),
            (83, 2),
            (10, 0),
        ] {
            holding = holding.after(used(percent), &MARKS);
            assert_eq!(holding.level(), level, "at {percent} %");
        }
    }

    #[test]
    fn a_mark_that_is_turned_off_never_holds_and_one_that_is_taken_away_holds_no_more() {
        let full = Holding::default().after(used(100), &MARKS);
        let without = Marks {
            refuse: None,
            ..MARKS
        };
        assert_eq!(full.level(), 3);
        assert_eq!(full.after(used(100), &without).level(), 2);
        assert_eq!(full.after(used(100), &Marks::default()), Holding::default());
    }

    #[test]
    fn marks_that_are_on_rise() {
        for (early, forced, refuse, wrong) in [
            (75, 85, 90, None),
            (0, 0, 0, None),
            (80, 0, 90, None),
            (0, 85, 86, None),
            (85, 85, 90, Some("a is 85 and b is 85")),
            (75, 95, 90, Some("b is 95 and c is 90")),
            (90, 0, 80, Some("a is 90 and c is 80")),
            (9, 85, 90, Some("a is 9: take 10 to 99")),
        ] {
            let checked = Marks::of(early, forced, refuse).check(["a", "b", "c"]);
            match wrong {
                None => assert_eq!(checked, Ok(())),
                Some(wrong) => assert!(checked.unwrap_err().contains(wrong), "{wrong}"),
            }
        }
    }

    fn percent() -> impl Strategy<Value = u64> {
        prop_oneof![Just(0), 10..100_u64]
    }

    proptest! {
        #[test]
        fn what_holds_is_as_full_as_its_mark_says_and_giving_up_the_bounds_ends_it(
            size in 0..u64::MAX, fullness in proptest::collection::vec(0..=1000_u64, 1..40),
            marks in (percent(), percent(), percent()), kept in 0..=1000_u64, leaving in 0..=1000_u64,
        ) {
            let marks = Marks::of(marks.0, marks.1, marks.2);
            let of = |part: u64| u64::try_from(u128::from(size) * u128::from(part) / 1000).unwrap();
            let mut holding = Holding::default();
            for fullness in fullness {
                let usage = Usage { used: of(fullness), size };
                let next = holding.after(usage, &marks);
                for (before, now, mark) in [
                    (holding.early, next.early, marks.early),
                    (holding.forced, next.forced, marks.forced),
                    (holding.refuse, next.refuse, marks.refuse),
                ] {
                    let Some(mark) = mark else {
                        prop_assert!(!now);
                        continue;
                    };
                    prop_assert!(now || !usage.reaches(mark), "a full disk is seen");
                    prop_assert!(!now || usage.reaches(mark - BACK), "an empty one too");
                    prop_assert!(before == now || now == usage.reaches(mark), "nothing changes between");
                }
                holding = next;
                let share = Share { kept: of(kept.min(fullness)), leaving: of(leaving.min(fullness - kept.min(fullness))) };
                let bounds = Bounds::of(holding, usage, &marks, share);
                prop_assert!(holding.early || bounds.read.is_none());
                prop_assert!(holding.forced || bounds.forced.is_none());
                if let Some(bound) = bounds.forced.filter(|bound| *bound > 0) {
                    let freed = share.kept - bound + share.leaving;
                    let after = Usage { used: usage.used - freed, size };
                    prop_assert!(!holding.after(after, &marks).forced, "as much as is needed");
                    let less = Usage { used: after.used + 1 + usage.size / 100, size };
                    prop_assert!(holding.after(less, &marks).forced || less.used > size, "and no more");
                }
            }
        }
    }
}
