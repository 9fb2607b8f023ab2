//! What the header of one command must have been, where that is all that is damaged of a frame.
//!
//! The frame's checksum covers the length and the checksum of each command, and both follow from the rest: the length from where the
//! lengths of as many others as there are behind it lead to the frame's end; the checksum from the bytes in between. So where both are
//! made again and the frame's checksum holds, they are what was written, and so are the bytes: a wrong guess or another damage would
//! have to hit the same 32 bits.

use super::{FRAME_HEADER_BYTES, FrameHeader, FrameSeed, checksum};
use sluice_core::command::{self, COMMAND_HEADER_BYTES};

/// What a search may do, in bytes that go through checksums: what stands in a message may look like any number of commands.
const WORK_MAX: usize = 128 << 20;
/// What looking at one length comes to.
const STEP: usize = 8;
/// Commands that are taken for the damaged one at most: what else does not prove itself has other damage.
const TRIED_MAX: usize = 4;

/// The header of a command, as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mend {
    /// Where the command begins, in bytes from the frame's start.
    pub at: usize,
    /// Its length and checksum.
    pub header: [u8; COMMAND_HEADER_BYTES],
}

impl Mend {
    /// The frame with it.
    pub(super) fn applied(&self, frame: &[u8]) -> Vec<u8> {
        let mut frame = frame.to_vec();
        self.put(&mut frame);
        frame
    }

    /// Puts it into the frame; answers what stood there.
    fn exchanged(&self, frame: &mut [u8]) -> Self {
        let mut before = *self;
        before
            .header
            .copy_from_slice(&frame[self.at..self.at + COMMAND_HEADER_BYTES]);
        self.put(frame);
        before
    }

    fn put(&self, frame: &mut [u8]) {
        frame[self.at..self.at + COMMAND_HEADER_BYTES].copy_from_slice(&self.header);
    }
}

/// The header with which the checksum of the frame holds that `bytes` were; `None` if there is none, for something else is damaged.
pub(super) fn find(bytes: &[u8], header: &FrameHeader, seed: FrameSeed) -> Option<Mend> {
    let mut search = Search {
        frame: bytes.to_vec(),
        count: header.count,
        stored: header.crc,
        seed,
        left: WORK_MAX,
    };
    let mut at = FRAME_HEADER_BYTES;
    let mut tried = 0;
    for place in 0..header.count {
        let len = search.len_of(at);
        if !len.is_some_and(|len| search.proves_itself(at, len)) {
            tried += 1;
            let found = search.mend_at(at, header.count - place - 1);
            if found.is_some() || tried == TRIED_MAX {
                return found;
            }
        }
        // Its body is what is damaged: whether it is, its own reader tells.
        at += len?;
    }
    None
}

struct Search {
    frame: Vec<u8>,
    count: u16,
    stored: u32,
    seed: FrameSeed,
    left: usize,
}

impl Search {
    /// The length that a command at `at` says, if it fits.
    fn len_of(&self, at: usize) -> Option<usize> {
        let (command, _) = command::split(self.frame.get(at..)?).ok()?;
        Some(command.len())
    }

    /// Takes so much off what may be done still.
    fn spend(&mut self, work: usize) -> Option<()> {
        self.left = self.left.checked_sub(work)?;
        Some(())
    }

    /// Whether these bytes are a command whose checksum holds.
    fn proves_itself(&mut self, at: usize, len: usize) -> bool {
        self.spend(len).is_some() && command::check(&self.frame[at..at + len]).is_ok()
    }

    /// The header of the command at `at`, behind which so many others fill the frame.
    fn mend_at(&mut self, at: usize, behind: u16) -> Option<Mend> {
        if behind == 0 {
            return self.mend(at, self.frame.len());
        }
        for end in at + COMMAND_HEADER_BYTES + 1..self.frame.len() {
            if self.is_filled(end, behind)?
                && let Some(mend) = self.mend(at, end)
            {
                return Some(mend);
            }
        }
        None
    }

    /// Whether lengths lead from there to the frame's end in so many steps; `None` once enough was looked at.
    fn is_filled(&mut self, mut at: usize, steps: u16) -> Option<bool> {
        for _ in 0..steps {
            let Some(len) = self.len_of(at) else {
                return Some(false);
            };
            self.spend(STEP)?;
            at += len;
        }
        Some(at == self.frame.len())
    }

    /// The header of the command from `at` to `end`, if the frame's checksum holds with it.
    fn mend(&mut self, at: usize, end: usize) -> Option<Mend> {
        if end <= at + COMMAND_HEADER_BYTES {
            return None;
        }
        self.spend((end - at) + usize::from(self.count) * STEP)?;
        let header = command::header(self.frame.get(at..end)?);
        let mend = Mend { at, header };
        let before = mend.exchanged(&mut self.frame);
        let holds = checksum(&self.frame, self.count, self.seed).is_ok_and(|crc| crc == self.stored);
        before.put(&mut self.frame);
        holds.then_some(mend)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Frame, FrameBuilder, FrameError, FrameKind, ShardUuid};
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;
    use sluice_core::ids::{LogIndex, PhysicalOffset, Term};

    const UUID: ShardUuid = ShardUuid(*b"0123456789abcdef");
    const MAX: usize = 1 << 20;

    fn command(body: &[u8]) -> Vec<u8> {
        let mut command = vec![0; COMMAND_HEADER_BYTES];
        command.extend_from_slice(body);
        let header = command::header(&command);
        command[..COMMAND_HEADER_BYTES].copy_from_slice(&header);
        command
    }

