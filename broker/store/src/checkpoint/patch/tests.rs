//! Patches: what comes back is what was given, and of little change there is little.

use super::*;
use proptest::prelude::*;

/// A change of bytes: where, how many go, and what comes.
fn changed(base: &[u8], changes: &[(usize, usize, Vec<u8>)]) -> Vec<u8> {
    let mut new = base.to_vec();
    for (at, gone, come) in changes {
        let at = at % (new.len() + 1);
        let end = (at + gone).min(new.len());
        new.splice(at..end, come.iter().copied());
    }
    new
}

/// Much alike, as state is, or nothing.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3000),
        prop::collection::vec(0_u8..2, 0..3000),
        (prop::collection::vec(any::<u8>(), 1..20), 1_usize..300).prop_map(|(row, times)| row.repeat(times)),
    ]
}

fn changes() -> impl Strategy<Value = Vec<(usize, usize, Vec<u8>)>> {
    let change = (
        any::<usize>(),
        0_usize..200,
        prop::collection::vec(any::<u8>(), 0..50),
    );
    prop::collection::vec(change, 0..10)
}

proptest! {
    #[test]
    fn of_related_bytes_a_patch_brings_the_later_ones(base in bytes(), changes in changes()) {
        let new = changed(&base, &changes);
        let patch = make(&base, &new, usize::MAX);
        prop_assert_eq!(patch.is_some(), new.len() <= GROWTH_MAX * base.len());
        if let Some(patch) = patch {
            prop_assert_eq!(apply(&base, &patch), Ok(new.clone()));
            let most = 40 + changes.iter().map(|(_, _, come)| come.len() + 60).sum::<usize>();
            prop_assert!(patch.len() <= most.max(new.len() + 40), "{} of {}", patch.len(), new.len());
            prop_assert!(make(&base, &new, patch.len()).is_some() && make(&base, &new, patch.len() - 1).is_none());
        }
    }

    #[test]
    fn of_unrelated_bytes_it_does_too_or_there_is_none(base in bytes(), new in bytes(), max in 0_usize..4000) {
        if let Some(patch) = make(&base, &new, max) {
            prop_assert!(patch.len() <= max);
            prop_assert_eq!(apply(&base, &patch), Ok(new));
        }
    }

    #[test]
    fn a_damaged_patch_or_base_is_refused_or_does_no_harm(
        base in bytes(),
        changes in changes(),
        at in any::<usize>(),
        flipped in 1_u8..,
    ) {
        let new = changed(&base, &changes);
        if let Some(patch) = make(&base, &new, usize::MAX) {
            let mut other = patch.clone();
            let at_of_patch = at % other.len();
            other[at_of_patch] ^= flipped;
            prop_assert!(apply(&base, &other).map_or(true, |found| found == new));
            prop_assert!(apply(&base, &patch[..at_of_patch]).is_err());
            let mut other = base.clone();
            if !other.is_empty() {
                other[at % base.len()] ^= flipped;
                prop_assert!(apply(&other, &patch).map_or(true, |found| found == new));
            }
        }
    }

    #[test]
    fn any_bytes_are_a_patch_or_refused(base in bytes(), patch in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = apply(&base, &patch);
    }

    /// Behind a length and a checksum, of numbers that are often small: these reach what is behind.
    #[test]
    fn any_steps_are_taken_or_refused(
        base in bytes(),
        len in 0_u64..5000,
        steps in prop::collection::vec(prop_oneof![0_u8..4, any::<u8>()], 0..60),
    ) {
        let mut patch = Vec::new();
        put_varint(&mut patch, len);
        patch.extend_from_slice(&[0; 4]);
        patch.extend_from_slice(&steps);
        if let Ok(new) = apply(&base, &patch) {
            prop_assert_eq!(new.len() as u64, len);
        }
    }
}

#[test]
fn a_length_beyond_what_a_part_may_have_is_refused_before_anything_is_made() {
    for len in [201, PART_BYTES_MAX as u64 + 1, u64::MAX] {
        let mut patch = Vec::new();
        put_varint(&mut patch, len);
        patch.extend_from_slice(&[0; 64]);
        let refused = Malformed::Range("the length of a patch's result");
        assert_eq!(apply(&[7; 100], &patch), Err(refused), "{len}");
    }
}

/// Rows as state has them: alike within a delivery, and little different between two.
fn rows(deliveries: u64) -> Vec<Vec<u8>> {
    let row = |delivery: u64| {
        let mut row = Vec::new();
        for number in [1, 1_790_000_000_000 + delivery * 37, 7_000_000 + delivery, 0, 1] {
            put_varint(&mut row, number);
        }
        row
    };
    let deliveries = (0..deliveries).map(row);
    deliveries.flat_map(|row| std::iter::repeat_n(row, 32)).collect()
}

#[test]
fn a_hundredth_settled_here_and_there_makes_a_small_patch() {
    let mut rows = rows(40);
    let base = rows.concat();
    // The next one's distance from the one before is another then.
    for at in (0..rows.len() - 1).rev().step_by(97) {
        rows.remove(at);
        rows[at][0] += 1;
    }
    let new = rows.concat();
    let patch = make(&base, &new, base.len() / 8).unwrap();
    assert_eq!(apply(&base, &patch), Ok(new));
    assert!(
        patch.len() * 100 < base.len() * 2,
        "{} of {}",
        patch.len(),
        base.len()
    );
}

#[test]
fn more_makes_a_patch_of_about_what_came() {
    let base = rows(40).concat();
    let new = rows(41).concat();
    let patch = make(&base, &new, base.len() / 8).unwrap();
    let came = new.len() - base.len();
    assert!(patch.len() < came + 50, "{} for {came}", patch.len());
    assert_eq!(apply(&base, &patch), Ok(new));
}

/// Rows of a delivery are alike, so that each of them stands in many places.
#[test]
fn rows_that_come_in_front_of_others_make_a_small_patch_too() {
    let (base, rows) = (rows(40).concat(), rows(42));
    for gone in [0, 1, 3, 31, 32, 40] {
        let new = rows[gone..rows.len() - 64].concat();
        let new = [&[7; 11][..], &new].concat();
        let patch = make(&base, &new, base.len() / 8).unwrap();
        assert!(patch.len() < 60, "{} without {gone} rows", patch.len());
        assert_eq!(apply(&base, &patch), Ok(new));
    }
}

#[test]
fn what_is_too_long_for_every_block_to_be_looked_up_makes_a_small_patch_too() {
    let base: Vec<u8> = (0..6_000_000_u64)
        .flat_map(|n| mix(1, n / 8).to_le_bytes()[..1].to_vec())
        .collect();
    assert!(base.len() > BLOCKS_MAX * BLOCK_BYTES);
    let new = changed(&base, &[(5_000_000, 10, vec![1; 20]), (100_000, 0, vec![2; 5])]);
    let patch = make(&base, &new, 100).unwrap();
    assert_eq!(apply(&base, &patch), Ok(new));
}
