//! Going on without what cannot be read of a checkpoint, where nothing else knows it: behind a repair with a loss, or once retention has
//! taken the log's beginning. What is lost is put together from queue files and log, or begun again.

use super::RepairError;
use super::anew::NOTHING_LEFT;
use super::loss::Loss;
use super::plan::Plan;
use super::range::{self, Range};
use crate::checkpoint::{self, PartKey, Readable};
use crate::checkpointer::Header;
use crate::io::LogIo;
use crate::log::{self, LogPosition, LogSurvey, Seen};
use crate::queue::whole_entries;
use crate::restored::trial;
use crate::survey::{Checked, Findings};
use sluice_core::command::{COMMAND_HEADER_BYTES, Command, LOST};
use sluice_core::entry::{CARRIED, QueueEntry};
use sluice_core::ids::{PhysicalOffset, TopicId};
use sluice_core::record::Record;
use sluice_core::state::{FoundTopic, Remains, Salvaged, ShardKey, State};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const OPTION: &str = " --accept-lost-state";
/// Losses that are told one by one.
const TOLD_MAX: usize = 100;

/// A checkpoint that takes the place of one.
#[derive(Debug)]
pub(super) struct NewState {
    pub(super) position: LogPosition,
    pub(super) header: Vec<u8>,
    pub(super) parts: Vec<(PartKey, Vec<u8>)>,
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
    let (mut state, done) = salvaged(io, dir, &known, &readable)?;
    let told = done.iter().take(TOLD_MAX).map(|part| in_words(part, &state));
    let mut told: Vec<String> = told.collect();
    if done.len() > TOLD_MAX {
        told.push(format!("and {} parts more", done.len() - TOLD_MAX));
    }
    let loss = Loss {
        state: told,
        ..Loss::default()
    };
    Ok(Plan {
        loss,
        new_state: Some(new_state(&mut state, &readable)?),
        ..Plan::nothing(dir)
    })
}

/// The command that goes on where a start finds no checkpoint to go on from, and what it costs in a word; `None` if none does. Reads
/// the log, and changes nothing.
pub fn way_on_without_state(io: &Arc<dyn LogIo>, dir: &Path) -> Result<Option<String>, RepairError> {
    if let Some(readable) = usable(io, dir)? {
        let (lost, parts) = (readable.lost.len(), readable.lost.len() + readable.parts.len());
        let command = format!("{}{OPTION}", range::command(dir, &[]));
        return Ok(Some(format!(
            "{lost} of {parts} parts of the checkpoint at {} cannot be read, and what was in them is put together from what else there is, or begins again: {command}",
            readable.position
        )));
    }
    let known = Checked::of(io, dir)?;
    let (log, mut lost) = what_was_lost(io, dir, &known)?;
    let damaged = range::needed(&log.damage);
    if lost.is_empty() {
        return Ok(None);
    }
    lost.extend(damaged);
    lost.sort_by_key(|range| range.from);
    Ok(Some(format!(
        "or go on with what the log says, without what groups did behind what was lost: {} --wider",
        range::command(dir, &lost)
    )))
}

/// The newest checkpoint whose root can be read, if the log leads on from there.
fn usable(io: &Arc<dyn LogIo>, dir: &Path) -> Result<Option<Readable>, RepairError> {
    let folder = dir.join("checkpoint");
    let Some(readable) = checkpoint::readable(io, &folder)? else {
        return Ok(None);
    };
    let newest = checkpoint::Checkpoints::newest_named(io.as_ref(), &folder)?.unwrap_or_default();
    let leads_on =
        newest <= readable.position.physical || trial::leads_on(io, dir, readable.position.physical, newest);
    let is_state = Header::decode(&readable.header).is_ok() && !readable.lost.is_empty();
    Ok(Some(readable).filter(|_| leads_on && is_state))
}

/// What repairs have left that only a checkpoint behind it knows, whole frames each.
fn what_was_lost(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    known: &Checked,
) -> Result<(LogSurvey, Vec<Range>), RepairError> {
    let mut lost = Vec::new();
    let mut visit = |seen: Seen<'_>, _: &mut Findings| {
        if let Seen::Partly(frame) = seen
            && frame
                .commands()
                .any(|(_, _, bytes)| bytes.get(COMMAND_HEADER_BYTES) == Some(&LOST))
        {
            lost.push(Range {
                from: frame.start(),
                to: Some(frame.end()),
            });
        }
    };
    let ask = known.ask(&[]);
    let log = log::survey(io.as_ref(), dir, &ask, &mut Findings::default(), &mut visit)?;
    let frames = log
        .repaired
        .iter()
        .filter(|done| !done.state_is_known && done.frames > 0);
    lost.extend(frames.map(|done| Range {
        from: done.from,
        to: Some(done.to),
    }));
    Ok((log, lost))
}

