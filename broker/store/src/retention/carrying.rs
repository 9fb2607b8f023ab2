//! Writes again what waits, a bounded piece at a time.

use super::waiting::Record;
use super::{Propose, Ran, RetentionError, Run};
use crate::damage::Unread;
use crate::log::ReadError;
use sluice_core::codec::Malformed;
use sluice_core::command::{Command, EncodedCommand, NewCarry, Place};
use sluice_core::ids::{PhysicalOffset, TopicId};
use sluice_core::limits;

/// Records carried in one proposal, and bytes of them, unless one alone is larger.
const AT_A_TIME: (usize, usize) = (64, 256 * 1024);
/// Places of lost records that the log of the process names of one run; the others are counted.
const LOST_TOLD_MAX: u64 = 16;

impl<P: Propose> Run<'_, P> {
    /// Writes again what waits; `false` if the disk gives nothing and it would take too much of the reserve. What was written
    /// by then the next run finds behind the place.
    pub(super) fn carry(
        &self,
        records: impl Iterator<Item = (PhysicalOffset, Record)>,
        ran: &mut Ran,
    ) -> Result<bool, RetentionError> {
        let most = AT_A_TIME.1.min(self.store.log().command_bytes_max());
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for (old, record) in records {
            let Some(carries) = self.carries(old, &record, ran.lost)? else {
                ran.lost += record.places.len() as u64;
                continue;
            };
            for carry in carries {
                if batch.len() >= AT_A_TIME.0 || bytes + carry.len() > most && !batch.is_empty() {
                    if !self.carry_some(std::mem::take(&mut batch), bytes, ran)? {
                        return Ok(false);
                    }
                    bytes = 0;
                }
                bytes += carry.len();
                batch.push(carry);
            }
            ran.carried.0 += 1;
        }
        self.carry_some(batch, bytes, ran)
    }

    /// What the disk has room for is asked before each part: others take of it meanwhile, and it may have been found full only since.
    fn carry_some(
        &self,
        batch: Vec<EncodedCommand>,
        bytes: usize,
        ran: &mut Ran,
    ) -> Result<bool, RetentionError> {
        if bytes as u64 > self.store.log().carry_max() {
            return Ok(false);
        }
        if !batch.is_empty() {
            self.propose(batch)?;
            ran.carried.1 += bytes as u64;
        }
        Ok(true)
    }

    /// The commands that write a record again: more than one only where the message stands at very many places. `None` if the
    /// record is lost, which must not keep the log for ever; so many messages were lost in this run before.
    fn carries(
        &self,
        old: PhysicalOffset,
        record: &Record,
        lost_before: u64,
    ) -> Result<Option<Vec<EncodedCommand>>, RetentionError> {
        let Some(place) = record.places.first() else {
            return Ok(Some(Vec::new()));
        };
        let command = match self.store.read_message(place, self.now) {
            Ok(command) => command,
            Err(Unread::Lost(error)) => {
                self.tell_of_lost(record, &error, lost_before);
                return Ok(None);
            }
            Err(Unread::NotNow(error)) => return Err(RetentionError::Waits(error)),
        };
        // It is an `Append` or a `Carry`, or it would not belong to its entry.
        let Ok((topic, bytes)) = record_in(&command) else {
            return Ok(None);
        };
        let chunks = record.places.chunks(limits::CARRY_PLACES_MAX);
        let carry = |places| {
            NewCarry {
                topic,
                old,
                record: bytes,
                places,
            }
            .encode(self.now)
        };
        Ok(Some(chunks.map(carry).collect()))
    }

    fn tell_of_lost(&self, record: &Record, error: &ReadError, before: u64) {
        let left = LOST_TOLD_MAX.saturating_sub(before);
        let tables = self.store.tables();
        for Place { at, offset, .. } in record.places.iter().take(left as usize) {
            let topic = tables.topic_by_id(at.topic);
            tracing::error!(
                topic = topic.as_ref().map(|topic| &*topic.spec.name),
                queue = at.queue.0,
                offset = offset.0,
                places = record.places.len(),
                %error,
                "a message that waits is lost: the log gives it up with what stands around it"
            );
        }
    }
}

/// The record in a command, and the topic under which the index has it.
fn record_in(command: &[u8]) -> Result<(TopicId, &[u8]), Malformed> {
    match Command::decode(command)?.1 {
        Command::Append(append) => Ok((append.at.topic, append.record)),
        Command::Carry(carry) => Ok((carry.topic, carry.record)),
        _ => Err(Malformed::Range("a record's command")),
    }
}
