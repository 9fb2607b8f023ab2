//! Retention: decides how far the log goes, writes again what waits there, and has it begin later.
//!
//! First topics that keep less than the log does give up their oldest messages (`topics`). Then, in this order, each step a command
//! that is applied before the next one is proposed:
//! 1. links are closed up to where the log is to begin, so that none is made any more to what leaves;
//! 2. what waits there is looked for, and carried, a bounded piece at a time;
//! 3. queues begin where they ended at that place, and the log there.
//!
//! The checkpoint that follows takes the files away. Whoever stops in between has lost nothing; the next run begins anew.
//! A place that starts to wait after the look is not carried: it was to expire in any case, and is counted if it does.

mod carrying;
mod consumed;
mod decide;
mod expiring;
mod settings;
mod sizes;
mod topics;
mod waiting;

pub use decide::Log;
pub use settings::{Own, Settings};
pub use sizes::Sizes;
pub use waiting::{Record, Waiting};

use crate::checkpointer::TrimPoint;
use crate::log::ReadError;
use crate::store::{Store, StoreError};
use sluice_core::command::{EncodedCommand, Minimum, Trim};
use sluice_core::ids::{PhysicalOffset, QueueOffset, TimeMs, TopicQueue};
use sluice_core::limits;
use sluice_core::log::{NotProposed, Outcome, Results};
use sluice_core::state::{Done, Refused};
use std::io;
use thiserror::Error;

/// Looks of one run: at each, the checkpoint on which the log was to begin has just made room for others.
const LOOKS_MAX: usize = 8;

/// Why a run ended early. Nothing is lost: the next one begins anew.
#[derive(Debug, Error)]
pub enum RetentionError {
    /// A checkpoint, on which the log was to begin, could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The checkpoint, on which the log was to begin, has given way to others.
    #[error(
        "the checkpoint at {0}, with which the log was to begin, has given way to others: retention tries again with its next look"
    )]
    ThinnedOut(PhysicalOffset),
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

impl RetentionError {
    /// Whether something on the disk cannot be read, which may be so for a long time.
    fn is_damage(&self) -> bool {
        match self {
            Self::Entries(_) => true,
            Self::Store(StoreError::Checkpoint(error)) => !error.is_not_found(),
            _ => false,
        }
    }

    /// Whether another checkpoint may do.
    fn is_thinned_out(&self) -> bool {
        match self {
            Self::ThinnedOut(_) => true,
            Self::Store(StoreError::Checkpoint(error)) => error.is_not_found(),
            _ => false,
        }
    }
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
    /// Whether topics could not give up what they should: it is told.
    pub failed: bool,
    /// Whether the disk would be above its mark even if the log gave up all it can, so that nothing unread went for that.
    pub in_vain: bool,
    /// Whether the log stays half as large again as its size says, until more has come after a place at which it can begin.
    pub waits: bool,
}

impl Ran {
    /// What two steps did.
    fn and(self, other: Self) -> Self {
        Self {
            start: self.start.or(other.start),
            carried: (self.carried.0 + other.carried.0, self.carried.1 + other.carried.1),
            expired: self.expired + other.expired,
            lost: self.lost + other.lost,
            blocked: self.blocked || other.blocked,
            too_many: self.too_many || other.too_many,
            failed: self.failed || other.failed,
            in_vain: self.in_vain || other.in_vain,
            waits: self.waits || other.waits,
        }
    }
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
    /// Gives up what need not be kept. Blocks on the disk and on the log. `sizes` is for the next run over this store.
    pub fn run(&self, sizes: &mut Sizes) -> Result<Ran, RetentionError> {
        let by_topics = self.expire(sizes);
        match self.run_log() {
            Ok(ran) => Ok(ran.and(by_topics)),
            Err(error) if by_topics == Ran::default() => Err(error),
            // What topics did must be told.
            Err(error) => {
                tracing::warn!(%error, "the log keeps more than it should, until the next look");
                let failed = true;
                Ok(Ran { failed, ..by_topics })
            }
        }
    }

    fn run_log(&self) -> Result<Ran, RetentionError> {
        let mut looks = 1;
        loop {
            match self.look() {
                // It is not offered again, and nothing was carried for it yet.
                Err(error) if error.is_thinned_out() && looks < LOOKS_MAX => looks += 1,
                ran => return ran,
            }
        }
    }

    fn look(&self) -> Result<Ran, RetentionError> {
        let mut ran = Ran {
            expired: self.catch_up()?,
            ..Ran::default()
        };
        self.open_links()?;
        let log = self.look_at_log();
        ran.in_vain = log.is_in_vain(self.settings);
        let due = log.wanted(self.settings, self.now);
        let early = log.early(self.settings, due);
        let wanted = consumed::last(self.store, self.settings, early)?.or(due);
        ran.waits = log.waits(self.settings, wanted);
        let point = match wanted {
            // A look before anything is closed: it may not be worth it.
            Some(wanted) => self.worth_it(&log, wanted, &mut ran)?.map(|(point, _)| point),
            None => None,
        };
        ran.blocked = point != wanted;
        let Some(point) = point else {
            return Ok(ran);
        };
        self.trim(self.store.tables().bounds().start, point.at, Vec::new())?;
        let is_early = due.is_none_or(|due| point.at > due.at);
        let gone = self.give_up(&log, point, is_early, &mut ran);
        if !matches!(gone, Ok(true)) {
            // Dead letters must not wait for the next run.
            self.open_links()?;
        }
        ran.blocked |= !gone?;
        Ok(ran)
    }

    /// Has dead letters be made again to what stands where the log was to begin: this run, or an earlier one, has not come to its end.
    fn open_links(&self) -> Result<(), RetentionError> {
        let bounds = self.store.tables().bounds();
        if bounds.links_from > bounds.start {
            self.trim(bounds.start, bounds.start, Vec::new())?;
        }
        Ok(())
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

    /// With links closed: carries what waits, and has the log begin later. `false` if it is not worth it after all, or where it `is_early`
    /// and a group has something to read there again.
    fn give_up(
        &self,
        log: &Log,
        point: TrimPoint,
        is_early: bool,
        ran: &mut Ran,
    ) -> Result<bool, RetentionError> {
        let Some((point, waiting)) = self.worth_it(log, point, ran)? else {
            return Ok(false);
        };
        if !self.store.hold(point.at) {
            return Err(RetentionError::ThinnedOut(point.at));
        }
        let ends = self.store.ends_at(point.at)?;
        let lost_before = ran.lost;
        let is_read = || consumed::is_read(self.store.tables(), self.settings, &ends);
        if !self.carry(waiting.records(), ran)? || is_early && !is_read() {
            // What is lost goes with the log, and so another time.
            ran.lost = lost_before;
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
            let waiting = match self.waiting_before(wanted) {
                // What cannot be read may be of no matter for what goes before.
                Err(error) if error.is_damage() => {
                    wanted = log.half_of(wanted).ok_or(error)?;
                    continue;
                }
                waiting => waiting?,
            };
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

    fn waiting_before(&self, wanted: TrimPoint) -> Result<Waiting, RetentionError> {
        let ends = self.store.ends_at(wanted.at)?;
        Waiting::look(self.store, self.settings, wanted.at, &ends, self.now)
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