fn salvaged(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    known: &Checked,
    readable: &Readable,
) -> Result<(State, Vec<Salvaged>), RepairError> {
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
        let key = key(part)?;
        if let ShardKey::Topic(id) = key {
            remains.topics.insert(id, FoundTopic::default());
        }
        remains.lost.push((key, earlier.as_deref()));
    }
    let end = readable.position.physical;
    find_queues(io, dir, end, &mut remains.topics)?;
    let ask = known.ask(&[]);
    log::survey(
        io.as_ref(),
        dir,
        &ask,
        &mut Findings::default(),
        &mut |seen, _| {
            if let Seen::Frame(frame, _) | Seen::Partly(frame) = seen {
                for (_, at, bytes) in frame.commands() {
                    look_at(&mut remains, end, at, &bytes);
                }
            }
        },
    )?;
    State::salvage(&remains).map_err(|error| unreadable(&error))
}

/// Where queues of these topics begin and end, by the entries in their files of messages that stand before `end`.
fn find_queues(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    end: PhysicalOffset,
    topics: &mut BTreeMap<TopicId, FoundTopic>,
) -> Result<(), RepairError> {
    if topics.is_empty() {
        return Ok(());
    }
    let wanted: Vec<TopicId> = topics.keys().copied().collect();
    whole_entries(
        io,
        &dir.join("queue"),
        &|topic| wanted.contains(&topic),
        &mut |at, offset, entry| {
            if entry.physical >= end {
                return;
            }
            if let Some(topic) = topics.get_mut(&at.topic) {
                let span = topic.queues.entry(at.queue.0).or_insert((offset.0, offset.0));
                *span = (span.0.min(offset.0), span.1.max(offset.0 + 1));
            }
        },
    )?;
    Ok(())
}

/// Takes the name of a topic, and what was carried, from a command of the log.
fn look_at(remains: &mut Remains<'_>, end: PhysicalOffset, at: PhysicalOffset, bytes: &[u8]) {
    match Command::decode(bytes) {
        Ok((_, Command::Append(append))) => {
            if let Some(topic) = remains.topics.get_mut(&append.at.topic)
                && topic.name.is_none()
                && let Ok(record) = Record::parse(append.record)
            {
                topic.name = Some(record.topic.to_owned());
            }
        }
        Ok((_, Command::Carry(carry))) if at < end => {
            let entry = |place: &sluice_core::command::Place| QueueEntry {
                physical: at,
                size: bytes.len() as u32,
                flags: place.entry.flags | CARRIED,
                ..place.entry
            };
            let carried = carry
                .places
                .iter()
                .map(|place| (place.at, place.offset, entry(place)));
            remains.carried.extend(carried);
        }
        _ => {}
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
    })
}

fn in_words(part: &Salvaged, state: &State) -> String {
    let tables = state.tables();
    let topic = |id: TopicId| {
        let topic = tables.topic_by_id(id);
        topic.map_or_else(
            || format!("with the id {}", id.0),
            |topic| topic.spec.name.clone(),
        )
    };
    let group = |id| {
        let group = tables.group_by_id(id);
        group.map_or_else(|| format!("with the id {id}"), |group| group.spec.name.clone())
    };
    match part {
        Salvaged::Topic(id) => format!(
            "topic {}: its queues are found in their files, and its name in the log; what it takes, whether it is closed and how long it keeps messages is set again as by default",
            topic(*id)
        ),
        Salvaged::EarlierTopic(id) => format!(
            "topic {}: its settings are those of an earlier checkpoint",
            topic(*id)
        ),
        Salvaged::NoTopic(id) => format!(
            "topic {}: nothing tells its name; it is gone with its messages and with what groups held of it",
            topic(*id)
        ),
        Salvaged::EarlierGroup(id) => format!(
            "group {}: its settings are those of an earlier checkpoint",
            group(*id)
        ),
        Salvaged::NoGroup(id) => format!(
            "group {}: nothing tells its name; it is gone with its settings and its place. A group that is made again under its name begins where its settings say",
            group(*id)
        ),
        Salvaged::EarlierHold(id) => format!(
            "group {} in queue {} of topic {}: it gets again what it had done since an earlier checkpoint",
            group(id.group),
            id.at.queue.0,
            topic(id.at.topic)
        ),
        Salvaged::NewHold(id) => format!(
            "group {} in queue {} of topic {}: it gets all messages again",
            group(id.group),
            id.at.queue.0,
            topic(id.at.topic)
        ),
        Salvaged::Carried(at) => format!(
            "messages that retention has kept of queue {} of topic {}: found again in the log, as far as that can be read",
            at.queue.0,
            topic(at.topic)
        ),
    }
}
