use super::*;
use sluice_core::command::encode_level;

const UUID: ShardUuid = ShardUuid(*b"0123456789abcdef");
const MAX: usize = 1 << 20;

fn sample() -> (Vec<u8>, FrameHeader) {
    let mut out = Vec::new();
    let mut builder = FrameBuilder::begin(
        &mut out,
        UUID.into(),
        PhysicalOffset(4096),
        Term(3),
        LogIndex(9),
        FrameKind::Commands,
    );
    for level in [1, 300, 70_000] {
        builder.push(encode_level(1_700_000_000_000, level).as_bytes());
    }
    let header = builder.finish();
    (out, header)
}

fn check(bytes: &[u8]) -> Result<Frame, FrameError> {
    Frame::check(&Bytes::copy_from_slice(bytes), UUID.into(), MAX)
}

#[test]
fn a_frame_comes_back_with_its_commands_and_their_places() {
    let (bytes, header) = sample();
    assert_eq!(bytes.len() % 8, 0);
    let frame = check(&bytes).unwrap();
    assert_eq!(*frame.header(), header);
    assert_eq!(frame.end(), PhysicalOffset(4096 + bytes.len() as u64));
    frame.check_commands().unwrap();
    let mut at = 4096 + FRAME_HEADER_BYTES as u64;
    let mut seen = 0;
    for (place, offset, command) in frame.commands() {
        assert_eq!((place, offset.0), (seen, at));
        command::check(&command).unwrap();
        at += command.len() as u64;
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
fn several_frames_stand_one_after_another_in_one_buffer() {
    let mut out = Vec::new();
    let mut ends = Vec::new();
    for index in 0..3 {
        let at = PhysicalOffset(out.len() as u64);
        FrameBuilder::begin(
            &mut out,
            UUID.into(),
            at,
            Term(1),
            LogIndex(index),
            FrameKind::Blank,
        )
        .finish();
        ends.push(out.len());
    }
    let bytes = Bytes::from(out);
    let second = Frame::check(&bytes.slice(ends[0]..), UUID.into(), MAX).unwrap();
    assert_eq!((second.index(), second.end().0 as usize), (LogIndex(1), ends[1]));
}

#[test]
fn a_frame_cut_off_anywhere_is_refused() {
    let (bytes, header) = sample();
    for cut in 0..header.len as usize {
        assert!(check(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    assert!(
        check(&bytes[..header.len as usize]).is_ok(),
        "padding is not part of the frame"
    );
}

#[test]
fn every_flipped_bit_is_caught_by_the_frame_or_by_the_command() {
    let (bytes, header) = sample();
    let (mut by_frame, mut by_command) = (0, 0);
    for bit in 0..header.len as usize * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match check(&flipped) {
            Err(_) => by_frame += 1,
            Ok(frame) => {
                assert!(
                    bit / 8 >= FRAME_HEADER_BYTES + COMMAND_HEADER_BYTES,
                    "bit {bit} of the header passed"
                );
                frame.check_commands().expect_err("a flip in a body");
                by_command += 1;
            }
        }
    }
    assert!(by_frame >= (FRAME_HEADER_BYTES + 3 * COMMAND_HEADER_BYTES) * 8);
    assert!(by_command > 0);
}

#[test]
fn a_frame_of_another_shard_is_refused() {
    let (bytes, _) = sample();
    let other = Frame::check(&Bytes::from(bytes), ShardUuid(*b"0123456789abcdeF").into(), MAX);
    assert!(matches!(other, Err(FrameError::Checksum { .. })));
}

#[test]
fn zeros_are_no_frame_and_a_forged_length_allocates_nothing() {
    assert_eq!(check(&[0; 64]), Err(FrameError::Empty));
    let (mut bytes, _) = sample();
    bytes[0..4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(check(&bytes), Err(FrameError::Length(u32::MAX)));
}

#[test]
fn a_frame_behind_whose_place_is_no_room_is_refused() {
    for (place, fits) in [(u64::MAX - 64, true), (u64::MAX - 39, false), (u64::MAX, false)] {
        let mut bytes = Vec::new();
        let kind = FrameKind::Blank;
        FrameBuilder::begin(
            &mut bytes,
            UUID.into(),
            PhysicalOffset(place),
            Term(3),
            LogIndex(9),
            kind,
        )
        .finish();
        let checked = check(&bytes);
        assert_eq!(checked.is_ok(), fits, "{place}: {checked:?}");
        if let Ok(frame) = checked {
            assert_eq!(frame.end().0, place + 40);
        }
    }
}
