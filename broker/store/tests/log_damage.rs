//! Damaged files: whole frames are found, damage below the durable slot is refused, and nothing damaged is ever served.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod crashes;
mod log_bench;

use crashes::or_long;
use log_bench::{Bench, Random, SEGMENT, message};
use sluice_core::ids::{LogIndex, PhysicalOffset};
use sluice_store::io::{Fault, FaultyIo, LogIo, read_exact_at, write_all_at};
use sluice_store::log::{Frame, LogError, ReadError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

fn dir() -> &'static Path {
    Path::new("/data/broker-a")
}

fn open(io: &FaultyIo) -> Result<Bench, LogError> {
    Bench::open(Arc::new(io.clone()), dir())
}

/// One segment of many small frames, as it is on the disk; what was acknowledged by then, and the durable slot that a start
/// would find.
fn torn_base(catch_up: bool, groups: u32) -> (FaultyIo, Vec<Frame>, PhysicalOffset) {
    let io = FaultyIo::new(11);
    let mut bench = open(&io).unwrap();
    for n in 0..groups {
        bench.propose(vec![message(n, 40 + n as usize % 60 * 7)]);
        bench.run();
    }
    // The last group, which the slot does not cover yet.
    bench.propose((0..10).map(|m| message(groups + m, 200)).collect());
    bench.run();
    if catch_up {
        bench.now += Duration::from_millis(60);
        bench.run();
    }
    let frames = bench.all();
    drop(bench);
    let io = io.crash_losing_all();
    let durable = Bench::begin(Arc::new(io.clone()), dir()).unwrap().durable();
    (io, frames, durable)
}

fn segment_path() -> PathBuf {
    dir().join("log").join(format!("{:020}.seg", 0))
}

/// Groups of a base of a little more than 8 KiB.
const GROUPS: u32 = 60;

fn cut_at_every_byte(cut: impl Fn(&FaultyIo, u64), leaves_zeros: bool) {
    let (groups, bytes) = or_long((GROUPS, 8 << 10), (220, 64 << 10));
    for catch_up in [false, true] {
        let (base, frames, durable) = torn_base(catch_up, groups);
        let end = frames.last().unwrap().end();
        assert!(end.0 > bytes && end.0 < SEGMENT, "{end}");
        assert_eq!(catch_up, durable == end);
        let (mut recovered, mut refused) = (0_u64, 0_u64);
        for keep in end.0 - bytes..end.0 {
            let io = base.crash_losing_all();
            cut(&io, 4096 + keep);
            // A frame that ends in zeros does not notice when zeros take their place.
            let is_whole = |frame: &&Frame| {
                let kept = (keep.saturating_sub(frame.start().0) as usize).min(frame.bytes().len());
                let rest = &frame.bytes()[kept..];
                rest.is_empty() || (leaves_zeros && kept > 0 && rest.iter().all(|byte| *byte == 0))
            };
            let whole: Vec<Frame> = frames.iter().take_while(is_whole).cloned().collect();
            let kept_to = whole.last().unwrap().end();
            match open(&io) {
                Ok(bench) => {
                    assert!(
                        kept_to >= durable,
                        "cut at {keep}: acknowledged frames are gone in silence"
                    );
                    assert!(bench.replayed == whole, "cut at {keep}: not the whole frames");
                    recovered += 1;
                }
                Err(LogError::Corruption { file, offset, .. }) => {
                    // Where the file ends, or else where the first frame stands that is not whole.
                    let end = if leaves_zeros { kept_to.0 } else { keep };
                    assert!(end < durable.0, "cut at {keep}: {end} is not below {durable}");
                    assert_eq!((file, offset), (segment_path(), 4096 + end));
                    refused += 1;
                }
                Err(other) => panic!("cut at {keep}: {other}"),
            }
        }
        assert!(
            refused > 0 && (recovered > 0 || catch_up),
            "{recovered} recovered, {refused} refused"
        );
        println!("{recovered} recovered, {refused} refused");
        assert_eq!(recovered + refused, bytes);
    }
}

#[test]
fn a_file_cut_at_any_byte_of_its_end_gives_the_whole_frames_or_is_refused_below_the_slot() {
    cut_at_every_byte(
        |io, len| {
            let file = io.open(&segment_path()).unwrap();
            file.set_len(len).unwrap();
            file.sync_data().unwrap();
        },
        false,
    );
}

