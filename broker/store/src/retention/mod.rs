//! Retention: decides how far the log goes, writes again what waits there, and has it begin later.
//!
//! In this order, each step a command that is applied before the next one is proposed:
//! 1. links are closed up to where the log is to begin, so that none is made any more to what leaves;
//! 2. what waits there is looked for, and carried, a bounded piece at a time;
//! 3. queues begin where they ended at that place, and the log there.
//!
//! The checkpoint that follows takes the files away. Whoever stops in between has lost nothing; the next run begins anew.
//! A place that starts to wait after the look is not carried: it was to expire in any case, and is counted if it does.

mod consumed;
mod decide;
mod waiting;

pub use decide::{Log, Settings};
pub use waiting::{Record, Waiting};

use crate::checkpointer::TrimPoint;
use crate::damage::Unread;
use crate::log::ReadError;
use crate::store::{Store, StoreError};
use sluice_core::codec::Malformed;
use sluice_core::command::{Command, EncodedCommand, Minimum, NewCarry, Place, Trim};
use sluice_core::ids::{PhysicalOffset, QueueOffset, TimeMs, TopicId, TopicQueue};
use sluice_core::limits;
use sluice_core::log::{NotProposed, Outcome, Results};
use sluice_core::state::{Done, Refused};
use std::io;
use thiserror::Error;

/// Records carried in one proposal, and bytes of them, unless one alone is larger.
const AT_A_TIME: (usize, usize) = (64, 256 * 1024);
/// Looks of one run: at each, the checkpoint on which the log was to begin has just made room for others.
const LOOKS_MAX: usize = 8;
/// Places of lost records that the log of the process names of one run; the others are counted.
const LOST_TOLD_MAX: u64 = 16;

/// Why a run ended early. Nothing is lost: the next one begins anew.
#[derive(Debug, Error)]
pub enum RetentionError {
    /// A checkpoint, on which the log was to begin, could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Queue entries could not be read.
    #[error("retention cannot read queue entries, and tries again with its next look: {0}")]
    Entries(#[source] io::Error),
    /// The log does not take commands at the moment.
    #[error("the log does not take the commands of retention, which tries again with its next look: {0}")]
    NotTaken(NotProposed),
    /// A command was refused.
    #[error("a command of retention was refused, and it tries again with its next look: {0}")]
    Refused(#[from] Refused),
    /// What waits cannot be read for now. It is left behind only once it is lost.
    #[error("a message that waits cannot be read, and the log keeps it until it can or is lost: {0}")]
    Waits(#[source] ReadError),
    /// The look is wrong, and something would go that was to be kept, or that nobody has looked at.
    #[error(
        "{0} carried messages stand where the log was to go, and nobody has looked whether they wait: the log stays, and the next look tries again; please report this"
    )]
    Undecided(usize),
    /// Nobody knows what became of a command.
    #[error(
        "it is not known whether a command of retention was written: the broker is stopping, or its log has failed; the next look finds out"
    )]
    Unknown,
}

/// Proposes commands and waits until they are applied.
pub trait Propose {
    /// What became of the commands, which all belong together.
    fn propose(&self, commands: Vec<EncodedCommand>) -> Outcome;
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// Where the log begins now, if that is later than before.
    pub start: Option<PhysicalOffset>,
    /// Records that were carried, and their bytes.
    pub carried: (u64, u64),
    /// Messages that groups had not done, each counted once a group.
    pub expired: u64,
    /// Places of messages that wait and whose records are damaged: they go with the log.
    pub lost: u64,
    /// Whether more should go, and does not, for too much of it waits.
    pub blocked: bool,
    /// Whether that is because it waits at more places in queues than may stand carried.
    pub too_many: bool,
    /// Whether the disk would be above its mark even if the log gave up all it can, so that nothing unread went for that.
    pub in_vain: bool,
}

/// One run over a store.
pub struct Run<'a, P> {
    /// The store.
    pub store: &'a Store,
    /// Where commands go.
    pub log: P,
    /// What is asked for.
    pub settings: &'a Settings,
    /// The proposer's time.
    pub now: TimeMs,
}

