//! The largest body of a message that is taken: as configured, or less where the log's segments are small.

use std::fmt;

/// What a command has besides its body at most: the record's own fields, properties and names.
const COMMAND_EXTRA: usize = 64 << 10;
/// A body has no more than one such part of a segment.
const SEGMENT_PARTS: usize = 8;

/// The largest body that is taken, and why no larger one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyMax {
    /// In bytes.
    pub bytes: usize,
    /// It is less than what is configured: a command has to fit the log, whose segments are small.
    pub by_segments: bool,
}

impl BodyMax {
    /// The largest that any broker takes.
    #[cfg(test)]
    pub const GREATEST: Self = Self {
        bytes: sluice_core::limits::BODY_BYTES_MAX,
        by_segments: false,
    };

    /// Of a log that takes commands of so many bytes, where `configured` bytes are asked for.
    pub fn of(command_bytes: usize, configured: usize) -> Self {
        let fits = command_bytes.saturating_sub(COMMAND_EXTRA);
        Self {
            bytes: fits.min(configured),
            by_segments: fits < configured,
        }
    }

    /// Says in the broker's log if it is less than what is configured.
    pub fn tell(&self, configured: usize) {
        if self.by_segments {
            tracing::warn!(
                max = self.bytes,
                configured,
                segment = self.bytes * SEGMENT_PARTS,
                "messages with larger bodies are refused, although maxBodySize takes more: a body has an eighth of a segment at most. The size of segments (segmentSize) is fixed when the log is made"
            );
        }
    }
}

impl fmt::Display for BodyMax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bytes)?;
        match self.by_segments {
            true => f.write_str(" (an eighth of a segment of the broker's log, whose segmentSize is small)"),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::limits;
    use sluice_store::log::SegmentLimits;

    #[test]
    fn small_segments_bound_bodies_to_an_eighth_and_the_refusal_says_so() {
        let of = |segment: u64, configured| {
            BodyMax::of(SegmentLimits::of(segment).unwrap().command_bytes, configured)
        };
        let small = of(1 << 20, limits::BODY_BYTES_MAX);
        assert_eq!((small.bytes, small.by_segments), (131_072, true));
        assert!(
            small.to_string().starts_with("131072 (an eighth of a segment"),
            "{small}"
        );
        for enough in [
            of(32 << 20, limits::BODY_BYTES_MAX),
            of(1 << 30, limits::BODY_BYTES_MAX),
        ] {
            assert_eq!(enough.to_string(), "4194304");
        }
        let configured = of(1 << 20, 131_072);
        assert!(!configured.by_segments && configured.bytes == 131_072);
    }
}
