//! A log that is damaged in so many places that a command line cannot name each: the command that is printed is accepted as it is, and gives
//! up what is damaged and nothing else.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod repairs;
mod workload;

use repairs::*;
use sluice_core::ids::PhysicalOffset;
use sluice_store::io::{Fault, FaultyIo, LogIo as _};
use sluice_store::log::Frame;
use sluice_store::repair::{Accepted, Part, Plan, Range, RepairError, plan, told_apart, way_on};
use std::collections::BTreeSet;
use std::path::Path;
use workload::Dice;

/// At most; some messages are left whole between them.
const PLACES: usize = 200;
const APPEND: u8 = 16;

/// Messages in frames of several commands that end by then, each by itself: where they stand.
fn messages(used: &Used, end: u64) -> Vec<Range> {
    let frames = used.frames.iter().skip(8).filter(|frame| frame.end().0 <= end);
    let batches = frames.filter(|frame| frame.commands().count() > 1);
    let commands = batches.flat_map(|frame| frame.commands().collect::<Vec<_>>());
    let messages = commands.filter(|(_, _, bytes)| bytes[8] == APPEND);
    let ranges = messages.map(|(_, from, bytes)| Range {
        from,
        to: Some(PhysicalOffset(from.0 + bytes.len() as u64)),
    });
    ranges.collect()
}

/// Damages so many of these.
fn damage(used: &Used, io: &FaultyIo, all: &[Range], dice: &mut Dice) -> Vec<Range> {
    let places = PLACES.min(all.len() * 4 / 5);
    assert!(places > 100, "there are {} messages in batches", all.len());
    let lost: Vec<Range> = (0..places).map(|n| all[n * all.len() / places]).collect();
    let bases = used.bases();
    for range in &lost {
        let (path, at) = place(&bases, range.from.0);
        // Its record's end, so that it is known to have been a message.
        let last = range.to.unwrap().0 - range.from.0 - 1;
        flip(io, &path, at + last, dice.roll(8) as u8);
    }
    lost
}

/// What the printed command would do.
fn pasted(io: &FaultyIo, command: &str) -> Result<Plan, RepairError> {
    pasted_with(io, command, &[])
}

/// What it would do with these besides, and with --wider if there are any.
fn pasted_with(io: &FaultyIo, command: &str, more: &[Range]) -> Result<Plan, RepairError> {
    assert!(command.len() < 4_095, "a terminal takes no more: {command}");
    let ranges_alone = command.replace(" --make-meta", "");
    let words = ranges_alone.split(" --accept-loss ").skip(1);
    let parts: Vec<Part> = words.map(|word| word.parse().unwrap()).collect();
    let (mut ranges, places) = told_apart(&parts);
    ranges.extend(more);
    let accepted = Accepted {
        ranges: &ranges,
        places: &places,
        wider: !more.is_empty(),
        new_meta: command.contains(" --make-meta"),
        ..Accepted::default()
    };
    plan(&shared(io), Path::new(DIR), &accepted)
}

fn printed(io: &FaultyIo) -> String {
    way_on(Path::new(DIR), &look(io).log).unwrap()
}

/// Pastes what is printed, and checks that all that was sound is there.
fn goes_on(used: &Used, io: &FaultyIo, lost: &[Range], kept_to: u64) {
    let command = printed(io);
    let plan = pasted(io, &command).unwrap();
    assert!(!plan.is_done);
    let given_up: Vec<Range> = plan.loss.places.iter().filter_map(|place| place.range).collect();
    assert_eq!(given_up, lost);
    plan.run(&shared(io)).unwrap();
    assert!(
        pasted(io, &command).unwrap().is_done,
        "it says that it was done before"
    );
    sound(io);
    let opened = start(io).unwrap();
    used.check(&opened.store, lost, None, kept_to);
    opened.store.close().unwrap();
}

#[test]
fn before_a_checkpoint_many_places_are_given_up_with_one_command_and_nothing_else() {
    let used = used(seed());
    let io = used.copy();
    let all = messages(&used, used.newest);
    let lost = damage(&used, &io, &all, &mut Dice(seed()));
    assert_eq!(wanted(&io), lost);
    goes_on(&used, &io, &lost, used.newest);
}

#[test]
fn a_refused_start_prints_the_command_for_many_places_too() {
    let used = used(seed() + 1);
    let io = used.copy();
    // What is damaged of the last frame may be a torn write.
    let all = messages(&used, used.frames.last().unwrap().start().0);
    let lost = damage(&used, &io, &all, &mut Dice(seed()));
    let said = refusal(&io);
    assert!(
        said.contains(&format!("and {} places more", lost.len() - 3)),
        "{said}"
    );
    assert!(said.ends_with(&printed(&io)), "{said}");
    goes_on(&used, &io, &lost, used.newest);
}

