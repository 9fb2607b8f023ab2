//! Frames of the log. A frame that is whole comes back byte for byte; a damaged one is never taken for another.

use crate::fuzz::bounds::{BITS_ALWAYS_SEEN, Luck, bits_apart, bounded, measured, worded};
use crate::fuzz::case::Case;
use crate::fuzz::run::{Checked, Verdict};
use crate::fuzz::{damage, draw};
use anyhow::{Context as _, bail, ensure};
use bolero::{Driver, ValueGenerator};
use bytes::Bytes;
use sluice_core::command::{
    COMMAND_HEADER_BYTES, Change, Command, EncodedCommand, NewMessage, Settle, SettleItem, encode_level,
};
use sluice_core::ids::{
    DeliveryId, GroupId, GroupQueueId, LogIndex, PhysicalOffset, QueueId, QueueOffset, Term, TopicId,
    TopicQueue,
};
use sluice_core::record::NewRecord;
use sluice_store::log::{
    FRAME_HEADER_BYTES, Frame, FrameBuilder, FrameError, FrameKind, ShardUuid, Tombstone,
};

const UUID: ShardUuid = ShardUuid(*b"a shard for fuzz");
/// The longest frame that is taken: some inputs are longer.
const FRAME_BYTES_MAX: usize = 8 << 10;
static LUCK: Luck = Luck::none_yet();

struct Reader {
    decode: fn(&Bytes) -> Result<Frame, FrameError>,
    /// What it may take, whatever lengths and counts say.
    memory_bytes_max: usize,
}

/// A frame with all its commands. It shares the bytes, and takes no memory of its own.
const WHOLE: Reader = Reader {
    decode: |bytes| with_commands(Frame::check(bytes, UUID.into(), FRAME_BYTES_MAX)?),
    memory_bytes_max: 256,
};

/// The same, where one command's header may be damaged: what is looked for is looked for in a copy, and the frame is one.
const MENDED: Reader = Reader {
    decode: |bytes| with_commands(Frame::check_or_mend(bytes, UUID.into(), FRAME_BYTES_MAX)?),
    memory_bytes_max: 3 * FRAME_BYTES_MAX,
};

fn with_commands(frame: Frame) -> Result<Frame, FrameError> {
    frame.check_commands()?;
    Ok(frame)
}

struct Frames;

struct Origin {
    /// Whole frames, with what they are padded with.
    made: Vec<Vec<u8>>,
    /// All checksums were made anew after the damage: it reaches what lies behind them.
    resealed: bool,
}

impl ValueGenerator for Frames {
    type Output = Case<Origin>;

    fn generate<D: Driver>(&self, driver: &mut D) -> Option<Self::Output> {
        let made = vec![frame(driver)?, frame(driver)?];
        let mut bytes = made[0].clone();
        damage::some(driver, &mut bytes, &made[1])?;
        let resealed = draw::once_in(driver, 3)?;
        if resealed {
            reseal(&mut bytes);
        }
        let origin = Origin { made, resealed };
        Some(Case { bytes, origin })
    }
}

fn frame<D: Driver>(driver: &mut D) -> Option<Vec<u8>> {
    let kind = draw::one_of(
        driver,
        &[
            FrameKind::Commands,
            FrameKind::Commands,
            FrameKind::Blank,
            FrameKind::Membership,
            FrameKind::Tombstone,
        ],
    )?;
    let place = PhysicalOffset(draw::number(driver)? >> 8 << 3);
    let (term, index) = (Term(draw::number(driver)?), LogIndex(draw::number(driver)?));
    if kind == FrameKind::Tombstone {
        let tombstone = Tombstone {
            physical: place,
            span: (draw::number(driver)? as u32 & !7).max(FRAME_HEADER_BYTES as u32),
            term,
            index: LogIndex(index.0 >> 1),
            stands_for: (draw::number(driver)? as u32).max(1),
            state_is_known: draw::once_in(driver, 2)?,
        };
        return Some(tombstone.encode(UUID.into()).to_vec());
    }
    let mut out = Vec::new();
    let mut builder = FrameBuilder::begin(&mut out, UUID.into(), place, term, index, kind);
    for _ in 0..draw::below(driver, 6)? {
        builder.push(command(driver)?.as_bytes());
    }
    builder.finish();
    Some(out)
}

fn command<D: Driver>(driver: &mut D) -> Option<EncodedCommand> {
    let time = draw::number(driver)?;
    match draw::below(driver, 3)? {
        0 => Some(encode_level(time, draw::number(driver)? as u32)),
        1 => {
            let (body, tag) = (draw::bytes(driver, 512)?, draw::text(driver)?);
            let host = "127.0.0.1:1".parse().ok()?;
            let message = NewMessage {
                topic: TopicId(draw::number(driver)? as u32),
                tag: Some(&tag),
                message_group: None,
                record: NewRecord {
                    topic: "orders",
                    queue: draw::number(driver)? as u32,
                    body: &body,
                    properties: b"",
                    born_ms: time,
                    born_host: host,
                    store_ms: time,
                    store_host: host,
                },
            };
            Some(message.encode())
        }
        _ => {
            let item = SettleItem {
                offset: QueueOffset(draw::number(driver)?),
                delivery: DeliveryId(draw::number(driver)?),
            };
            let at = TopicQueue {
                topic: TopicId(1),
                queue: QueueId(draw::number(driver)? as u32),
            };
            let settle = Settle {
                id: GroupQueueId {
                    group: GroupId(2),
                    at,
                },
                change: Change::VisibleIn(draw::number(driver)? >> 1),
                items: vec![item; draw::below(driver, 4)?],
            };
            Some(settle.encode(time))
        }
    }
}

