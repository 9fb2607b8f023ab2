//! What a repair makes anew: meta where both files are lost, and a log of which no segment is left.

use super::RepairError;
use super::diagnosis::gone_before;
use super::loss::{Loss, LostMessages, Place};
use super::make;
use super::plan::{Plan, Planner};
use super::range::{self, Range};
use crate::checkpoint::Checkpoints;
use crate::log::{Identity, LogDamage, Lost, Meta, SegmentHeader, purged_before, random_uuid};
use sluice_core::ids::{QueueId, Term};
use sluice_core::state::State;

/// The size of segments where nothing tells it.
const SEGMENT_BYTES: u64 = 1 << 30;
/// What to do where neither log nor checkpoints have anything that can be read.
pub(super) const NOTHING_LEFT: &str = "restore the broker's folder from a backup; without one nothing of it can be brought back: move the folder away, \
     and the broker begins with an empty one";

impl Planner<'_> {
    /// What meta is to say where it is lost: whom the log belongs to the next start puts in.
    pub(super) fn new_meta(&self) -> Option<Meta> {
        let found = &self.found.log;
        let meta = found.meta.clone().filter(|_| found.meta_is_lost)?;
        let terms = found.segments.iter().filter_map(|segment| segment.terms);
        let of_frames = terms.map(|(_, last)| last).max();
        let of_checkpoints = self.found.checkpoints.iter().map(|known| known.position.term);
        let term = of_checkpoints.chain(of_frames).max().unwrap_or(Term(0));
        Some(Meta { term, ..meta })
    }

    pub(super) fn about_meta(&self) -> Option<Place> {
        let what = "what both said of the log stands elsewhere; the next start puts in whom it belongs to";
        self.found.log.meta_is_lost.then(|| Place {
            range: None,
            file: self.dir.join("meta.a"),
            file_offset: 0,
            what: what.to_owned(),
        })
    }

    /// What is lost before the first place of the log of which anything is known.
    pub(super) fn gone_before(&self) -> Option<LogDamage> {
        let (began, first) = (self.found.log.began?, self.found.log.first);
        Some(LogDamage {
            file: self.dir.join("log"),
            file_offset: 0,
            from: began,
            to: Some(first.physical),
            what: gone_before(began, first.physical),
            lost: Lost::Frames { at: first, count: 0 },
        })
    }

    /// A log without segments begins where the newest whole checkpoint stands: what is known of it is known there.
    pub(super) fn begin_again(&self) -> Result<Plan, RepairError> {
        let damage = self.found.log.damage.first();
        let at = match damage {
            Some(LogDamage {
                lost: Lost::Frames { at, .. },
                ..
            }) if self.end == Some(at.physical) => *at,
            Some(damage) => {
                let command = range::command(self.dir, &[range::of(damage)]);
                return Err(RepairError::refused(
                    "the log has no segment",
                    format!("go on with {command}"),
                ));
            }
            None => return Err(RepairError::refused("the log has no segment", NOTHING_LEFT)),
        };
        let Some(state) = self.load(at)? else {
            return Err(RepairError::refused("the log has no segment", NOTHING_LEFT));
        };
        let meta = match self.found.log.meta.clone() {
            Some(meta) => meta,
            None => unknown_meta()?,
        };
        let header = SegmentHeader {
            uuid: meta.identity.uuid,
            segment_bytes: meta.identity.segment_bytes,
            base: at.physical,
            base_index: at.index,
        };
        let checkpoints = Checkpoints::named(self.io.as_ref(), &self.dir.join("checkpoint"))?;
        Ok(Plan {
            loss: self.everything(&state)?,
            changes: vec![make::first_segment(header, self.found.log.generation + 1)],
            checkpoints_gone: checkpoints
                .into_iter()
                .filter(|named| *named > at.physical)
                .collect(),
            index_gone: self.index_gone(at.physical)?,
            new_meta: Some(Meta {
                term: meta.term.max(at.term),
                purged: purged_before(at),
                newest_segment: at.physical,
                ..meta
            }),
            unreadable: self.found.log.unreadable.clone(),
            ..Plan::nothing(self.dir)
        })
    }

    /// The loss of every message.
    fn everything(&self, state: &State) -> Result<Loss, RepairError> {
        let end = self.end.unwrap_or_default();
        let mut loss = Loss {
            messages_are_all: false,
            ends_at: Some(state.now()),
            ..Loss::default()
        };
        loss.places.extend(self.about_meta());
        loss.places.push(Place {
            range: Some(Range { from: end, to: None }),
            file: self.dir.join("log"),
            file_offset: 0,
            what: format!("there is no segment: all messages are lost, and the log begins again at offset {end}, with topics, groups and places as the checkpoint there has them"),
        });
        let tables = state.tables();
        for topic in tables.all_topics() {
            for queue in (0..topic.spec.queues).map(QueueId) {
                let Some((first, end)) = topic.first(queue).zip(topic.tail(queue)) else {
                    continue;
                };
                if first >= end {
                    continue;
                }
                let groups = tables.subscribers_of(topic.id).into_iter();
                let names = groups.filter_map(|(group, _)| tables.group_by_id(group));
                loss.messages.push(LostMessages {
                    topic: topic.spec.name.clone(),
                    queue: Some(queue.0),
                    messages: end.0 - first.0,
                    offsets: Some((first.0, end.0 - 1)),
                    groups: names.map(|group| group.spec.name.clone()).collect(),
                });
            }
        }
        Ok(loss)
    }
}

/// Of a folder of which nothing tells what its log was like.
fn unknown_meta() -> Result<Meta, RepairError> {
    let uuid = random_uuid()
        .map_err(|error| RepairError::refused(format!("there are no random bytes: {error}"), "try again"))?;
    Ok(Meta {
        identity: Identity {
            cluster: String::new(),
            shard: String::new(),
            node: 0,
            uuid,
            segment_bytes: SEGMENT_BYTES,
        },
        term: Term(0),
        vote: None,
        purged: None,
        newest_segment: sluice_core::ids::PhysicalOffset(0),
    })
}
