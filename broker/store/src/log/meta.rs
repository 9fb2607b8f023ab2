//! Names, votes and the purge marker, in two files of which the newest valid one counts.
//!
//! ```text
//! magic "SLUICMET" · len u32 (of all) · version u32 · generation u64 · shard UUID 16 · segment size u64 · node u64 ·
//! term u64 · vote (present u8 · term u64 · node u64 · committed u8) · purged (present u8 · term u64 · index u64) ·
//! cluster name, shard name (each length varint, bytes) · base of the newest segment u64 · crc32c u32
//! ```

mod store;

pub use store::MetaStore;
pub(super) use store::read_all;

use super::LogId;
use super::frame::ShardUuid;
use super::segment::FORMAT_VERSION;
use sluice_core::codec::{Malformed, Reader, put_bytes};
use sluice_core::ids::{LogIndex, PhysicalOffset, Term};
use std::io::Read;

const MAGIC: &[u8; 8] = b"SLUICMET";

/// Sixteen random bytes for a new shard, from the system.
pub fn random_uuid() -> std::io::Result<ShardUuid> {
    let mut uuid = ShardUuid::default();
    std::fs::File::open("/dev/urandom")?.read_exact(&mut uuid.0)?;
    Ok(uuid)
}

/// Who a log belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's name.
    pub cluster: String,
    /// The shard's name, which is the broker's.
    pub shard: String,
    /// This node's number.
    pub node: u64,
    /// The same on every replica; given when the shard is made.
    pub uuid: ShardUuid,
    /// The same on every replica; given when the shard is made.
    pub segment_bytes: u64,
}

/// A vote in an election: for which node in which term, and whether a majority granted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The term.
    pub term: Term,
    /// The node voted for.
    pub node: u64,
    /// Whether that node leads the term.
    pub committed: bool,
}

/// Everything that the meta files hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Who the log belongs to.
    pub identity: Identity,
    /// The highest term this node has begun or heard of; every start raises it.
    pub term: Term,
    /// The last vote, if there was one.
    pub vote: Option<Vote>,
    /// The last frame that was purged; the log begins after it.
    pub purged: Option<LogId>,
    /// The base of the newest segment: noted when it is born, before its first frame is acknowledged, and lowered before it
    /// is taken back. A log without that segment has lost it.
    pub newest_segment: PhysicalOffset,
}

