//! Going on without what cannot be read of a checkpoint, where nothing else knows it: behind a repair with a loss, or once retention has
//! taken the log's beginning. What is lost is put together from queue files and log, or begun again.

use super::RepairError;
use super::anew::NOTHING_LEFT;
use super::groups::Groups;
use super::loss::Loss;
use super::plan::Plan;
use super::range;
use super::state_told::{in_words, lost_messages, refused_letters};
use super::topics::{Found, Topics};
use super::way_on::usable;
use crate::checkpoint::{self, PartKey, Readable};
use crate::checkpointer::Header;
use crate::io::LogIo;
use crate::log::{self, LogDamage, LogPosition, LogSurvey, Seen};
use crate::queue::{self, QueueSpan};
use crate::restored::trial;
use crate::survey::{Checked, Findings};
use sluice_core::command::{COMMAND_HEADER_BYTES, Carry, Command, LOST, Place};
use sluice_core::entry::{CARRIED, QueueEntry};
use sluice_core::ids::{DeliveryId, GroupQueueId, PhysicalOffset, QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_core::state::{CommandAt, Remains, Salvaged, ShardKey, State};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Losses that are told one by one.
const TOLD_MAX: usize = 100;

/// A checkpoint that takes the place of one.
#[derive(Debug)]
pub(super) struct NewState {
    pub(super) position: LogPosition,
    pub(super) header: Vec<u8>,
    pub(super) parts: Vec<(PartKey, Vec<u8>)>,
    /// Queues whose files lack entries, and the entries.
    pub(super) spans: Vec<QueueSpan>,
    pub(super) entries: Vec<(TopicQueue, QueueOffset, QueueEntry)>,
}

impl NewState {
    /// Takes the entries that are put back into the queues of topics that are there.
    fn put_back(&mut self, state: &State, topics: &BTreeMap<TopicId, Found>) {
        for (topic, found) in topics {
            if state.tables().topic_by_id(*topic).is_none() {
                continue;
            }
            for (queue, decided) in found
                .queues
                .iter()
                .filter(|(_, decided)| !decided.put_back.is_empty())
            {
                let at = TopicQueue {
                    topic: *topic,
                    queue: QueueId(*queue),
                };
                self.spans.push(QueueSpan {
                    at,
                    first: QueueOffset(decided.first),
                    end: QueueOffset(decided.tail),
                });
                let entries = decided.put_back.iter();
                let entries = entries.map(|(offset, entry)| (at, QueueOffset(*offset), *entry));
                self.entries.extend(entries);
            }
        }
    }
}

/// Decides how to go on without the parts of the newest checkpoint that cannot be read.
pub(super) fn plan(io: &Arc<dyn LogIo>, dir: &Path) -> Result<Plan, RepairError> {
    let known = Checked::of(io, dir)?;
    let mut nothing = |_: Seen<'_>, _: &mut Findings| {};
    let ask = known.ask(&[]);
    let log = log::survey(io.as_ref(), dir, &ask, &mut Findings::default(), &mut nothing)?;
    if trial::newest(io, dir, log.first).is_ok() {
        let hint = "start the broker; `sluicectl log verify` tells about other files";
        return Err(RepairError::refused(
            "a start needs nothing of what cannot be read of the checkpoints",
            hint,
        ));
    }
    let readable = usable(io, dir)?.ok_or_else(|| {
        RepairError::refused(
            "no checkpoint has a root that can be read and from which the log leads on",
            NOTHING_LEFT,
        )
    })?;
    let Salvage {
        mut state,
        done,
        topics,
        dead,
    } = salvaged(io, dir, &known, &log, &readable)?;
    let told = done
        .iter()
        .take(TOLD_MAX)
        .map(|part| in_words(part, &state, &topics));
    let mut told: Vec<String> = told.collect();
    if done.len() > TOLD_MAX {
        told.push(format!("and {} parts more", done.len() - TOLD_MAX));
    }
    told.extend(refused_letters(&dead, &done, &state, &topics));
    let warnings = damaged_too(&log, readable.position.physical).into_iter();
    let loss = Loss {
        state: told,
        messages: lost_messages(&topics),
        warnings: warnings
            .chain(lost_base(io, dir, log.first, readable.position))
            .collect(),
        ..Loss::default()
    };
    let mut new_state = new_state(&mut state, &readable)?;
    new_state.put_back(&state, &topics);
    Ok(Plan {
        loss,
        new_state: Some(new_state),
        ..Plan::nothing(dir)
    })
}

/// That the checkpoint at the log's start stays as it is, where it lacks something too. Only the newest one is written again: at
/// the start the same parts were others.
fn lost_base(io: &Arc<dyn LogIo>, dir: &Path, first: LogPosition, newest: LogPosition) -> Option<String> {
    let is_base = first == LogPosition::default() || first.physical == newest.physical;
    let is_whole = || checkpoint::load(io, &dir.join("checkpoint"), first.physical).is_ok();
    (!is_base && !is_whole()).then(|| {
        "the checkpoint at the log's start cannot be read as a whole either, and stays so: until retention moves the log's start, queue files and index cannot be made again, so delete nothing of the folder".to_owned()
    })
}

/// That a start is refused after this too.
fn damaged_too(log: &LogSurvey, checkpoint: PhysicalOffset) -> Option<String> {
    // What stops it before it looks for a checkpoint does so wherever it is, and the command names all that is damaged.
    let is_refused = log.refused.is_some();
    let stops = log
        .damage
        .iter()
        .filter(|damage| is_refused || damage.stops_a_replay(checkpoint));
    let stops: Vec<LogDamage> = stops.cloned().collect();
    let places = range::needed(&stops);
    let damage = match &places[..] {
        [] if log.meta_is_lost => "both meta files are lost".to_owned(),
        [] => return None,
        [one] => format!("the log is damaged at offset {}", one.from),
        [first, ..] => format!(
            "the log is damaged in {} places from offset {} on",
            places.len(),
            first.from
        ),
    };
    Some(format!(
        "{damage}, and the next start prints the command for that too"
    ))
}

/// What takes the place of what is lost, and what is to be told of it.
struct Salvage {
    state: State,
    done: Vec<Salvaged>,
    topics: BTreeMap<TopicId, Found>,
    /// By what stood where, how many dead letters the log has behind the checkpoint.
    dead: BTreeMap<GroupQueueId, u64>,
}

fn salvaged(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    known: &Checked,
    log: &LogSurvey,
    readable: &Readable,
) -> Result<Salvage, RepairError> {
    let unreadable = |error: &dyn std::fmt::Display| RepairError::refused(error.to_string(), NOTHING_LEFT);
    let header = Header::decode(&readable.header).map_err(|error| unreadable(&error))?;
    let key = |key: &PartKey| ShardKey::from_numbers(key.kind, key.ids).map_err(|error| unreadable(&error));
    let mut remains = Remains {
        header: header.state,
        ..Remains::default()
    };
    for (part, bytes) in &readable.parts {
        remains.parts.push((key(part)?, bytes));
    }
    for (part, earlier) in &readable.lost {
        let earlier = earlier.as_ref().map(|earlier| earlier.bytes.as_slice());
        remains.lost.push((key(part)?, earlier));
    }
    let groups = Groups::of(io, dir, readable, header.state, log.first)?;
    let bounds = (log.first.physical, log.end.physical);
    let topics = Topics::of(readable, header.state, bounds).map_err(|error| unreadable(&error))?;
    let mut look = Look {
        end: readable.position.physical,
        remains: &mut remains,
        topics,
        groups,
    };
    look.files(io, dir)?;
    let ask = known.ask(&[]);
    let mut visit = |seen: Seen<'_>, _: &mut Findings| look.see(seen);
    log::survey(io.as_ref(), dir, &ask, &mut Findings::default(), &mut visit)?;
    let dead = look.topics.take_dead_behind();
    let groups = look.groups.finish();
    let topics = look.topics.finish();
    remains.groups = groups;
    let found = topics.iter().map(|(id, found)| (*id, found.topic.clone()));
    remains.topics = found.collect();
    let (state, done) = State::salvage(&remains).map_err(|error| unreadable(&error))?;
    Ok(Salvage {
        state,
        done,
        topics,
        dead,
    })
}

/// Looks at all that may tell of what is lost.
struct Look<'a, 'b> {
    /// Where the checkpoint stands.
    end: PhysicalOffset,
    remains: &'b mut Remains<'a>,
    topics: Topics,
    groups: Groups,
}

impl Look<'_, '_> {
    fn files(&mut self, io: &Arc<dyn LogIo>, dir: &Path) -> Result<(), RepairError> {
        if self.topics.is_empty() {
            return Ok(());
        }
        let folder = dir.join("queue");
        let of_topics = queue::named(io, &folder)?.into_iter();
        let wanted: BTreeSet<TopicQueue> = of_topics.filter(|at| self.topics.has(at.topic)).collect();
        wanted.iter().for_each(|at| self.topics.file(*at));
        let is_wanted = |topic| wanted.iter().any(|at| at.topic == topic);
        let topics = &mut self.topics;
        queue::whole_entries(io, &folder, &is_wanted, &mut |at, offset, entry| {
            topics.entry(at, offset, entry);
        })?;
        Ok(())
    }

    fn see(&mut self, seen: Seen<'_>) {
        let frame = match seen {
            Seen::Frame(frame, _) | Seen::Partly(frame) => frame,
            Seen::Gap(at) | Seen::Lost(at) => return self.gap(at),
        };
        let index = frame.header().index;
        for (place, at, bytes) in frame.commands() {
            if bytes.get(COMMAND_HEADER_BYTES) == Some(&LOST) || sluice_core::command::check(&bytes).is_err()
            {
                self.gap(at);
                continue;
            }
            self.topics.command(DeliveryId::new(index, place), at, &bytes);
            let applied = CommandAt {
                index,
                place,
                physical: at,
            };
            self.groups.command(applied, &bytes);
            if at < self.end
                && let Ok((_, Command::Carry(carry))) = Command::decode(&bytes)
            {
                self.carried(at, &carry, bytes.len() as u32);
            }
        }
    }

    fn gap(&mut self, at: PhysicalOffset) {
        self.topics.gap(at);
        self.groups.gap(at);
    }

    fn carried(&mut self, at: PhysicalOffset, carry: &Carry<'_>, size: u32) {
        let entry = |place: &Place| QueueEntry {
            physical: at,
            size,
            flags: place.entry.flags | CARRIED,
            ..place.entry
        };
        let places = carry.places.iter();
        let places = places.map(|place| (place.at, place.offset, entry(place)));
        self.remains.carried.extend(places);
    }
}

fn new_state(state: &mut State, readable: &Readable) -> Result<NewState, RepairError> {
    let old = Header::decode(&readable.header);
    let index = old
        .map_err(|error| RepairError::refused(error.to_string(), NOTHING_LEFT))?
        .index;
    let views = state.all_views();
    let parts = views.into_iter().map(|(key, view)| {
        let (kind, ids) = key.to_numbers();
        let mut bytes = Vec::new();
        view.encode(&mut bytes);
        (PartKey { kind, ids }, bytes)
    });
    let parts = parts.collect();
    let header = Header {
        state: &state.snapshot().header,
        index,
    };
    Ok(NewState {
        position: readable.position,
        header: header.encode(),
        parts,
        spans: Vec::new(),
        entries: Vec::new(),
    })
}
