//! RocketMQ's message record: the body of an `Append` command, so that both of RocketMQ's protocols serve it
//! with little work. Layout (big-endian), after RocketMQ's `MessageDecoder`:
//!
//! ```text
//! total size i32 | magic i32 | body CRC32 i32 | queue id i32 | flag i32 | queue offset i64 | physical offset i64 |
//! sys flag i32 | born time ms i64 | born host (4|16 address bytes, port i32) | store time ms i64 | store host |
//! reconsume times i32 | prepared transaction offset i64 | body length i32, body | topic length u8 (v1) or
//! u16 (v2), topic | properties length u16, properties (name 0x01 value 0x02 …)
//! ```
//! In the log the queue offset and the physical offset are zero: they are known only afterwards, and whoever serves
//! the record fills them in. The body's CRC does not cover them.

use crate::codec::{Malformed, Reader};
use crate::ids::TimeMs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

const MAGIC_V1: u32 = 0xDAA3_20A7;
const MAGIC_V2: u32 = 0xDAA3_20AB;
const SYS_BORN_HOST_V6: u32 = 0x10;
const SYS_STORE_HOST_V6: u32 = 0x20;
const NAME_END: u8 = 1;
const VALUE_END: u8 = 2;

/// RocketMQ's names of the properties that carry what gRPC has as system properties.
pub mod property {
    /// The client's message id.
    pub const MESSAGE_ID: &str = "UNIQ_KEY";
    /// Keys, joined by a space.
    pub const KEYS: &str = "KEYS";
    /// The tag.
    pub const TAG: &str = "TAGS";
    /// The message group.
    pub const MESSAGE_GROUP: &str = "__SHARDINGKEY";
    /// The trace context, copied through.
    pub const TRACE_CONTEXT: &str = "TRACE_CONTEXT";
    /// The host that a client says the message was born on.
    pub const BORN_HOST: &str = "__BORNHOST";
}

/// A message on its way into the log.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    /// The topic's name; at most 255 bytes.
    pub topic: &'a str,
    /// The queue's number.
    pub queue: u32,
    /// The body, as the client sent it.
    pub body: &'a [u8],
    /// Properties as made by [`put_property`]; at most [`crate::limits::PROPERTIES_BYTES_MAX`] bytes.
    pub properties: &'a [u8],
    /// When the client made the message.
    pub born_ms: TimeMs,
    /// Where the client is.
    pub born_host: SocketAddr,
    /// When the broker took the message.
    pub store_ms: TimeMs,
    /// Where the broker is.
    pub store_host: SocketAddr,
}

/// Appends one property. The caller has seen to it that neither text holds the bytes 1 or 2.
pub fn put_property(out: &mut Vec<u8>, name: &str, value: &str) {
    debug_assert!(
        !name
            .bytes()
            .chain(value.bytes())
            .any(|byte| byte == NAME_END || byte == VALUE_END)
    );
    out.extend_from_slice(name.as_bytes());
    out.push(NAME_END);
    out.extend_from_slice(value.as_bytes());
    out.push(VALUE_END);
}