impl Meta {
    fn encode(&self, generation: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&generation.to_le_bytes());
        out.extend_from_slice(&self.identity.uuid.0);
        for number in [self.identity.segment_bytes, self.identity.node, self.term.0] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let vote = self.vote.unwrap_or(Vote {
            term: Term(0),
            node: 0,
            committed: false,
        });
        out.push(u8::from(self.vote.is_some()));
        out.extend_from_slice(&vote.term.0.to_le_bytes());
        out.extend_from_slice(&vote.node.to_le_bytes());
        out.push(u8::from(vote.committed));
        let purged = self.purged.unwrap_or_default();
        out.push(u8::from(self.purged.is_some()));
        out.extend_from_slice(&purged.term.0.to_le_bytes());
        out.extend_from_slice(&purged.index.0.to_le_bytes());
        put_bytes(&mut out, self.identity.cluster.as_bytes());
        put_bytes(&mut out, self.identity.shard.as_bytes());
        out.extend_from_slice(&self.newest_segment.0.to_le_bytes());
        let len = (out.len() + 4) as u32;
        out[8..12].copy_from_slice(&len.to_le_bytes());
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Result<(u64, Self), Malformed> {
        let len = Reader::new(bytes.get(8..).unwrap_or_default()).u32()? as usize;
        let body = bytes.get(..len).and_then(|bytes| bytes.split_last_chunk::<4>());
        let (body, crc) = body.ok_or(Malformed::Range("a meta file's length"))?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
            return Err(Malformed::Range("a meta file's checksum"));
        }
        let mut reader = Reader::new(body);
        if reader.take(8)? != MAGIC {
            return Err(Malformed::Range("a meta file's magic"));
        }
        reader.u32()?;
        if reader.u32()? != FORMAT_VERSION {
            return Err(Malformed::Range("a meta file's format version"));
        }
        let generation = reader.u64()?;
        let mut uuid = ShardUuid::default();
        uuid.0.copy_from_slice(reader.take(16)?);
        let (segment_bytes, node, term) = (reader.u64()?, reader.u64()?, Term(reader.u64()?));
        let has_vote = reader.u8()? != 0;
        let vote = Vote {
            term: Term(reader.u64()?),
            node: reader.u64()?,
            committed: reader.u8()? != 0,
        };
        let has_purged = reader.u8()? != 0;
        let purged = LogId {
            term: Term(reader.u64()?),
            index: LogIndex(reader.u64()?),
        };
        let cluster = reader.text("cluster name")?.to_owned();
        let shard = reader.text("shard name")?.to_owned();
        // Builds from before the note left it out; it stands there from their log's next start on.
        let newest_segment = match reader.rest() {
            [] => PhysicalOffset(0),
            _ => PhysicalOffset(reader.u64()?),
        };
        reader.finish()?;
        let identity = Identity {
            cluster,
            shard,
            node,
            uuid,
            segment_bytes,
        };
        Ok((
            generation,
            Self {
                identity,
                term,
                vote: has_vote.then_some(vote),
                purged: has_purged.then_some(purged),
                newest_segment,
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{ends_in_its_checksum, u32_at, u64_at};

    fn meta() -> Meta {
        Meta {
            identity: Identity {
                cluster: "DefaultCluster".to_owned(),
                shard: "broker-a".to_owned(),
                node: 3,
                uuid: ShardUuid([9; 16]),
                segment_bytes: 1 << 30,
            },
            term: Term(7),
            vote: Some(Vote {
                term: Term(7),
                node: 3,
                committed: true,
            }),
            purged: Some(LogId {
                term: Term(2),
                index: LogIndex(55),
            }),
            newest_segment: PhysicalOffset(77),
        }
    }

    /// What a build has saved that did not know of the newest segment.
    fn without_note(bytes: &[u8]) -> Vec<u8> {
        let mut older = bytes[..bytes.len() - 12].to_vec();
        let len = older.len() as u32 + 4;
        older[8..12].copy_from_slice(&len.to_le_bytes());
        let crc = crc32c::crc32c(&older);
        older.extend_from_slice(&crc.to_le_bytes());
        older
    }

    #[test]
    fn the_bytes_are_those_that_the_format_says() {
        let bytes = meta().encode(12);
        assert_eq!(&bytes[..8], b"SLUICMET");
        assert_eq!((u32_at(&bytes, 8), u32_at(&bytes, 12)), (bytes.len() as u32, 1));
        assert_eq!((u64_at(&bytes, 16), &bytes[24..40]), (12, &[9; 16][..]));
        assert_eq!([40, 48, 56].map(|at| u64_at(&bytes, at)), [1 << 30, 3, 7]);
        assert_eq!([64, 81, 82].map(|at| bytes[at]), [1; 3]);
        assert_eq!([65, 73, 83, 91].map(|at| u64_at(&bytes, at)), [7, 3, 2, 55]);
        assert_eq!(&bytes[99..bytes.len() - 12], b"\x0eDefaultCluster\x08broker-a");
        assert_eq!(u64_at(&bytes, bytes.len() - 12), 77);
        assert!(ends_in_its_checksum(&bytes));
    }

    #[test]
    fn meta_comes_back_and_damage_is_noticed() {
        let bytes = meta().encode(12);
        assert_eq!(Meta::decode(&bytes), Ok((12, meta())));
        let bare = Meta {
            vote: None,
            purged: None,
            ..meta()
        };
        assert_eq!(Meta::decode(&bare.encode(1)), Ok((1, bare)));
        assert_eq!(Meta::decode(&without_note(&bytes)).unwrap().1.newest_segment.0, 0);
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(Meta::decode(&flipped).is_err(), "byte {at}");
            assert!(Meta::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