impl<P: Propose> Run<'_, P> {
    /// Gives up what need not be kept. Blocks on the disk and on the log.
    pub fn run(&self) -> Result<Ran, RetentionError> {
        let mut looks = 1;
        loop {
            match self.look() {
                // One that was thinned out is not offered again, and nothing was carried for it yet.
                Err(RetentionError::Store(StoreError::Checkpoint(error)))
                    if error.is_not_found() && looks < LOOKS_MAX =>
                {
                    looks += 1;
                }
                ran => return ran,
            }
        }
    }

    fn look(&self) -> Result<Ran, RetentionError> {
        let mut ran = Ran {
            expired: self.catch_up()?,
            ..Ran::default()
        };
        let log = self.look_at_log();
        let bounds = self.store.tables().bounds();
        ran.in_vain = log.is_in_vain(self.settings);
        let wanted = log.wanted(self.settings, self.now);
        let early = log.early(self.settings, wanted);
        let wanted = consumed::last(self.store, self.settings, &early)?.or(wanted);
        let point = match wanted {
            // A look before anything is closed: it may not be worth it.
            Some(wanted) => self.worth_it(&log, wanted, &mut ran)?.map(|(point, _)| point),
            None => None,
        };
        ran.blocked = point != wanted;
        let Some(point) = point else {
            if bounds.links_from > bounds.start {
                // What an earlier run has closed and not finished.
                self.trim(bounds.start, bounds.start, Vec::new())?;
            }
            return Ok(ran);
        };
        self.trim(bounds.start, point.at, Vec::new())?;
        let gone = self.give_up(&log, point, &mut ran);
        if !matches!(gone, Ok(true)) {
            // Dead letters must not wait for the next run.
            self.trim(bounds.start, bounds.start, Vec::new())?;
        }
        ran.blocked |= !gone?;
        Ok(ran)
    }

    /// Has state begin where the log does. It does already, unless a repair has cut off the command that said so, after the files
    /// before that place had gone: then queues would begin with messages that are nowhere. Answers how many messages that
    /// groups had not done count as gone.
    pub fn catch_up(&self) -> Result<u64, RetentionError> {
        let (bounds, start) = (self.store.tables().bounds(), self.store.log().start());
        if bounds.start >= start {
            return Ok(0);
        }
        let ends = self.store.ends_at(start)?;
        tracing::warn!(
            start = start.0,
            "the command with which the log began later is lost, and given again"
        );
        if bounds.links_from < start {
            self.trim(bounds.start, start, Vec::new())?;
        }
        self.begin_at(start, &ends)
    }

    /// With links closed: carries what waits, and has the log begin later. `false` if it is not worth it after all.
    fn give_up(&self, log: &Log, point: TrimPoint, ran: &mut Ran) -> Result<bool, RetentionError> {
        let Some((point, waiting)) = self.worth_it(log, point, ran)? else {
            return Ok(false);
        };
        let ends = self.store.ends_at(point.at)?;
        if !self.carry(&waiting, ran)? {
            return Ok(false);
        }
        let undecided = waiting.undecided(self.store.tables());
        if undecided > 0 {
            return Err(RetentionError::Undecided(undecided));
        }
        ran.expired += self.begin_at(point.at, &ends)?;
        ran.start = Some(point.at);
        Ok(true)
    }

    fn look_at_log(&self) -> Log {
        let start = self.store.tables().bounds().start;
        let mut points = self.store.trim_points();
        points.retain(|point| point.at > start);
        Log {
            start: start.max(self.store.log().start()),
            end: self.store.log().positions().written(),
            points,
            carry_max: self.store.log().carry_max(),
            segment_bytes: self.store.log().segment_capacity(),
        }
    }

    /// The last place up to `wanted` that is worth it, and what waits before it.
    fn worth_it(
        &self,
        log: &Log,
        mut wanted: TrimPoint,
        ran: &mut Ran,
    ) -> Result<Option<(TrimPoint, Waiting)>, RetentionError> {
        loop {
            let ends = self.store.ends_at(wanted.at)?;
            let waiting = Waiting::look(self.store, self.settings, wanted.at, &ends, self.now)?;
            ran.too_many |= waiting.below < wanted.at;
            let complete = log.points.iter().rfind(|point| point.at <= waiting.below);
            let worth = complete.and_then(|complete| log.affordable(*complete, waiting.sizes()));
            let Some(point) = worth else {
                return Ok(None);
            };
            if point == wanted {
                return Ok(Some((point, waiting)));
            }
            // Where queues end is another there, and so what waits. Each is before the last one, so that this ends.
            wanted = point;
        }
    }

    /// Writes again what waits; `false` if the disk gives nothing and it would take too much of the reserve. What was written
    /// by then the next run finds behind the place.
    fn carry(&self, waiting: &Waiting, ran: &mut Ran) -> Result<bool, RetentionError> {
        let most = AT_A_TIME.1.min(self.store.log().command_bytes_max());
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for (old, record) in waiting.records() {
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

    /// Queues begin where they ended there, and the log there. Answers how many messages groups had not done.
    fn begin_at(
        &self,
        start: PhysicalOffset,
        ends: &[(TopicQueue, QueueOffset)],
    ) -> Result<u64, RetentionError> {
        let tables = self.store.tables();
        let later = ends.iter().filter(|(at, end)| {
            let topic = tables.topic_by_id(at.topic);
            topic
                .and_then(|topic| topic.first(at.queue))
                .is_some_and(|first| first < *end)
        });
        let mut minimums: Vec<Minimum> = later
            .map(|(at, first)| Minimum {
                at: *at,
                first: *first,
            })
            .collect();
        let (before, mut expired) = (tables.bounds().start, 0);
        while minimums.len() > limits::TRIM_QUEUES_MAX {
            let some = minimums.split_off(minimums.len() - limits::TRIM_QUEUES_MAX);
            expired += self.trim(before, start, some)?;
        }
        Ok(expired + self.trim(start, start, minimums)?)
    }

    fn trim(
        &self,
        start: PhysicalOffset,
        links_from: PhysicalOffset,
        minimums: Vec<Minimum>,
    ) -> Result<u64, RetentionError> {
        let trim = Trim {
            start,
            links_from,
            minimums,
        };
        let done = self.propose(vec![trim.encode(self.now)])?;
        let expired = done.iter().map(|done| match done {
            Ok(Done::Trimmed(expired)) => *expired,
            _ => 0,
        });
        Ok(expired.sum())
    }

    fn propose(&self, commands: Vec<EncodedCommand>) -> Result<Results, RetentionError> {
        match self.log.propose(commands) {
            Outcome::Applied(results) => match results.iter().find_map(|result| result.as_ref().err()) {
                Some(refused) => Err(refused.clone().into()),
                None => Ok(results),
            },
            Outcome::NotProposed(why) => Err(RetentionError::NotTaken(why)),
            Outcome::NotLeader(_) | Outcome::Unknown => Err(RetentionError::Unknown),
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