impl NewRecord<'_> {
    /// The bytes that [`Self::encode`] appends.
    pub fn encoded_len(&self) -> usize {
        let host = |address: SocketAddr| if address.is_ipv6() { 20 } else { 8 };
        let topic_len = if self.topic.len() > 127 { 2 } else { 1 };
        4 * 5
            + 8
            + 8
            + 4
            + 8
            + host(self.born_host)
            + 8
            + host(self.store_host)
            + 4
            + 8
            + 4
            + self.body.len()
            + topic_len
            + self.topic.len()
            + 2
            + self.properties.len()
    }

    /// Appends the record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let long_topic = self.topic.len() > 127;
        let sys_flag = if self.born_host.is_ipv6() {
            SYS_BORN_HOST_V6
        } else {
            0
        } | if self.store_host.is_ipv6() {
            SYS_STORE_HOST_V6
        } else {
            0
        };
        out.extend_from_slice(&(self.encoded_len() as u32).to_be_bytes());
        out.extend_from_slice(&if long_topic { MAGIC_V2 } else { MAGIC_V1 }.to_be_bytes());
        out.extend_from_slice(&(crc32fast::hash(self.body) & 0x7fff_ffff).to_be_bytes());
        out.extend_from_slice(&self.queue.to_be_bytes());
        out.extend_from_slice(&[0; 4 + 8 + 8]);
        out.extend_from_slice(&sys_flag.to_be_bytes());
        out.extend_from_slice(&self.born_ms.to_be_bytes());
        put_host(out, self.born_host);
        out.extend_from_slice(&self.store_ms.to_be_bytes());
        put_host(out, self.store_host);
        out.extend_from_slice(&[0; 4 + 8]);
        out.extend_from_slice(&(self.body.len() as u32).to_be_bytes());
        out.extend_from_slice(self.body);
        if long_topic {
            out.extend_from_slice(&(self.topic.len() as u16).to_be_bytes());
        } else {
            out.push(self.topic.len() as u8);
        }
        out.extend_from_slice(self.topic.as_bytes());
        out.extend_from_slice(&(self.properties.len() as u16).to_be_bytes());
        out.extend_from_slice(self.properties);
        debug_assert_eq!(out.len() - start, self.encoded_len());
    }
}

fn put_host(out: &mut Vec<u8>, host: SocketAddr) {
    match host.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&u32::from(host.port()).to_be_bytes());
}

/// A record as read from the log. Borrowed; [`Self::body_range`] lets a caller share the bytes instead of copying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The queue that the record was sent to.
    pub queue: u32,
    /// When the client made the message.
    pub born_ms: TimeMs,
    /// Where the client was.
    pub born_host: SocketAddr,
    /// When the broker took the message.
    pub store_ms: TimeMs,
    /// Where the broker was.
    pub store_host: SocketAddr,
    /// The topic that the record was sent to.
    pub topic: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// Where the body stands in the bytes that were parsed.
    pub body_range: Range<usize>,
    properties: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads a record that takes up all of `bytes`. The command's CRC has been checked before.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if be32(&mut reader)? as usize != bytes.len() {
            return Err(Malformed::Range("record size"));
        }
        let magic = be32(&mut reader)?;
        if magic != MAGIC_V1 && magic != MAGIC_V2 {
            return Err(Malformed::Range("record magic"));
        }
        reader.take(4)?;
        let queue = be32(&mut reader)?;
        reader.take(4 + 8 + 8)?;
        let sys_flag = be32(&mut reader)?;
        let born_ms = be64(&mut reader)?;
        let born_host = host(&mut reader, sys_flag & SYS_BORN_HOST_V6 != 0)?;
        let store_ms = be64(&mut reader)?;
        let store_host = host(&mut reader, sys_flag & SYS_STORE_HOST_V6 != 0)?;
        reader.take(4 + 8)?;
        let body_len = be32(&mut reader)? as usize;
        let body_start = bytes.len() - reader.rest().len();
        let body = reader.take(body_len)?;
        let topic_len = if magic == MAGIC_V2 {
            usize::from(be16(&mut reader)?)
        } else {
            usize::from(reader.u8()?)
        };
        let topic = std::str::from_utf8(reader.take(topic_len)?).map_err(|_| Malformed::Text("topic"))?;
        let properties_len = usize::from(be16(&mut reader)?);
        let properties = reader.take(properties_len)?;
        reader.finish()?;
        let body_range = body_start..body_start + body_len;
        Ok(Self {
            queue,
            born_ms,
            born_host,
            store_ms,
            store_host,
            topic,
            body,
            body_range,
            properties,
        })
    }

    /// Names and values in stored order. What is not UTF-8 is left out.
    pub fn properties(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.properties
            .split(|byte| *byte == VALUE_END)
            .filter_map(|pair| {
                let at = pair.iter().position(|byte| *byte == NAME_END)?;
                Some((
                    std::str::from_utf8(&pair[..at]).ok()?,
                    std::str::from_utf8(&pair[at + 1..]).ok()?,
                ))
            })
    }

    /// The first property of this name.
    pub fn property(&self, name: &str) -> Option<&'a str> {
        self.properties()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

