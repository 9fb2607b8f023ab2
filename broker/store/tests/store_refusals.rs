//! What a start says that damage to the log refuses: the file and the place in it, which frames cannot be read, and how many messages
//! they held.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod repairs;
mod workload;

use repairs::*;
use sluice_core::command::{Command, EncodedCommand, NewMessage};
use sluice_core::ids::TopicId;
use sluice_core::record::NewRecord;
use sluice_store::io::{FaultyIo, LogIo};
use sluice_store::log::Frame;
use std::collections::BTreeMap;
use std::path::Path;
use workload::{Dice, Driver, open};

/// Frames that are damaged together, at most.
const TOGETHER_MAX: u64 = 4;
const TRIES: u64 = 60;
const TRIES_MAX: u64 = 1_000;
/// Numbers of messages that are told in words of their own.
const FEW: [usize; 2] = [0, 1];
/// Damages before which the same number of messages stands.
const OF_A_COUNT_MAX: u32 = 6;

/// What a killed broker has left, without checkpoints: each of its frames is one that a start reads.
struct Killed {
    io: FaultyIo,
    frames: Vec<Frame>,
    bases: Vec<u64>,
}

fn message() -> EncodedCommand {
    let host = "127.0.0.1:1".parse().unwrap();
    let record = NewRecord {
        topic: "topic-0",
        queue: 0,
        body: b"body",
        properties: b"",
        born_ms: 2_000,
        born_host: host,
        store_ms: 2_000,
        store_host: host,
    };
    let message = NewMessage {
        topic: TopicId(0),
        tag: None,
        message_group: None,
        record,
    };
    message.encode()
}

fn killed(seed: u64) -> Killed {
    let io = FaultyIo::new(seed);
    let opened = open(shared(&io), Path::new(DIR), u64::MAX).unwrap();
    let mut driver = Driver::new(opened, seed).without_administrators();
    driver.make().unwrap();
    for round in 0..60 {
        driver.round(4000).unwrap();
        // Of several messages a frame.
        driver.ask((0..round % 12).map(|_| message()).collect()).unwrap();
    }
    let killed = io.crash_keeping_all();
    driver.opened.store.close().unwrap();
    let checkpoints = Path::new(DIR).join("checkpoint");
    for name in killed.list(&checkpoints).unwrap() {
        killed.remove(&checkpoints.join(name)).unwrap();
    }
    killed.sync_dir(&checkpoints).unwrap();
    let segments = look(&killed).log.segments;
    let bases: Vec<u64> = segments.iter().map(|segment| segment.base.0).collect();
    assert!(bases.len() > 1, "{bases:?}");
    Killed {
        frames: frames(&killed.crash_keeping_all()),
        io: killed,
        bases,
    }
}

/// Where in the log its messages stand, and how long each is.
fn messages(frame: &Frame) -> Vec<(u64, u64)> {
    let is_message = |bytes: &[u8]| {
        matches!(
            Command::decode(bytes),
            Ok((_, Command::Append(_) | Command::Carry(_)))
        )
    };
    let messages = frame.commands().filter(|(_, _, bytes)| is_message(bytes));
    messages
        .map(|(_, from, bytes)| (from.0, bytes.len() as u64))
        .collect()
}

impl Killed {
    /// Some frames one behind another of one segment, but not the log's last, which a start takes for torn, nor one without commands: such
    /// a header without commands could be that of a frame whose first one is damaged, and nobody knows what that held.
    fn some(&self, dice: &mut Dice) -> &[Frame] {
        loop {
            let first = dice.roll(self.frames.len() as u64 - 1) as usize;
            let count = 1 + dice.roll(TOGETHER_MAX) as usize;
            let Some(some) = self.frames[..self.frames.len() - 1].get(first..first + count) else {
                continue;
            };
            let files = some.iter().map(|frame| place(&self.bases, frame.start().0).0);
            let files: Vec<_> = files.collect();
            let have_commands = some.iter().all(|frame| frame.header().count > 0);
            if have_commands && files.iter().all(|file| *file == files[0]) {
                return some;
            }
        }
    }

    /// The same files with the headers of these frames damaged.
    fn without_headers_of(&self, some: &[Frame], dice: &mut Dice) -> FaultyIo {
        let io = self.io.crash_keeping_all();
        for frame in some {
            let (file, at) = place(&self.bases, frame.start().0);
            flip(&io, &file, at + dice.roll(40), dice.roll(8) as u8);
        }
        io
    }

    /// Panics if the start does not say where it was refused, and of these frames what they `held`.
    fn is_told(&self, io: &FaultyIo, some: &[Frame], held: &str) {
        let (file, at) = place(&self.bases, some[0].start().0);
        let said = refusal(io);
        let place = format!("{} is damaged at file offset {at}: ", file.display());
        assert!(said.starts_with(&place), "not at {place}: {said}");
        let (first, last) = (&some[0], &some[some.len() - 1]);
        let (first_index, last_index) = (first.header().index, last.header().index);
        let (frames, they) = match some.len() {
            1 => (format!("one frame (index {first_index})"), "it"),
            many => (
                format!("{many} frames (index {first_index} to {last_index})"),
                "they",
            ),
        };
        let extent = format!(
            " {frames} from offset {} to {} cannot be read: {they} held {held}. Nothing was changed: ",
            first.start(),
            last.end()
        );
        assert!(said.contains(&extent), "not '{extent}': {said}");
    }
}