#[test]
fn a_file_of_zeros_from_any_byte_of_its_end_gives_the_whole_frames_or_is_refused_below_the_slot() {
    cut_at_every_byte(
        |io, from| {
            let file = io.open(&segment_path()).unwrap();
            let len = file.len().unwrap();
            write_all_at(file.as_ref(), &vec![0; (len - from) as usize], from).unwrap();
            file.sync_data().unwrap();
        },
        true,
    );
}

#[test]
fn a_flipped_bit_is_never_served_and_never_cut_off_below_the_slot() {
    let (base, frames, durable) = torn_base(true, GROUPS);
    let mut random = Random(5);
    let end = frames.last().unwrap().end();
    assert_eq!(durable, end);
    let mut mended = 0;
    for _ in 0..3000 {
        let io = base.crash_losing_all();
        let at = 4096 + random.below(end.0);
        let file = io.open(&segment_path()).unwrap();
        let mut byte = [0];
        read_exact_at(file.as_ref(), &mut byte, at).unwrap();
        byte[0] ^= 1 << random.below(8);
        write_all_at(file.as_ref(), &byte, at).unwrap();
        file.sync_data().unwrap();
        match open(&io) {
            Err(LogError::Corruption { .. }) => {}
            Err(other) => panic!("byte {at}: {other}"),
            // Padding is covered by no checksum, and nothing depends on it; a command's header follows from its frame.
            Ok(bench) => {
                assert_eq!(bytes(&bench.replayed), bytes(&frames), "byte {at}");
                mended += bench.replayed.iter().filter_map(Frame::mended).count();
                // What was replayed is read as well.
                for (_, place, command) in frames.iter().flat_map(Frame::commands) {
                    let read = bench.parts.log.reader().read_command(place, command.len() as u32);
                    assert_eq!(read.unwrap(), command, "byte {at}");
                }
            }
        }
    }
    assert!(mended > 20, "{mended} headers of commands were damaged");
}

fn bytes(frames: &[Frame]) -> Vec<&[u8]> {
    frames.iter().map(|frame| &frame.bytes()[..]).collect()
}

/// A log of five hundred frames, the first of which memory has no more; so many messages are sent together.
fn filled(io: &FaultyIo, together: u32, bytes: usize) -> (Bench, Vec<Frame>) {
    let mut bench = open(io).unwrap();
    for n in 0..500 {
        bench.propose((0..together).map(|m| message(n * together + m, bytes)).collect());
        bench.run();
    }
    let old = bench.committed();
    (bench, old)
}

#[test]
fn a_command_whose_header_rots_after_the_start_is_read_as_it_was() {
    let io = FaultyIo::new(2);
    let (bench, old) = filled(&io, 3, 600);
    let reader = bench.parts.log.reader();
    let file = io.open(&segment_path()).unwrap();
    let of_three: Vec<_> = old.iter().filter(|frame| frame.commands().count() == 3).collect();
    for (n, frame) in of_three[..60].iter().enumerate() {
        let (_, at, command) = frame.commands().nth(n % 3).unwrap();
        assert!(!reader.is_hot(at));
        let rot = [[0; 8], [0xff; 8], [7, 3, 0, 0, 1, 2, 3, 4]][n / 3 % 3];
        write_all_at(file.as_ref(), &rot, 4096 + at.0).unwrap();
        assert_eq!(
            reader.read_command(at, command.len() as u32).unwrap(),
            command,
            "{at}"
        );
        assert_eq!(reader.read_command_at(at).unwrap(), command, "{at}");
        let frames = reader
            .read_frames(frame.index(), LogIndex(frame.index().0 + 1), 1)
            .unwrap();
        assert_eq!(frames[0].bytes(), frame.bytes());
    }
    // Of a frame of which more is damaged nobody can tell; those behind it are read all the same.
    for (n, frame) in of_three[..60].iter().enumerate().step_by(7) {
        let place = |nth: usize| frame.commands().nth(nth % 3).unwrap().1;
        let (at, other) = (place(n), place(n + 1));
        write_all_at(file.as_ref(), &[0; 8], 4096 + other.0).unwrap();
        assert!(reader.read_command_at(at).is_err() && reader.read_command_at(other).is_err());
        let (behind, next) = (n + 1, of_three[n + 1]);
        let (_, at, command) = next.commands().nth(behind % 3).unwrap();
        assert_eq!(reader.read_command_at(at).unwrap(), command, "{at}");
    }
}