#[test]
fn with_both_files_of_meta_gone_too_one_command_makes_them_and_gives_up_the_places() {
    let used = used(seed() + 9);
    let io = used.copy();
    let lost = damage(&used, &io, &messages(&used, used.newest), &mut Dice(seed()));
    for name in ["meta.a", "meta.b"] {
        io.remove(&Path::new(DIR).join(name)).unwrap();
    }
    assert!(printed(&io).contains(" --make-meta"), "{}", printed(&io));
    goes_on(&used, &io, &lost, used.newest);
}

#[test]
fn a_place_that_was_damaged_after_the_look_is_not_given_up_unseen() {
    let used = used(seed() + 2);
    let io = used.copy();
    let all = messages(&used, used.newest);
    let lost = damage(&used, &io, &all, &mut Dice(seed()));
    let command = printed(&io);
    let inside = all
        .iter()
        .find(|range| range.from > lost[0].from && !lost.contains(range));
    let (path, at) = place(&used.bases(), inside.unwrap().from.0);
    flip(&io, &path, at + 12, 3);
    let refused = pasted(&io, &command).unwrap_err().to_string();
    assert!(
        refused.contains(&format!("there are {} places with ", lost.len() + 1)),
        "{refused}"
    );
    assert!(refused.ends_with(&printed(&io)), "{refused}");
    assert!(pasted(&io, &printed(&io)).is_ok());
}

/// Frames before the newest checkpoint that have three commands or more, and messages among them.
fn long_frames(used: &Used) -> Vec<&Frame> {
    let frames = used.frames.iter().skip(8);
    let frames = frames.filter(|frame| frame.end().0 <= used.newest);
    frames.filter(|frame| frame.commands().count() > 2).collect()
}

/// Damages a frame's header, so that nothing of it can be found.
fn damage_header(used: &Used, io: &FaultyIo, frame: &Frame) {
    let (path, at) = place(&used.bases(), frame.start().0);
    flip(io, &path, at + 9, 2);
}

fn whole(frame: &Frame) -> Range {
    Range {
        from: frame.start(),
        to: Some(frame.end()),
    }
}

/// That the command of before is refused now, and gives nothing up; that what it prints instead is accepted, and done once.
fn is_refused_for_more_bytes(used: &Used, io: &FaultyIo, before: &str) {
    let refused = pasted(io, before).unwrap_err().to_string();
    let bytes: u64 = wanted(io)
        .iter()
        .map(|range| range.to.unwrap().0 - range.from.0)
        .sum();
    assert!(refused.contains(&format!(" with {bytes} bytes")), "{refused}");
    assert!(refused.ends_with(&printed(io)), "{refused}");
    goes_on(used, io, &wanted(io), used.newest);
}

#[test]
fn what_was_sound_between_two_places_that_have_become_one_is_not_given_up_unseen() {
    let used = used(seed() + 5);
    let io = used.copy();
    let all = messages(&used, used.newest);
    damage(&used, &io, &all, &mut Dice(seed()));
    // Three frames one behind another in one segment, with damaged places before and behind them.
    let middle = used
        .frames
        .iter()
        .skip(8)
        .position(|frame| frame.start() > wanted(&io)[20].from);
    let three = used.frames[middle.unwrap() + 8..].windows(3).find(|three| {
        let stands = |frame: &Frame| place(&used.bases(), frame.start().0).0;
        stands(&three[0]) == stands(&three[2])
    });
    let [first, between, last] = three.unwrap() else {
        panic!("these are three");
    };
    damage_header(&used, &io, first);
    damage_header(&used, &io, last);
    let before = printed(&io);
    assert!(pasted(&io, &before).is_ok());
    damage_header(&used, &io, between);
    let merged = Range {
        from: first.start(),
        to: Some(last.end()),
    };
    assert!(wanted(&io).contains(&merged), "they are one now");
    is_refused_for_more_bytes(&used, &io, &before);
}

#[test]
fn what_was_sound_in_a_frame_with_a_damaged_command_is_not_given_up_unseen() {
    let used = used(seed() + 6);
    let io = used.copy();
    let lost = damage(&used, &io, &messages(&used, used.newest), &mut Dice(seed()));
    let before = printed(&io);
    let inner = &lost[1..lost.len() - 1];
    let has_one = |frame: &&&Frame| {
        let within = |range: &&Range| range.from > frame.start() && range.to < Some(frame.end());
        frame.start() > lost[0].from && inner.iter().filter(within).count() == 1
    };
    let frames = long_frames(&used);
    let frame = frames.iter().find(has_one).unwrap();
    damage_header(&used, &io, frame);
    assert!(wanted(&io).contains(&whole(frame)), "all of it is one place now");
    assert_eq!(wanted(&io).len(), lost.len());
    is_refused_for_more_bytes(&used, &io, &before);
}

