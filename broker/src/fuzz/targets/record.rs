//! Message records. What was encoded comes back, and what is read is written so that it means the same.

use crate::fuzz::bounds::{bounded, measured, worded};
use crate::fuzz::case::Case;
use crate::fuzz::run::{Checked, Verdict};
use crate::fuzz::{damage, draw};
use anyhow::{Context as _, ensure};
use bolero::{Driver, ValueGenerator};
use sluice_core::codec::Malformed;
use sluice_core::record::{NewRecord, Record, put_property};
use std::net::{IpAddr, SocketAddr};

/// Reading borrows.
const MEMORY_BYTES_MAX: usize = 256;
/// From here on a topic's length takes two bytes.
const LONG_TOPIC: usize = 128;

type Decode = fn(&[u8]) -> Result<Message, Malformed>;

/// All of a record that anybody looks at.
#[derive(Clone, Debug, PartialEq)]
struct Message {
    topic: String,
    queue: u32,
    body: Vec<u8>,
    properties: Vec<(String, String)>,
    born: (u64, SocketAddr),
    stored: (u64, SocketAddr),
}

impl Message {
    fn of(record: &Record<'_>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            topic: record.topic.to_owned(),
            queue: record.queue,
            body: record.body.to_vec(),
            properties: record.properties().map(owned).collect(),
            born: (record.born_ms, record.born_host),
            stored: (record.store_ms, record.store_host),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut properties = Vec::new();
        for (name, value) in &self.properties {
            properties.extend_from_slice(name.as_bytes());
            properties.push(1);
            properties.extend_from_slice(value.as_bytes());
            properties.push(2);
        }
        let record = NewRecord {
            topic: &self.topic,
            queue: self.queue,
            body: &self.body,
            properties: &properties,
            born_ms: self.born.0,
            born_host: self.born.1,
            store_ms: self.stored.0,
            store_host: self.stored.1,
        };
        let mut out = Vec::new();
        record.encode(&mut out);
        out
    }
}

fn decode(bytes: &[u8]) -> Result<Message, Malformed> {
    Record::parse(bytes).map(|record| Message::of(&record))
}

struct Records;

impl ValueGenerator for Records {
    type Output = Case<Message>;

    fn generate<D: Driver>(&self, driver: &mut D) -> Option<Self::Output> {
        let (made, other) = (message(driver)?, message(driver)?);
        let mut bytes = made.encode();
        damage::some(driver, &mut bytes, &other.encode())?;
        // The first field is the length of all: cut and grown records would all end there.
        if draw::once_in(driver, 2)?
            && let Some(size) = u32::try_from(bytes.len()).ok().map(u32::to_be_bytes)
            && let Some(first) = bytes.first_chunk_mut()
        {
            *first = size;
        }
        Some(Case { bytes, origin: made })
    }
}

fn message<D: Driver>(driver: &mut D) -> Option<Message> {
    let mut topic = draw::text(driver)?;
    if draw::once_in(driver, 4)? {
        topic = "t".repeat(LONG_TOPIC - 2 + draw::below(driver, 4)?);
    }
    topic.truncate(topic.floor_char_boundary(255));
    let (mut properties, mut bytes) = (Vec::new(), 0);
    for _ in 0..draw::below(driver, 5)? {
        let clean = |text: String| text.replace(['\u{1}', '\u{2}'], "");
        let (name, value) = (clean(draw::text(driver)?), clean(draw::text(driver)?));
        bytes += name.len() + value.len() + 2;
        if bytes <= sluice_core::limits::PROPERTIES_BYTES_MAX {
            properties.push((name, value));
        }
    }
    Some(Message {
        topic,
        queue: draw::number(driver)? as u32,
        body: draw::bytes(driver, 512)?,
        properties,
        born: (draw::number(driver)?, host(driver)?),
        stored: (draw::number(driver)?, host(driver)?),
    })
}

fn host<D: Driver>(driver: &mut D) -> Option<SocketAddr> {
    let number = draw::number(driver)?;
    let ip = match draw::once_in(driver, 2)? {
        true => IpAddr::from((u128::from(number) << 64 | u128::from(number)).to_be_bytes()),
        false => IpAddr::from((number as u32).to_be_bytes()),
    };
    Some(SocketAddr::new(ip, draw::number(driver)? as u16))
}

fn check(case: &Case<Message>, decode: Decode) -> Checked {
    let made = &case.origin;
    let read = decode(&made.encode()).context("a record as it was made is refused")?;
    ensure!(
        read == *made,
        "a record comes back as another: {made:?} as {read:?}"
    );
    check_bytes(&case.bytes, decode)
}

fn check_bytes(bytes: &[u8], decode: Decode) -> Checked {
    let (parsed, took) = measured(|| Record::parse(bytes).map(|record| record.properties().count()));
    bounded(took, 0, MEMORY_BYTES_MAX, 0)?;
    let message = match decode(bytes) {
        Ok(message) => message,
        Err(error) => return worded(&error).map(|()| Verdict::Refused),
    };
    ensure!(
        parsed == Ok(message.properties.len()),
        "properties are counted in two ways"
    );
    let record = Record::parse(bytes)?;
    ensure!(
        &bytes[record.body_range.clone()] == record.body,
        "the body stands elsewhere"
    );
    let stored: usize = message
        .properties
        .iter()
        .map(|(name, value)| name.len() + value.len() + 2)
        .sum();
    // The last property may do without its end, and a record that is full has no room to be given it.
    if stored <= usize::from(u16::MAX) {
        let again = decode(&message.encode()).context("what was read cannot be written")?;
        ensure!(
            again == message,
            "a record comes back as another: {message:?} as {again:?}"
        );
    }
    ensure!(
        Record::parse(&[bytes, &[0]].concat()).is_err(),
        "a byte behind a record passes"
    );
    Ok(Verdict::Taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::{regressions, run};

    #[test]
    fn what_a_record_was_made_from_comes_back() {
        run::holds("record", Records, |case| check(case, decode));
    }

    #[test]
    fn what_once_failed_is_replayed() {
        regressions::replay("record", |bytes| check_bytes(bytes, decode));
    }

    #[test]
    fn a_planted_reader_that_cuts_long_topics_is_found() {
        fn short(bytes: &[u8]) -> Result<Message, Malformed> {
            let mut message = decode(bytes)?;
            let cut = message.topic.floor_char_boundary(LONG_TOPIC - 1);
            message.topic.truncate(cut);
            Ok(message)
        }
        let found = run::finds(Records, |case| check(case, short));
        assert!(found.contains("comes back as another"), "{found}");
    }

    #[test]
    fn a_property_is_put_as_this_target_puts_it() {
        let mut put = Vec::new();
        put_property(&mut put, "colour", "red");
        assert_eq!(put, b"colour\x01red\x02");
    }
}