#[test]
fn a_record_that_rots_after_the_start_is_refused_by_every_read() {
    let io = FaultyIo::new(2);
    let (bench, old) = filled(&io, 1, 1000);
    let reader = bench.parts.log.reader();
    let (_, at, command) = old[2].commands().next().unwrap();
    assert!(!reader.is_hot(at));
    let path = segment_path();
    let file = io.open(&path).unwrap();
    let place = 4096 + at.0 + 100;
    write_all_at(file.as_ref(), &[0xee], place).unwrap();
    let error = reader.read_command(at, command.len() as u32).unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    for length in [command.len() as u32, 0, 1, u32::MAX] {
        write_all_at(file.as_ref(), &length.to_le_bytes(), 4096 + at.0).unwrap();
        let damaged = matches!(reader.read_command_at(at), Err(ReadError::Damaged { .. }));
        assert!(damaged, "a length of {length}");
    }
    for beyond in [0, 100, u64::MAX - reader.positions().durable().0] {
        let beyond = PhysicalOffset(reader.positions().durable().0 + beyond);
        assert!(reader.read_command_at(beyond).is_err(), "{beyond}");
    }
    let (_, next, command) = old[3].commands().next().unwrap();
    assert_eq!(
        reader.read_command(next, command.len() as u32).unwrap(),
        command,
        "the next one is whole"
    );
}

#[test]
fn a_read_error_while_opening_refuses_and_changes_nothing() {
    let (base, frames, _) = torn_base(true, GROUPS);
    let io = base.crash_losing_all();
    let at = 4096 + frames[5].start().0;
    io.plant(Fault::ReadError {
        path: segment_path(),
        range: at..at + 1,
    });
    assert!(matches!(open(&io), Err(LogError::Io { .. })));
    assert_eq!(open(&io.crash_losing_all()).unwrap().replayed, frames);
}

#[test]
fn a_damaged_header_never_costs_frames() {
    let (base, _, _) = torn_base(true, GROUPS);
    for at in (0..60).chain(512..532).chain(1024..1044) {
        let io = base.crash_losing_all();
        let file = io.open(&segment_path()).unwrap();
        let mut byte = [0];
        read_exact_at(file.as_ref(), &mut byte, at).unwrap();
        write_all_at(file.as_ref(), &[byte[0] ^ 8], at).unwrap();
        file.sync_data().unwrap();
        let before = file.len().unwrap();
        match open(&io) {
            Ok(_) => assert!(at >= 512 || (12..16).contains(&at), "byte {at}"),
            Err(LogError::Corruption { .. } | LogError::Mismatch { .. }) => {
                assert_eq!(file.len().unwrap(), before);
                assert_eq!(
                    io.open(&segment_path()).unwrap().len().unwrap(),
                    before,
                    "byte {at}"
                );
            }
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
}

#[test]
fn what_is_cut_off_is_saved_and_no_more_than_four_cuts_are_kept() {
    let io = FaultyIo::new(9);
    for start in 0..8_u64 {
        let mut bench = open(&io).unwrap();
        bench.propose(vec![message(1, 500)]);
        bench.run();
        let tail = bench.parts.writer.tail().physical;
        drop(bench);
        let file = io.open(&segment_path()).unwrap();
        write_all_at(
            file.as_ref(),
            b"half a frame that a crash has left",
            4096 + tail.0,
        )
        .unwrap();
        let bench = open(&io).unwrap();
        let cut = bench.cut.clone().unwrap();
        assert_eq!((cut.at, cut.bytes), (tail, 34), "start {start}");
        let saved = io.open_read(&cut.saved.unwrap()).unwrap();
        let mut bytes = vec![0; 34];
        read_exact_at(saved.as_ref(), &mut bytes, 0).unwrap();
        assert_eq!(bytes, b"half a frame that a crash has left");
    }
    let names = io.list(&dir().join("log")).unwrap();
    assert_eq!(
        names
            .iter()
            .filter(|name| name.to_string_lossy().contains("cut-"))
            .count(),
        4
    );
}