/// Makes all checksums fit, as far as lengths and count lead to commands at all.
fn reseal(bytes: &mut [u8]) -> Option<()> {
    let u32_at =
        |bytes: &[u8], at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
    let count = u32_at(bytes, 34)? & 0xffff;
    let (mut at, mut pairs) = (FRAME_HEADER_BYTES, Vec::new());
    for _ in 0..count {
        let len = u32_at(bytes, at)?;
        let command = bytes.get_mut(at..at.checked_add(len)?)?;
        let (start, rest) = (command.get(..4)?, command.get(COMMAND_HEADER_BYTES..)?);
        let crc = crc32c::crc32c_append(crc32c::crc32c(start), rest);
        command[4..COMMAND_HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        pairs.extend_from_slice(&command[..COMMAND_HEADER_BYTES]);
        at += len;
    }
    let parts = [bytes.get(..4)?, bytes.get(8..FRAME_HEADER_BYTES)?, &pairs];
    let crc = parts.iter().fold(crc32c::crc32c(&UUID.0), |crc, part| {
        crc32c::crc32c_append(crc, part)
    });
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    Some(())
}

fn check(case: &Case<Origin>, reader: &Reader) -> Checked {
    let decode = reader.decode;
    let Origin { made, resealed } = &case.origin;
    for made in made.iter().filter(|made| made.len() <= FRAME_BYTES_MAX) {
        let frame = decode(&Bytes::from(made.clone())).context("a frame as it was made is refused")?;
        ensure!(made.starts_with(frame.bytes()), "a frame comes back as another");
        ensure!(
            made.len() - frame.bytes().len() < 8,
            "more is left of a frame than its padding"
        );
    }
    let verdict = check_bytes(&case.bytes, reader)?;
    if verdict == Verdict::Taken && !resealed {
        let frame = decode(&Bytes::from(case.bytes.clone()))?;
        let is_made = made.iter().any(|made| made.starts_with(frame.bytes()));
        if !is_made {
            let near = |made: &Vec<u8>| {
                let made = made.get(..frame.bytes().len());
                made.and_then(|made| bits_apart(made, frame.bytes()))
                    .is_some_and(|bits| bits <= BITS_ALWAYS_SEEN)
            };
            if made.iter().any(near) {
                bail!("a damaged frame passes: it was never made");
            }
            LUCK.passes("a frame passes that was never made")?;
        }
    }
    Ok(verdict)
}

fn check_bytes(bytes: &[u8], reader: &Reader) -> Checked {
    let input = Bytes::copy_from_slice(bytes);
    let (decoded, took) = measured(|| (reader.decode)(&input));
    bounded(took, 0, reader.memory_bytes_max, 0)?;
    let frame = match decoded {
        Ok(frame) => frame,
        Err(error) => return worded(&error).map(|()| Verdict::Refused),
    };
    ensure!(
        (FRAME_HEADER_BYTES..=FRAME_BYTES_MAX).contains(&frame.bytes().len()),
        "a frame of {} bytes",
        frame.bytes().len()
    );
    ensure!(
        frame.start() < frame.end(),
        "a frame ends at {} before it starts",
        frame.end()
    );
    let again = written_again(&frame)?;
    ensure!(
        again.starts_with(frame.bytes()),
        "what was read is written in another way"
    );
    Ok(Verdict::Taken)
}

/// What the frame says, written once more.
fn written_again(frame: &Frame) -> anyhow::Result<Vec<u8>> {
    let header = *frame.header();
    if header.is_tombstone() {
        let tombstone = Tombstone {
            physical: header.physical,
            span: header.len,
            term: header.term,
            index: header.index,
            stands_for: header.stands_for,
            state_is_known: header.state_is_known,
        };
        return Ok(tombstone.encode(UUID.into()).to_vec());
    }
    let mut again = Vec::new();
    let mut builder = FrameBuilder::begin(
        &mut again,
        UUID.into(),
        header.physical,
        header.term,
        header.index,
        header.kind,
    );
    for (_, at, command) in frame.commands() {
        ensure!(
            frame.start() < at && at < frame.end(),
            "a command at {at} of another frame"
        );
        if let Err(error) = Command::decode(&command) {
            worded(&error)?;
        }
        builder.push(&command);
    }
    builder.finish();
    Ok(again)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::{regressions, run};

    #[test]
    fn a_damaged_frame_is_refused_and_a_whole_one_comes_back() {
        run::holds("frame", Frames, |case| {
            check(case, &MENDED)?;
            check(case, &WHOLE)
        });
    }

    #[test]
    fn what_once_failed_is_replayed() {
        regressions::replay("frame", |bytes| {
            check_bytes(bytes, &MENDED)?;
            check_bytes(bytes, &WHOLE)
        });
    }

    #[test]
    fn a_planted_reader_that_leaves_the_commands_unchecked_is_found() {
        let found = run::finds(Frames, |case| {
            let unchecked = Reader {
                decode: |bytes| Frame::check(bytes, UUID.into(), FRAME_BYTES_MAX),
                ..WHOLE
            };
            check(case, &unchecked)
        });
        assert!(found.contains("never made"), "{found}");
    }
}
