//! The record of a message, by its queue entry. Its checksum says that a command is whole, and not that it is the one that was
//! written there: what else the entry knows is compared, so that a page in another's place is noticed.

use super::{LogReader, damaged, io_error};
use crate::io::read_exact_at;
use crate::log::error::ReadError;
use bytes::Bytes;
use sluice_core::command::Command;
use sluice_core::entry::{CARRIED, LINKED, QueueEntry};
use sluice_core::ids::PhysicalOffset;

impl LogReader {
    /// The command with the record of this entry's message. May block on the disk unless it [is hot](Self::is_hot).
    pub fn read_message(&self, entry: &QueueEntry) -> Result<Bytes, ReadError> {
        let command = self.read_command(entry.physical, entry.size)?;
        self.belonging(entry, command)
    }

    /// Like [`Self::read_message`], from the disk: past maps, and past the system's cache as far as it lets go of it.
    pub fn read_message_afresh(&self, entry: &QueueEntry) -> Result<Bytes, ReadError> {
        let QueueEntry { physical, size, .. } = *entry;
        let end = self.shared.positions.durable();
        if physical.0.saturating_add(u64::from(size)) > end.0 {
            // It is in memory and nowhere else.
            return self.read_message(entry);
        }
        let segment = self.shared.segment_of(physical);
        let segment = segment.ok_or_else(|| self.gone(physical))?;
        // A page that is mapped stays in the cache.
        segment.maps.let_go();
        let at = segment.file_offset(physical);
        // Where it does not work the second look is one at the cache.
        let _ = segment.file.drop_cache(at, u64::from(size).max(1));
        let mut buffer = vec![0; size as usize];
        read_exact_at(segment.file.as_ref(), &mut buffer, at).map_err(io_error(&segment, at))?;
        let command = self.checked_in(&segment, physical, Bytes::from(buffer))?;
        self.belonging(entry, command)
    }

    /// The command, if the entry may have been made of it: else another stands in its place.
    pub fn belonging(&self, entry: &QueueEntry, command: Bytes) -> Result<Bytes, ReadError> {
        if belongs(entry, &command) {
            return Ok(command);
        }
        let reason = "a record stands there that is not of the queue's entry";
        Err(self.is_another(entry.physical, reason))
    }

    /// What stands at `offset` is whole and not what was written there.
    pub(super) fn is_another(&self, offset: PhysicalOffset, reason: &str) -> ReadError {
        match self.shared.segment_of(offset) {
            Some(segment) => damaged(segment.path.clone(), segment.file_offset(offset), reason),
            None => self.gone(offset),
        }
    }

    fn gone(&self, offset: PhysicalOffset) -> ReadError {
        let (_, start) = self.shared.first();
        ReadError::Gone { offset, start }
    }
}

/// Whether the entry may have been made of the command.
fn belongs(entry: &QueueEntry, command: &[u8]) -> bool {
    let own = entry.flags & !(LINKED | CARRIED);
    if command.len() != entry.size as usize {
        return false;
    }
    match Command::decode(command) {
        Ok((_, Command::Append(append))) => {
            let hashes = (append.tag_hash, append.group_hash, append.flags);
            // It was applied when it was proposed, or later.
            hashes == (entry.tag_hash, entry.group_hash, own) && append.time <= entry.put_ms
        }
        Ok((_, Command::Carry(carry))) => carry.places.iter().any(|place| {
            let flags = place.entry.flags & !(LINKED | CARRIED);
            let hashes = (place.entry.tag_hash, place.entry.group_hash, flags);
            hashes == (entry.tag_hash, entry.group_hash, own)
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::command::{NewCarry, NewMessage, Place};
    use sluice_core::ids::{QueueOffset, TopicId, TopicQueue};
    use sluice_core::record::NewRecord;

    #[test]
    fn a_record_belongs_to_the_entry_that_was_made_of_it_or_carried_and_to_no_other() {
        let host = "127.0.0.1:1".parse().unwrap();
        let record = NewRecord {
            topic: "t",
            queue: 0,
            body: b"body",
            properties: b"",
            born_ms: 5,
            born_host: host,
            store_ms: 5,
            store_host: host,
        };
        let message = NewMessage {
            topic: TopicId(1),
            tag: Some("a"),
            message_group: None,
            record,
        };
        let append = message.encode();
        let Ok((time, Command::Append(decoded))) = Command::decode(append.as_bytes()) else {
            panic!("an append");
        };
        let entry = QueueEntry {
            put_ms: time,
            tag_hash: decoded.tag_hash,
            group_hash: decoded.group_hash,
            flags: decoded.flags,
            size: append.len() as u32,
            ..QueueEntry::default()
        };
        let carry = NewCarry {
            topic: TopicId(1),
            old: PhysicalOffset(0),
            record: decoded.record,
            places: &[Place {
                at: TopicQueue::default(),
                offset: QueueOffset(0),
                entry,
            }],
        };
        let carry = carry.encode(9);
        let changed = |change: fn(&mut QueueEntry)| {
            let mut changed = entry;
            change(&mut changed);
            changed
        };
        let cases = [
            (entry, true),
            (changed(|entry| entry.flags |= LINKED | CARRIED), true),
            (changed(|entry| entry.tag_hash += 1), false),
            (changed(|entry| entry.group_hash += 1), false),
            (changed(|entry| entry.flags = 0), false),
        ];
        for (entry, expected) in cases {
            assert_eq!(belongs(&entry, append.as_bytes()), expected, "{entry:?}");
            let carried = QueueEntry {
                size: carry.len() as u32,
                ..entry
            };
            assert_eq!(belongs(&carried, carry.as_bytes()), expected, "{carried:?}");
        }
        assert!(belongs(&changed(|entry| entry.put_ms += 1), append.as_bytes()));
        let sooner = changed(|entry| entry.put_ms -= 1);
        assert!(!belongs(&sooner, append.as_bytes()), "put before it was sent");
        assert!(!belongs(&changed(|entry| entry.size += 1), append.as_bytes()));
        let other = sluice_core::command::encode_level(5, 1);
        let size = other.len() as u32;
        assert!(!belongs(&QueueEntry { size, ..entry }, other.as_bytes()));
    }
}