    /// A frame of these commands, and where each begins.
    fn frame(commands: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
        let (mut out, mut places) = (Vec::new(), Vec::new());
        let (at, term, index) = (PhysicalOffset(0), Term(1), LogIndex(7));
        let mut builder = FrameBuilder::begin(&mut out, UUID.into(), at, term, index, FrameKind::Commands);
        let mut place = FRAME_HEADER_BYTES;
        for command in commands {
            builder.push(command);
            places.push(place);
            place += command.len();
        }
        builder.finish();
        (out, places)
    }

    fn read(bytes: &[u8]) -> Result<Frame, FrameError> {
        Frame::check_or_mend(&Bytes::copy_from_slice(bytes), UUID.into(), MAX)
    }

    fn sample() -> Vec<Vec<u8>> {
        // What looks like a command within one, with a checksum that holds, and what is only as long as it says.
        let nested = [b"before".to_vec(), command(b"within"), command(b"within")].concat();
        let long = [12_u32.to_le_bytes().to_vec(), vec![7; 60]].concat();
        vec![command(b"first"), command(&nested), command(&long), command(b"l")]
    }

    #[test]
    fn each_bit_of_each_commands_header_is_made_again() {
        let (whole, places) = frame(&sample());
        let expected = Frame::check(&Bytes::from(whole.clone()), UUID.into(), MAX).unwrap();
        for (place, bit) in places
            .iter()
            .flat_map(|place| (0..64).map(move |bit| (*place, bit)))
        {
            let mut bytes = whole.clone();
            bytes[place + bit / 8] ^= 1 << (bit % 8);
            let mended = read(&bytes).unwrap_or_else(|error| panic!("bit {bit} at {place}: {error}"));
            assert_eq!(mended.bytes(), expected.bytes(), "bit {bit} at {place}");
            assert_eq!(mended.mended().map(|mend| mend.at), Some(place));
            assert!(Frame::check(&Bytes::from(bytes), UUID.into(), MAX).is_err());
        }
    }

    #[test]
    fn a_frame_of_which_more_is_damaged_stays_what_it_is() {
        let (whole, places) = frame(&sample());
        assert_eq!(read(&whole).unwrap().mended(), None);
        let damaged = |at: &[usize]| {
            let mut bytes = whole.clone();
            at.iter().for_each(|at| bytes[*at] ^= 0x10);
            read(&bytes)
        };
        // Two headers; a header and what it is of; the frame's own header.
        assert!(damaged(&[places[0], places[2] + 4]).is_err());
        assert!(damaged(&[places[1], places[1] + 9]).is_err());
        assert!(damaged(&[4]).is_err());
        // One command more than there are: it would begin where the frame ends.
        let mut one_more = whole.clone();
        one_more[34] += 1;
        assert!(read(&one_more).is_err());
        // A body alone is its command's affair, also beside another one's header.
        assert_eq!(damaged(&[places[1] + 9]).unwrap().mended(), None);
        let both = damaged(&[places[0] + 9, places[2] + 1]).unwrap();
        assert_eq!(both.mended().map(|mend| mend.at), Some(places[2]));
        assert!(matches!(
            both.check_commands(),
            Err(FrameError::Command { place: 0, .. })
        ));
    }

    #[test]
    fn what_looks_like_very_many_commands_is_no_obstacle_and_ends() {
        // Each of its bytes could begin a command, as long as these.
        let numbers = |len: u32, bytes: usize| -> Vec<u8> {
            let body = (0..bytes / 4).flat_map(|_| len.to_le_bytes());
            body.collect()
        };
        for len in [9, 300, 70_000, 200_000] {
            let body = command(&numbers(len, 900_000));
            for commands in [vec![body.clone()], vec![body, command(b"behind"), command(b"it")]] {
                let (whole, places) = frame(&commands);
                let mut bytes = whole.clone();
                bytes[places[0] + 4] ^= 1;
                let mended = read(&bytes).unwrap();
                assert_eq!(mended.bytes(), &whole[..mended.header().len as usize], "{len}");
                // And in vain.
                bytes[places[0] + 5000] ^= 1;
                assert!(read(&bytes).is_err(), "{len}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_stands_in_the_place_of_a_header_the_frame_is_what_it_was_or_none(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 1..8),
            which in any::<proptest::sample::Index>(), header in any::<[u8; COMMAND_HEADER_BYTES]>(),
            other in proptest::option::of((any::<proptest::sample::Index>(), 1..=255_u8)),
        ) {
            let commands: Vec<_> = bodies.iter().map(|body| command(body)).collect();
            let (whole, places) = frame(&commands);
            let at = places[which.index(places.len())];
            let mut bytes = whole.clone();
            bytes[at..at + COMMAND_HEADER_BYTES].copy_from_slice(&header);
            if let Some((place, flips)) = other {
                bytes[place.index(whole.len())] ^= flips;
            }
            let expected = Frame::check(&Bytes::from(whole), UUID.into(), MAX).unwrap();
            match read(&bytes) {
                Ok(found) if found.check_commands().is_ok() => prop_assert_eq!(found.bytes(), expected.bytes()),
                Ok(_) => prop_assert!(other.is_some()),
                Err(_) => prop_assert!(other.is_some(), "nothing else was damaged"),
            }
        }
    }
}
