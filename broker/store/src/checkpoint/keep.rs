//! Which checkpoints stay.

/// Checkpoints kept at most.
pub(super) const KEPT_MAX: usize = 8;

/// Of roots in rising order, (position, at a segment's start), those that stay: the base, the newest two, and between
/// them those at a segment's start, thinned out evenly where they are too many, but for the last and for the pinned ones.
pub(super) fn kept(roots: &[(u64, bool)], pinned: &[u64]) -> Vec<u64> {
    let newest = roots.len().saturating_sub(2);
    let stays =
        |(n, (_, at_segment_start)): &(usize, &(u64, bool))| *n == 0 || *n >= newest || *at_segment_start;
    let mut kept: Vec<u64> = roots
        .iter()
        .enumerate()
        .filter(stays)
        .map(|(_, (position, _))| *position)
        .collect();
    // The log can begin nowhere later.
    let starts = roots.iter().filter(|(_, at_segment_start)| *at_segment_start);
    let last_start = starts.map(|(position, _)| *position).next_back();
    while kept.len() > KEPT_MAX {
        // Without this one the gap is the smallest. The base and the newest two are never looked at.
        let gap = |n: &usize| kept[n + 1] - kept[n - 1];
        let thin = |n: &usize| !pinned.contains(&kept[*n]) && Some(kept[*n]) != last_start;
        let Some(least) = (1..kept.len() - 2).filter(thin).min_by_key(gap) else {
            break;
        };
        kept.remove(least);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_and_the_newest_two_stay_and_segment_starts_between_them() {
        assert_eq!(kept(&[], &[]), []);
        assert_eq!(kept(&[(0, true)], &[]), [0]);
        assert_eq!(
            kept(
                &[(0, true), (5, false), (10, true), (15, false), (20, false)],
                &[]
            ),
            [0, 10, 15, 20]
        );
    }

    #[test]
    fn too_many_are_thinned_out_evenly() {
        let mut roots = vec![(0, true)];
        for position in 1..=1000 {
            roots.push((position, true));
            let stay = kept(&roots, &[]);
            assert!(stay.len() <= KEPT_MAX);
            roots.retain(|(position, _)| stay.contains(position));
        }
        let gaps: Vec<u64> = roots.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert_eq!((roots[0].0, roots[7].0, roots[6].0), (0, 1000, 999));
        assert!(gaps[..6].iter().all(|gap| (60..400).contains(gap)), "{gaps:?}");
    }

    #[test]
    fn the_pinned_ones_stay_however_near_their_neighbours_are() {
        let thinned = |pinned: &[u64]| {
            let mut roots = vec![(0, true), (10, true), (11, true), (12, true), (13, true)];
            for position in 100..200 {
                roots.push((position, true));
                let stay = kept(&roots, pinned);
                assert!(stay.len() <= KEPT_MAX);
                roots.retain(|(position, _)| stay.contains(position));
            }
            roots
        };
        let both = thinned(&[11, 12]);
        assert!(both.contains(&(11, true)) && both.contains(&(12, true)));
        let one = thinned(&[11]);
        assert!(one.contains(&(11, true)) && !one.contains(&(12, true)));
        assert!(!thinned(&[]).contains(&(11, true)));
    }

    #[test]
    fn the_last_start_of_a_segment_stays_however_little_follows() {
        let mut roots = vec![(0, true)];
        for segment in 1..100 {
            for (behind, at_start) in [(0, true), (1, false), (2, false)] {
                roots.push((segment * 100 + behind, at_start));
                let stay = kept(&roots, &[]);
                assert!(stay.len() <= KEPT_MAX);
                roots.retain(|(position, _)| stay.contains(position));
                assert!(roots.contains(&(segment * 100, true)), "{roots:?}");
            }
        }
    }
}