#[test]
fn a_wider_range_over_some_of_the_places_leaves_the_others_to_be_named_together() {
    let used = used(seed() + 7);
    let io = used.copy();
    let lost = damage(&used, &io, &messages(&used, used.newest), &mut Dice(seed()));
    let command = printed(&io);
    let frames = long_frames(&used);
    let holds = |frame: &&&Frame| {
        let at_start = frame.commands().next().unwrap().1;
        lost[1..]
            .iter()
            .any(|range| range.from != at_start && (frame.start()..frame.end()).contains(&range.from))
    };
    let wide = whole(frames.iter().find(holds).unwrap());
    let plan = pasted_with(&io, &command, &[wide]).unwrap();
    let given_up: Vec<Range> = plan.loss.places.iter().filter_map(|place| place.range).collect();
    assert!(given_up.contains(&wide), "{given_up:?}");
    let outside = |range: &&Range| range.to <= Some(wide.from) || Some(range.from) >= wide.to;
    assert!(lost.iter().filter(outside).all(|range| given_up.contains(range)));
}

#[test]
fn places_between_which_nothing_is_damaged_are_refused() {
    let used = used(seed() + 8);
    let io = used.copy();
    let lost = damage(&used, &io, &messages(&used, used.newest), &mut Dice(seed()));
    let command = printed(&io);
    let other = format!("{command} --accept-loss {}..{}/3:99", used.newest + 8, used.end());
    let refused = pasted(&io, &other).unwrap_err().to_string();
    assert!(refused.contains("/3:99 is not what is damaged"), "{refused}");
    assert!(refused.ends_with(&command), "{refused}");
    pasted(&io, &command).unwrap().run(&shared(&io)).unwrap();
    // It was done before, but not these places alone, and not so few.
    let (from, to) = (lost[0].from, lost[lost.len() - 1].to.unwrap());
    for odd in [
        format!("{}..{to}/9999:9", from.0 - 8),
        format!("{from}..{to}/3:9"),
    ] {
        let refused = pasted(&io, &format!(" --accept-loss {odd}"))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("no frame of the log is damaged"), "{refused}");
    }
    assert!(pasted(&io, &command).unwrap().is_done);
}

#[test]
fn an_end_behind_many_places_says_how_much_that_is_sound_it_takes() {
    let used = used(seed() + 3);
    let io = used.copy();
    let lost = damage(&used, &io, &messages(&used, used.newest), &mut Dice(seed()));
    let behind: Vec<_> = used
        .frames
        .iter()
        .filter(|frame| frame.start().0 > used.newest)
        .collect();
    let (from, frames, bytes) = (
        behind[1].start(),
        behind.len() - 1,
        used.end() - behind[1].start().0,
    );
    let end = Range { from, to: None };
    let plan = pasted_with(&io, &printed(&io), &[end]).unwrap();
    let told = &plan.loss.places.last().unwrap().what;
    assert!(
        told.contains(&format!("with {frames} whole frames ({bytes} bytes, ")),
        "{told}"
    );
    plan.run(&shared(&io)).unwrap();
    sound(&io);
    let opened = start(&io).unwrap();
    used.check(&opened.store, &lost, Some(from.0), used.newest);
    opened.store.close().unwrap();
}

#[test]
fn a_repair_of_many_places_that_was_stopped_is_done_by_the_same_command() {
    let used = used(seed() + 4);
    let whole = used.copy();
    let lost = damage(&used, &whole, &messages(&used, used.newest), &mut Dice(seed()));
    let command = printed(&whole);
    let mut lefts = BTreeSet::new();
    for at in 0.. {
        let io = whole.crash_keeping_all();
        let plan = pasted(&io, &command).unwrap();
        io.plant(Fault::Stop { at });
        let is_done = plan.run(&shared(&io)).is_ok();
        let io = io.crash_keeping_all();
        // Segments are replaced one after another: between two nothing new is left to try.
        if !lefts.insert(wanted(&io).len()) && !is_done {
            continue;
        }
        let plan = pasted(&io, &command).unwrap();
        if !plan.is_done {
            plan.run(&shared(&io)).unwrap();
        }
        sound(&io);
        let opened = start(&io).unwrap();
        used.check(&opened.store, &lost, None, used.newest);
        opened.store.close().unwrap();
        if is_done {
            break;
        }
    }
    let partly = lefts.iter().filter(|left| (1..lost.len()).contains(*left));
    assert!(
        partly.count() > 0,
        "it was stopped between two segments: {lefts:?}"
    );
}
