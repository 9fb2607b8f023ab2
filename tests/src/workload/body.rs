//! Bodies that say which message they are, and of which run.

use std::ops::RangeInclusive;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::oracle::Number;
use crate::seed::{Chance, mix};

const HEAD_BYTES: usize = 12;
const BYTES_MIN: u64 = 200;
const BYTES_MAX: u64 = 1000;

/// The body of a message: run, number, and bytes that follow from both.
pub(super) fn of(run: u64, number: Number) -> Bytes {
    sized(run, number, BYTES_MIN..=BYTES_MAX)
}

/// As [`of`], of a length within these bounds.
pub(crate) fn sized(run: u64, number: Number, bytes: RangeInclusive<u64>) -> Bytes {
    let mut chance = Chance::new(mix(run) ^ u64::from(number));
    let length = chance.between(*bytes.start(), *bytes.end());
    let length = usize::try_from(length).unwrap_or(HEAD_BYTES);
    let mut body = Vec::with_capacity(length + 8);
    body.extend_from_slice(&run.to_le_bytes());
    body.extend_from_slice(&number.to_le_bytes());
    while body.len() < length {
        body.extend_from_slice(&chance.number().to_le_bytes());
    }
    body.truncate(length);
    body.into()
}

/// The number that a body says; none if it is not of this run.
pub(crate) fn number(run: u64, body: &[u8]) -> Option<Number> {
    let (of_run, rest) = body.split_first_chunk::<8>()?;
    let number = rest.first_chunk::<4>()?;
    (u64::from_le_bytes(*of_run) == run).then(|| Number::from_le_bytes(*number))
}

pub(crate) fn hash(body: &[u8]) -> u64 {
    xxh3_64(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_says_its_number_to_its_own_run_only() {
        for index in 0..100 {
            let body = of(7, index);
            assert!((200..=1000).contains(&body.len()));
            assert_eq!(number(7, &body), Some(index));
            assert_eq!(number(8, &body), None);
            assert_ne!(hash(&body), hash(&of(7, index + 1)));
        }
        assert_eq!(number(7, b"short"), None);
    }
}
