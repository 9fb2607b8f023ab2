//! The frames of gRPC, as far as it takes to know how much of a message has come: each is a byte, the length of what follows in
//! four, and that (gRPC over HTTP/2, "Length-Prefixed-Message").

/// The byte and the length.
const PREFIX_BYTES: usize = 5;

/// How far a stream of messages has come.
#[derive(Debug, Default)]
pub(super) struct Framing {
    prefix: [u8; PREFIX_BYTES],
    prefix_bytes: usize,
    /// Bytes of the message that are still to come.
    left: usize,
    /// Bytes of the message that have come, its prefix among them.
    come: usize,
    /// Bytes of the last message that has come whole.
    whole: Option<usize>,
}

impl Framing {
    /// So much more has come.
    pub(super) fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = if self.prefix_bytes < PREFIX_BYTES {
                self.take_prefix(bytes)
            } else {
                let taken = self.left.min(bytes.len());
                self.left -= taken;
                taken
            };
            self.come += taken;
            bytes = &bytes[taken..];
            if self.prefix_bytes == PREFIX_BYTES && self.left == 0 {
                self.whole = Some(self.come);
                (self.prefix_bytes, self.come) = (0, 0);
            }
        }
    }

    fn take_prefix(&mut self, bytes: &[u8]) -> usize {
        let taken = (PREFIX_BYTES - self.prefix_bytes).min(bytes.len());
        self.prefix[self.prefix_bytes..][..taken].copy_from_slice(&bytes[..taken]);
        self.prefix_bytes += taken;
        if self.prefix_bytes == PREFIX_BYTES {
            let [_, length @ ..] = self.prefix;
            self.left = u32::from_be_bytes(length) as usize;
        }
        taken
    }

    /// Bytes that have come of a message that is not whole.
    pub(super) fn unfinished(&self) -> usize {
        self.come
    }

    /// Bytes of the last message that has come whole, if one has.
    pub(super) fn last_whole(&self) -> Option<usize> {
        self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: u32) -> Vec<u8> {
        let mut message = vec![0];
        message.extend(length.to_be_bytes());
        message.resize(PREFIX_BYTES + length as usize, 7);
        message
    }

    #[test]
    fn a_message_is_whole_with_its_last_byte_however_it_comes() {
        let two = [message(300), message(0), message(7)].concat();
        for piece in [1, 2, 4, 5, 6, 100, 1000] {
            let (mut framing, mut come) = (Framing::default(), 0);
            for bytes in two.chunks(piece) {
                framing.advance(bytes);
                come += bytes.len();
                let expected = match come {
                    0..305 => (come, None),
                    305..310 => (come - 305, Some(305)),
                    310..322 => (come - 310, Some(5)),
                    _ => (0, Some(12)),
                };
                let found = (framing.unfinished(), framing.last_whole());
                assert_eq!(found, expected, "after {come} in pieces of {piece}");
            }
        }
    }
}
