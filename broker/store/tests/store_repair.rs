//! Repairs of a damaged log: everything is left but what was given up, nothing is found in a wrong place, and no group counts as
//! done what it has not done.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod repairs;
mod workload;

use repairs::*;
use sluice_core::ids::PhysicalOffset;
use sluice_store::io::{FaultyIo, LogIo};
use sluice_store::repair::{Accepted, Range, RepairError, plan};
use std::collections::BTreeSet;
use std::path::Path;
use workload::{Dice, Driver};

/// Starts what was repaired, checks it, uses it, and starts it once more.
fn goes_on(used: &Used, io: &FaultyIo, lost: &[Range], end: Option<u64>, kept_to: u64) {
    let found = sound(io);
    assert!(found.log.is_whole);
    let opened = start(io).unwrap();
    used.check(&opened.store, lost, end, kept_to);
    let mut driver = Driver::new(opened, 99).without_administrators();
    (0..5).for_each(|_| driver.round(300).unwrap());
    driver.opened.store.close().unwrap();
    assert!(sound(io).findings.damage.is_empty());
    let sent = driver.memory.acknowledged.len();
    let opened = start(io).unwrap();
    let tables = opened.store.tables();
    let messages: u64 = tables.all_topics().iter().map(|topic| topic.messages()).sum();
    assert!(messages >= sent as u64);
    opened.store.close().unwrap();
}

/// Gives up the last segment, of which nothing can be read; where the newest checkpoint stands in it, what that says is kept.
fn goes_on_without_the_last(used: &Used, io: &FaultyIo, base: u64) {
    let end = used.newest.max(base);
    let range = |from, to| Range {
        from: PhysicalOffset(from),
        to,
    };
    let before = [range(base, Some(PhysicalOffset(end)))];
    let before = if end > base { &before[..] } else { &[] };
    let lost = [before, &[range(end, None)]].concat();
    assert_eq!(wanted(io), lost);
    assert!(refusal(io).contains(&format!("{end}..END")));
    repair(io, &lost);
    goes_on(used, io, before, Some(end), used.newest.min(end));
}

/// Frames at the edges: the first, those around each start of a segment, and some others, of those that `fits`.
fn places(used: &Used, dice: &mut Dice, fits: impl Fn(usize) -> bool) -> Vec<usize> {
    let bases = used.bases();
    let starts = (0..used.frames.len()).filter(|n| bases.contains(&used.frames[*n].start().0));
    let mut places: BTreeSet<usize> = starts.flat_map(|n| [n.saturating_sub(1), n]).collect();
    places.insert(used.frames.len() - 1);
    places.extend((0..12).map(|_| dice.roll(used.frames.len() as u64) as usize));
    let behind = used.frames.partition_point(|frame| frame.start().0 < used.newest);
    let unsure = used.frames.len() - behind;
    places.extend((0..8).map(|_| behind + dice.roll(unsure as u64) as usize));
    places.insert(behind);
    places.into_iter().filter(|n| fits(*n)).collect()
}

#[test]
fn what_is_lost_before_a_checkpoint_costs_nothing_but_itself() {
    let used = used(seed());
    let bases = used.bases();
    let mut dice = Dice(seed());
    let is_before = |n: usize| used.frames[n].end().0 <= used.newest;
    for n in places(&used, &mut dice, is_before) {
        let io = used.copy();
        let lost = damage_frame(&io, &bases, &used.frames[n], &mut dice);
        assert_eq!(wanted(&io), [lost], "frame {n}");
        let plan = planned(&io, &[lost], false).unwrap();
        assert_eq!(plan.loss.void_commands, 0);
        repair(&io, &[lost]);
        assert!(planned(&io, &[lost], false).unwrap().is_done);
        let opened = start(&io.crash_keeping_all()).unwrap();
        assert!(used.has_all_done(&opened.store), "frame {n}");
        opened.store.close().unwrap();
        goes_on(&used, &io, &[lost], None, used.newest);
    }
}