#[test]
fn a_refused_start_names_file_and_place_and_counts_the_messages_of_frames_that_cannot_be_read() {
    let seed = seed();
    let (killed, mut dice) = (killed(seed), Dice(seed));
    let mut counts: BTreeMap<usize, u32> = BTreeMap::new();
    let has_all = |counts: &BTreeMap<usize, u32>| FEW.iter().all(|held| counts.contains_key(held));
    let mut tries = 0;
    // How many messages stand in a frame hangs on who was faster when it was written.
    while tries < TRIES || tries < TRIES_MAX && !has_all(&counts) {
        tries += 1;
        let some = killed.some(&mut dice);
        let io = killed.without_headers_of(some, &mut dice);
        let held = some.iter().map(|frame| messages(frame).len()).sum();
        let words = match held {
            0 => "no messages".to_owned(),
            1 => "one message".to_owned(),
            held => format!("{held} messages"),
        };
        killed.is_told(&io, some, &words);
        *counts.entry(held).or_default() += 1;
    }
    println!("messages that were held, and how often: {counts:?}");
    assert!(has_all(&counts), "not each of {FEW:?}: {counts:?}");
    assert!(counts.keys().any(|held| *held > 10), "never many: {counts:?}");
}

#[test]
fn where_a_message_within_is_damaged_too_a_refused_start_tells_no_more_than_it_can_count() {
    let seed = seed();
    let (killed, mut dice) = (killed(seed), Dice(seed + 1));
    let mut counts: BTreeMap<usize, u32> = BTreeMap::new();
    for frame in &killed.frames[..killed.frames.len() - 1] {
        let messages = messages(frame);
        if messages.is_empty() {
            continue;
        }
        let nth = dice.roll(messages.len() as u64) as usize;
        let count = counts.entry(nth).or_default();
        if *count == OF_A_COUNT_MAX {
            continue;
        }
        *count += 1;
        let (from, len) = messages[nth];
        let some = std::slice::from_ref(frame);
        let io = killed.without_headers_of(some, &mut dice);
        let (file, at) = place(&killed.bases, from);
        flip(&io, &file, at + len - 1, 2);
        match nth {
            0 => {
                let said = refusal(&io);
                let words = ": nobody knows how many messages it held. Nothing was changed";
                assert!(said.contains(words), "{said}");
            }
            1 => killed.is_told(&io, some, "one message at least"),
            held => killed.is_told(&io, some, &format!("{held} messages at least")),
        }
    }
    println!("messages before the damaged one, and how often: {counts:?}");
    assert!(counts.len() > 5, "{counts:?}");
}

#[test]
fn a_refused_start_tells_of_one_damaged_command_where_it_stands_and_that_it_was_a_message_at_most() {
    let seed = seed();
    let (killed, mut dice) = (killed(seed), Dice(seed + 2));
    for _ in 0..TRIES / 4 {
        let frame = &killed.some(&mut dice)[0];
        let commands: Vec<_> = frame.commands().collect();
        let Some((_, from, bytes)) = commands.get(dice.roll(commands.len().max(1) as u64) as usize) else {
            continue;
        };
        let io = killed.io.crash_keeping_all();
        let (file, at) = place(&killed.bases, from.0);
        flip(&io, &file, at + bytes.len() as u64 - 1, 2);
        let said = refusal(&io);
        let (_, frame_at) = place(&killed.bases, frame.start().0);
        let place = format!("{} is damaged at file offset {frame_at}: ", file.display());
        assert!(said.starts_with(&place), "not at {place}: {said}");
        let extent = format!(
            " one command of the frame with index {} is lost, from offset {from} to {}: ",
            frame.header().index,
            from.0 + bytes.len() as u64
        );
        assert!(said.contains(&extent), "not '{extent}': {said}");
        let is_message = matches!(Command::decode(bytes), Ok((_, Command::Append(_))));
        assert!(
            !is_message || said.contains(&format!("{extent}one message at most")),
            "{said}"
        );
    }
}

#[test]
fn of_a_segment_that_was_renamed_the_refusal_says_what_name_it_had_and_with_that_it_starts() {
    let killed = killed(seed());
    let io = killed.io.crash_keeping_all();
    let path = look(&io).log.segments[1].file.clone();
    let other = path.with_file_name(format!("{:020}.seg", killed.bases[1] + 1));
    io.rename(&path, &other).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let hint = format!("if somebody has renamed it, its name was {name}");
    let refused = open(shared(&io), Path::new(DIR), u64::MAX).err().unwrap();
    assert!(refused.to_string().contains(&hint), "{refused}");
    let found = look(&io).findings.damage;
    assert!(
        found.iter().any(|damage| damage.what.contains(&hint)),
        "{found:?}"
    );

    // A copy of one that stands there too was not renamed.
    let copied = killed.io.crash_keeping_all();
    copied.rename(&path, &other).unwrap();
    copied.create(&path).unwrap();
    let refused = open(shared(&copied), Path::new(DIR), u64::MAX).err().unwrap();
    assert!(!refused.to_string().contains("renamed"), "{refused}");

    io.rename(&other, &path).unwrap();
    let opened = open(shared(&io), Path::new(DIR), u64::MAX).unwrap();
    opened.store.close().unwrap();
}
