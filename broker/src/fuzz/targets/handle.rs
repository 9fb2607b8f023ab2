//! Receipt handles. One that was made leads to its delivery; a forged one leads to none of this shard's.

use crate::fuzz::bounds::{BITS_ALWAYS_SEEN, Luck, bits_apart, bounded, measured};
use crate::fuzz::case::Case;
use crate::fuzz::run::{Checked, Verdict};
use crate::fuzz::{damage, draw};
use crate::receipt::{Receipt, Receipts};
use anyhow::{bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bolero::{Driver, ValueGenerator};
use sluice_core::ids::{DeliveryId, GroupId, GroupQueueId, QueueId, QueueOffset, Term, TopicId, TopicQueue};

const UUID: [u8; 16] = *b"a shard for fuzz";
/// The same first four bytes, which handles begin with.
const OTHER_UUID: [u8; 16] = *b"a shard for else";
const CHECKSUM_BYTES: usize = 4;
/// However long a text is that is no handle.
const MEMORY_BYTES_MAX: usize = 1024;
static LUCK: Luck = Luck::none_yet();

type Decode = fn(&str) -> Option<Receipt>;

fn decode(handle: &str) -> Option<Receipt> {
    Receipts::new(UUID).decode(handle)
}

struct Handles;

struct Origin {
    made: Vec<(String, Receipt)>,
    /// The checksum was made anew after the damage.
    resealed: bool,
}

impl ValueGenerator for Handles {
    type Output = Case<Origin>;

    fn generate<D: Driver>(&self, driver: &mut D) -> Option<Self::Output> {
        let receipts = [receipt(driver)?, receipt(driver)?];
        let made = receipts.map(|receipt| (Receipts::new(UUID).encode(&receipt), receipt));
        let foreign = Receipts::new(OTHER_UUID).encode(&made[0].1);
        let text = if draw::once_in(driver, 8)? {
            &foreign
        } else {
            &made[0].0
        };
        let resealed = draw::once_in(driver, 3)?;
        let bytes = if resealed || draw::once_in(driver, 2)? {
            // Below the letters: what comes out is a text that could be a handle.
            let mut content = URL_SAFE_NO_PAD.decode(text).ok()?;
            damage::some(driver, &mut content, &URL_SAFE_NO_PAD.decode(&made[1].0).ok()?)?;
            if resealed {
                reseal(&mut content);
            }
            URL_SAFE_NO_PAD.encode(content).into_bytes()
        } else {
            let mut letters = text.clone().into_bytes();
            damage::some(driver, &mut letters, made[1].0.as_bytes())?;
            letters
        };
        let origin = Origin {
            made: made.into(),
            resealed,
        };
        Some(Case { bytes, origin })
    }
}

fn receipt<D: Driver>(driver: &mut D) -> Option<Receipt> {
    Some(Receipt {
        term: Term(draw::number(driver)?),
        delivery: DeliveryId(draw::number(driver)?),
        id: GroupQueueId {
            group: GroupId(draw::number(driver)? as u32),
            at: TopicQueue {
                topic: TopicId(draw::number(driver)? as u32),
                queue: QueueId(draw::number(driver)? as u32),
            },
        },
        offset: QueueOffset(draw::number(driver)?),
        delivered_ms: match draw::once_in(driver, 4)? {
            true => None,
            false => Some(draw::number(driver)?),
        },
    })
}

fn reseal(content: &mut [u8]) {
    if let Some((content, checksum)) = content.split_last_chunk_mut::<CHECKSUM_BYTES>() {
        *checksum = crc32c::crc32c_append(crc32c::crc32c(&UUID), content).to_le_bytes();
    }
}

fn check(case: &Case<Origin>, decode: Decode) -> Checked {
    let Origin { made, resealed } = &case.origin;
    for (handle, receipt) in made {
        ensure!(
            decode(handle) == Some(*receipt),
            "a handle leads to another delivery than its own"
        );
    }
    let verdict = check_bytes(&case.bytes, decode)?;
    let text = String::from_utf8_lossy(&case.bytes);
    let is_made = made.iter().any(|(handle, _)| *handle == text);
    if verdict == Verdict::Taken && !is_made && !resealed {
        let content = |handle: &str| URL_SAFE_NO_PAD.decode(handle).unwrap_or_default();
        let near = |(made, _): &(String, Receipt)| {
            bits_apart(&content(made), &content(&text)).is_some_and(|bits| bits <= BITS_ALWAYS_SEEN)
        };
        if made.iter().any(near) {
            bail!("a forged handle leads to a delivery");
        }
        LUCK.passes("a forged handle leads to a delivery")?;
    }
    Ok(verdict)
}

fn check_bytes(bytes: &[u8], decode: Decode) -> Checked {
    let text = String::from_utf8_lossy(bytes);
    let (read, took) = measured(|| decode(&text));
    bounded(took, 0, MEMORY_BYTES_MAX, 0)?;
    let Some(receipt) = read else {
        return Ok(Verdict::Refused);
    };
    let again = Receipts::new(UUID).encode(&receipt);
    ensure!(
        decode(&again) == Some(receipt),
        "a delivery's own handle leads elsewhere: {receipt:?}"
    );
    Ok(Verdict::Taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::{regressions, run};

    #[test]
    fn a_forged_handle_leads_to_no_delivery() {
        run::holds("handle", Handles, |case| check(case, decode));
    }

    #[test]
    fn what_once_failed_is_replayed() {
        regressions::replay("handle", |bytes| check_bytes(bytes, decode));
    }

    #[test]
    fn a_planted_reader_that_takes_any_checksum_is_found() {
        fn careless(handle: &str) -> Option<Receipt> {
            let mut content = URL_SAFE_NO_PAD
                .decode(handle.get(..handle.len().min(200))?)
                .ok()?;
            reseal(&mut content);
            decode(&URL_SAFE_NO_PAD.encode(content))
        }
        let found = run::finds(Handles, |case| check(case, careless));
        assert!(found.contains("a forged handle leads to a delivery"), "{found}");
    }
}