#[test]
fn behind_a_checkpoint_messages_are_kept_and_what_groups_did_is_done_again() {
    let used = used(seed());
    let bases = used.bases();
    let mut dice = Dice(seed());
    let (mut void, mut ended) = (0, 0);
    let is_behind = |n: usize| used.frames[n].start().0 >= used.newest;
    for n in places(&used, &mut dice, is_behind) {
        let io = used.copy();
        let lost = damage_frame(&io, &bases, &used.frames[n], &mut dice);
        if look(&io).log.damage.is_empty() {
            // At the log's end, where the slot does not reach: a start takes it for a torn write.
            assert_eq!(n, used.frames.len() - 1);
            continue;
        }
        let said = refusal(&io);
        let wanted = wanted(&io);
        let command = sluice_store::repair::command(Path::new(DIR), &wanted);
        assert!(said.ends_with(&command), "{said}");
        if wanted[0].to.is_none() {
            assert_eq!((n, wanted[0].from), (used.frames.len() - 1, lost.from));
            repair(&io, &wanted);
            goes_on(&used, &io, &[], Some(lost.from.0), used.newest);
            ended += 1;
            continue;
        }
        assert_eq!(wanted, [lost]);
        void += planned(&io, &[lost], false).unwrap().loss.void_commands;
        repair(&io, &[lost]);
        assert!(planned(&io, &[lost], false).unwrap().is_done);
        // Everything derived can be made again: what is left gives it.
        let without = io.crash_keeping_all();
        for folder in ["queue/0/0", "queue/1/0", "checkpoint", "index"] {
            let folder = Path::new(DIR).join(folder);
            for name in without.list(&folder).unwrap() {
                without.remove(&folder.join(name)).unwrap();
            }
        }
        let opened = start(&without).unwrap();
        used.check(&opened.store, &[lost], None, 0);
        opened.store.close().unwrap();
        goes_on(&used, &io, &[lost], None, used.newest);
    }
    println!("{void} commands were given up, {ended} logs ended");
    assert!(void > 0);
}

#[test]
fn several_places_are_repaired_at_once_or_one_after_another() {
    let used = used(seed());
    let bases = used.bases();
    let mut dice = Dice(seed() + 1);
    for together in [true, false, true] {
        let io = used.copy();
        let mut chosen = places(&used, &mut dice, |n| n + 1 < used.frames.len());
        // No two neighbours: those would be one place.
        chosen.dedup_by(|later, earlier| *later - *earlier < 2);
        let lost: Vec<Range> = chosen
            .iter()
            .map(|n| damage_frame(&io, &bases, &used.frames[*n], &mut dice))
            .collect();
        let wanted = wanted(&io);
        assert_eq!(wanted, lost);
        if together {
            repair(&io, &wanted);
        } else {
            assert!(
                planned(&io, &wanted[..1], false).is_err(),
                "others are damaged too"
            );
            repair(&io, &wanted);
            assert!(planned(&io, &wanted, false).unwrap().is_done);
        }
        goes_on(&used, &io, &lost, None, used.newest);
    }
}

#[test]
fn the_log_can_end_before_what_is_damaged() {
    let used = used(seed());
    let bases = used.bases();
    let mut dice = Dice(seed() + 2);
    for n in places(&used, &mut dice, |n| {
        n > 20 && n % 2 == 0 && n + 1 < used.frames.len()
    }) {
        let io = used.copy();
        damage_frame(&io, &bases, &used.frames[n], &mut dice);
        let end = used.frames[n].start();
        let range = Range { from: end, to: None };
        let refused = planned(&io, &[range], false).unwrap_err();
        assert!(refused.to_string().contains("--wider"), "{refused}");
        let plan = planned(&io, &[range], true).unwrap();
        let done = plan.run(&shared(&io)).unwrap();
        assert!(!done.saved.is_empty());
        assert!(planned(&io, &[range], true).unwrap().is_done);
        assert_eq!(sound(&io).log.end.physical, end);
        goes_on(&used, &io, &[], Some(end.0), end.0);
    }
}

#[test]
fn a_first_page_is_made_again_from_what_stands_around_it() {
    let used = used(seed());
    let mut dice = Dice(seed());
    for base in used.bases() {
        let io = used.copy();
        flip(&io, &segment_path(base), dice.roll(12), 3);
        assert!(refusal(&io).contains("first page"));
        let at = PhysicalOffset(base);
        let lost = [Range {
            from: at,
            to: Some(at),
        }];
        assert_eq!(wanted(&io), lost);
        repair(&io, &lost);
        goes_on(&used, &io, &lost, None, used.newest);
        assert!(planned(&io, &lost, false).unwrap().is_done);
    }
}

