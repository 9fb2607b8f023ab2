//! How long a run of all tests may take. A run beyond it is no failure: the machine may have had other work.

use std::time::Duration;

/// With what is tested built already.
const BUILT: Duration = Duration::from_secs(60 * 60);
/// In a fresh clone.
const FRESH: Duration = Duration::from_secs(80 * 60);
/// Cargo takes less to find that nothing of the executables and suites has to be built, and more to build any of them.
const NOTHING_TO_BUILD: Duration = Duration::from_secs(60);

/// What to say of a run that took `total`, of which the steps that only build took `building`.
pub fn note(total: Duration, building: Duration) -> Option<String> {
    let (budget, of) = if building < NOTHING_TO_BUILD {
        (BUILT, "with everything built")
    } else {
        (FRESH, "with builds")
    };
    let minutes = |time: Duration| time.as_secs() / 60;
    (total > budget).then(|| {
        format!(
            "note: over the budget of {} minutes for a run {of}, by {} min {} s",
            minutes(budget),
            minutes(total - budget),
            (total - budget).as_secs() % 60
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_over_an_hour_is_told_where_nothing_was_built_and_one_over_eighty_minutes_always() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let second = Duration::from_secs(1);
        for (total, building, told) in [
            (minutes(60), Duration::ZERO, None),
            (minutes(60) + second, minutes(1) - second, Some("60 minutes")),
            (minutes(80), minutes(1), None),
            (minutes(80) + second, minutes(20), Some("80 minutes")),
            (minutes(90), Duration::ZERO, Some("60 minutes")),
        ] {
            let note = note(total, building);
            let is_told = match told {
                Some(budget) => note.as_ref().is_some_and(|note| note.contains(budget)),
                None => note.is_none(),
            };
            assert!(is_told, "{total:?}, {building:?}: {note:?}");
        }
    }

    #[test]
    fn a_note_says_by_how_much() {
        let took = Duration::from_secs(83 * 60 + 5);
        assert_eq!(
            note(took, NOTHING_TO_BUILD).unwrap(),
            "note: over the budget of 80 minutes for a run with builds, by 3 min 5 s"
        );
    }
}