fn be16(reader: &mut Reader<'_>) -> Result<u16, Malformed> {
    Ok(reader.u16()?.swap_bytes())
}

fn be32(reader: &mut Reader<'_>) -> Result<u32, Malformed> {
    Ok(reader.u32()?.swap_bytes())
}

fn be64(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    Ok(reader.u64()?.swap_bytes())
}

fn host(reader: &mut Reader<'_>, v6: bool) -> Result<SocketAddr, Malformed> {
    let ip = if v6 {
        let mut octets = [0; 16];
        octets.copy_from_slice(reader.take(16)?);
        IpAddr::V6(Ipv6Addr::from(octets))
    } else {
        IpAddr::V4(Ipv4Addr::from(be32(reader)?))
    };
    let port = u16::try_from(be32(reader)?).map_err(|_| Malformed::Range("port"))?;
    Ok(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(topic: &str, body: &[u8], properties: &[u8], born_host: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let record = NewRecord {
            topic,
            queue: 3,
            body,
            properties,
            born_ms: 1_700_000_000_000,
            born_host: born_host.parse().unwrap(),
            store_ms: 1_700_000_000_001,
            store_host: "127.0.0.1:8081".parse().unwrap(),
        };
        record.encode(&mut out);
        assert_eq!(out.len(), record.encoded_len());
        out
    }

    #[test]
    fn a_record_comes_back_with_its_properties_in_order() {
        let mut properties = Vec::new();
        put_property(&mut properties, property::TAG, "red");
        put_property(&mut properties, "colour", "grün");
        put_property(&mut properties, "empty", "");
        let bytes = sample("orders", b"hello", &properties, "[::1]:4000");
        let record = Record::parse(&bytes).unwrap();
        assert_eq!(
            (record.topic, record.body, record.queue),
            ("orders", b"hello".as_slice(), 3)
        );
        assert_eq!(&bytes[record.body_range.clone()], b"hello");
        assert_eq!(record.born_host, "[::1]:4000".parse().unwrap());
        assert_eq!(record.property("colour"), Some("grün"));
        assert_eq!(record.properties().count(), 3);
        assert_eq!(&bytes[4..8], &[0xDA, 0xA3, 0x20, 0xA7]);
    }

    #[test]
    fn a_long_topic_takes_the_second_form() {
        let topic = format!("%DLQ%{}", "g".repeat(123));
        let bytes = sample(&topic, b"", b"", "10.0.0.1:1");
        assert_eq!(&bytes[4..8], &[0xDA, 0xA3, 0x20, 0xAB]);
        assert_eq!(Record::parse(&bytes).unwrap().topic, topic);
    }

    #[test]
    fn a_record_cut_anywhere_is_refused() {
        let bytes = sample("t", b"body", b"a\x01b\x02", "10.0.0.1:1");
        for end in 0..bytes.len() {
            assert!(Record::parse(&bytes[..end]).is_err(), "cut at {end}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Record::parse(&bytes);
        }

        #[test]
        fn a_flipped_bit_never_panics(at in 0_usize..800, bit in 0_u8..8) {
            let mut bytes = sample("topic", &[7; 40], b"a\x01b\x02c\x01d\x02", "10.0.0.1:1");
            let index = at / 8 % bytes.len();
            bytes[index] ^= 1 << bit;
            if let Ok(record) = Record::parse(&bytes) {
                prop_assert!(record.properties().count() < 10);
            }
        }
    }
}