#[test]
fn a_segment_that_is_cut_or_gone_is_replaced_where_others_follow() {
    let used = used(seed());
    let bases = used.bases();
    for (n, base) in bases.iter().enumerate().take(bases.len() - 1) {
        let next = PhysicalOffset(bases[n + 1]);
        let io = used.copy();
        let path = segment_path(*base);
        let (_, middle) = place(&bases, base + 100_000);
        let file = io.open(&path).unwrap();
        file.set_len(middle).unwrap();
        file.sync_data().unwrap();
        drop(file);
        let wanted_ranges = wanted(&io);
        assert_eq!((wanted_ranges.len(), wanted_ranges[0].to), (1, Some(next)));
        refusal(&io);
        repair(&io, &wanted_ranges);
        goes_on(&used, &io, &wanted_ranges, None, used.newest);
        if n == 0 {
            continue;
        }
        let io = used.copy();
        io.remove(&path).unwrap();
        io.sync_dir(path.parent().unwrap()).unwrap();
        refusal(&io);
        let lost = [Range {
            from: PhysicalOffset(*base),
            to: Some(next),
        }];
        assert_eq!(wanted(&io), lost);
        repair(&io, &lost);
        goes_on(&used, &io, &lost, None, used.newest);
    }
    // The last one: nothing says how long it was.
    let io = used.copy();
    let last = *bases.last().unwrap();
    io.remove(&segment_path(last)).unwrap();
    io.sync_dir(&Path::new(DIR).join("log")).unwrap();
    goes_on_without_the_last(&used, &io, last);
}

#[test]
fn what_is_not_damaged_is_not_given_up() {
    let used = used(seed());
    let bases = used.bases();
    let refused = |io: &FaultyIo, ranges: &[Range], wider: bool| match planned(io, ranges, wider) {
        Err(RepairError::Refused { what, hint }) => format!("{what}; {hint}"),
        other => panic!("{other:?}"),
    };
    let n = used.frames.len() / 2;
    let range = |from: usize, to: usize| Range {
        from: used.frames[from].start(),
        to: Some(used.frames[to].end()),
    };
    let said = refused(&used.copy(), &[range(n, n)], false);
    assert!(said.starts_with("no frame of the log is damaged"), "{said}");
    let io = used.copy();
    let (path, at) = place(&bases, used.frames[n].start().0);
    flip(&io, &path, at + 4, 0);
    let before = look(&io).findings.damage;
    for (ranges, says) in [
        (vec![range(n - 1, n - 1)], "is damaged too"),
        (vec![range(n, n + 1)], "but more"),
        (vec![range(n, n), range(n + 2, n + 2)], "but more"),
        (vec![], "is damaged too"),
    ] {
        let said = refused(&io, &ranges, false);
        assert!(said.contains(says), "{said}");
        assert!(said.contains(&range(n, n).to_string()), "{said}");
    }
    let odd = Range {
        from: PhysicalOffset(used.frames[n].start().0 - 8),
        to: Some(used.frames[n].end()),
    };
    assert!(refused(&io, &[odd], true).contains("between frames"));
    assert_eq!(look(&io).findings.damage, before, "nothing was changed");
    // With leave whole frames go too.
    let wide = [range(n - 2, n + 3)];
    planned(&io, &wide, true).unwrap().run(&shared(&io)).unwrap();
    goes_on(&used, &io, &wide, None, used.newest);
}

#[test]
fn an_empty_range_is_taken_for_a_former_repair_only_where_a_segment_begins() {
    let used = used(seed());
    let bases = used.bases();
    let empty = |at: u64| Range {
        from: PhysicalOffset(at),
        to: Some(PhysicalOffset(at)),
    };
    let n = used.frames.len() / 2;
    let elsewhere = empty(used.frames[n + 2].start().0 + 5);
    for new_meta in [false, true] {
        let accepted = Accepted {
            ranges: &[elsewhere],
            new_meta,
            ..Accepted::default()
        };
        let said = plan(&shared(&used.copy()), Path::new(DIR), &accepted).unwrap_err();
        assert!(
            said.to_string().starts_with("no frame of the log is damaged"),
            "{said}"
        );
    }
    assert!(planned(&used.copy(), &[empty(bases[1])], false).unwrap().is_done);
    let io = used.copy();
    let (path, at) = place(&bases, used.frames[n].start().0);
    flip(&io, &path, at + 4, 0);
    let lost = wanted(&io)[0];
    let said = planned(&io, &[lost, elsewhere], false).unwrap_err().to_string();
    assert!(
        said.contains(&format!("{elsewhere} is not what is damaged")),
        "{said}"
    );
    planned(&io, &[lost, empty(bases[1])], false).unwrap();
}

#[test]
fn of_a_last_segment_without_page_and_frames_nobody_says_that_it_held_nothing() {
    let used = used(seed());
    let base = *used.bases().last().unwrap();
    for keeps_length in [false, true] {
        let io = used.copy();
        let file = io.open(&segment_path(base)).unwrap();
        let whole = file.len().unwrap();
        file.set_len(0).unwrap();
        if keeps_length {
            file.set_len(whole).unwrap();
        }
        goes_on_without_the_last(&used, &io, base);
    }
}
