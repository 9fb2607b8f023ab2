//! What the folder of a broker holds.

mod tables;

use crate::units;
use serde::Serialize;
use sluice_core::command::{Kind, LOST, VOID};
use sluice_core::ids::TopicId;
use sluice_store::survey::{CheckpointSurvey, IndexSurvey, SegmentState, SegmentSurvey, Survey};
use std::collections::BTreeMap;
use std::path::Path;

/// A look at the folder of a broker.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    folder: String,
    broker: Option<String>,
    cluster: Option<String>,
    node: Option<u64>,
    uuid: Option<String>,
    term: Option<u64>,
    first_offset: u64,
    end_offset: u64,
    durable_offset: u64,
    next_index: u64,
    segments: Vec<Segment>,
    commands_by_kind: BTreeMap<String, u64>,
    checkpoints: Vec<Checkpoint>,
    topics: Vec<Topic>,
    index: Index,
    damaged_places: u64,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Segment {
    file: String,
    state: &'static str,
    first_offset: u64,
    end_offset: u64,
    file_bytes: u64,
    first_index: u64,
    frames: u64,
    commands: u64,
    messages: u64,
    first_term: Option<u64>,
    last_term: Option<u64>,
    first_at: Option<String>,
    last_at: Option<String>,
    commands_by_kind: BTreeMap<String, u64>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Checkpoint {
    file: String,
    offset: u64,
    next_index: u64,
    term: u64,
    parts: u64,
    packs: u64,
    bytes: u64,
    whole: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Topic {
    id: u32,
    name: Option<String>,
    queues: u64,
    messages: u64,
    files: u64,
    bytes: u64,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Index {
    run_files: u64,
    sorted_files: u64,
    items: u64,
    bytes: u64,
}

impl Inspection {
    /// Of a folder that was surveyed.
    pub fn new(folder: &Path, survey: &Survey) -> Self {
        let log = &survey.log;
        let identity = log.meta.as_ref().map(|meta| &meta.identity);
        let mut by_kind = BTreeMap::new();
        for (kind, number) in log.segments.iter().flat_map(|segment| &segment.commands) {
            *by_kind.entry(kind_name(*kind)).or_default() += number;
        }
        Self {
            folder: folder.display().to_string(),
            broker: identity.map(|identity| identity.shard.clone()),
            cluster: identity.map(|identity| identity.cluster.clone()),
            node: identity.map(|identity| identity.node),
            uuid: identity.map(|identity| identity.uuid.to_string()),
            term: log.meta.as_ref().map(|meta| meta.term.0),
            first_offset: log.first.physical.0,
            end_offset: log.end.physical.0,
            durable_offset: log.durable.0,
            next_index: log.end.index.0,
            segments: log
                .segments
                .iter()
                .map(|segment| Segment::new(folder, segment))
                .collect(),
            commands_by_kind: by_kind,
            checkpoints: survey
                .checkpoints
                .iter()
                .map(|found| Checkpoint::new(folder, found))
                .collect(),
            topics: topics(survey),
            index: survey.index.into(),
            damaged_places: survey.findings.damage.len() as u64 + survey.findings.untold,
        }
    }
}

/// A file's name from the broker's folder on.
pub(super) fn within(folder: &Path, file: &Path) -> String {
    file.strip_prefix(folder).unwrap_or(file).display().to_string()
}

/// A kind's name in lower case; the number of one that is not known.
pub(super) fn kind_name(number: u8) -> String {
    match number {
        LOST => return "lost".to_owned(),
        VOID => return "void".to_owned(),
        _ => {}
    }
    let Ok(kind) = Kind::from_byte(number) else {
        return format!("kind_{number}");
    };
    let mut name = String::new();
    for letter in format!("{kind:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

impl Segment {
    fn new(folder: &Path, segment: &SegmentSurvey) -> Self {
        Self {
            file: within(folder, &segment.file),
            state: match segment.state {
                SegmentState::Sealed => "sealed",
                SegmentState::Active => "active",
            },
            first_offset: segment.base.0,
            end_offset: segment.end.0,
            file_bytes: segment.file_bytes,
            first_index: segment.first_index.0,
            frames: segment.frames,
            commands: segment.commands.values().sum(),
            messages: [Kind::Append, Kind::Carry]
                .iter()
                .filter_map(|kind| segment.commands.get(&(*kind as u8)))
                .sum(),
            first_term: segment.terms.map(|(first, _)| first.0),
            last_term: segment.terms.map(|(_, last)| last.0),
            first_at: segment.times.map(|(first, _)| units::rfc3339(first)),
            last_at: segment.times.map(|(_, last)| units::rfc3339(last)),
            commands_by_kind: segment
                .commands
                .iter()
                .map(|(kind, number)| (kind_name(*kind), *number))
                .collect(),
        }
    }

    fn terms(&self) -> String {
        match (self.first_term, self.last_term) {
            (Some(first), Some(last)) if first == last => first.to_string(),
            (Some(first), Some(last)) => format!("{first}-{last}"),
            _ => String::new(),
        }
    }
}

impl Checkpoint {
    fn new(folder: &Path, found: &CheckpointSurvey) -> Self {
        Self {
            file: within(folder, &found.file),
            offset: found.position.physical.0,
            next_index: found.position.index.0,
            term: found.position.term.0,
            parts: found.parts,
            packs: found.packs,
            bytes: found.bytes,
            whole: found.whole,
        }
    }
}

fn topics(survey: &Survey) -> Vec<Topic> {
    let mut topics: BTreeMap<TopicId, Topic> = BTreeMap::new();
    for queue in &survey.queues {
        let topic = topics.entry(queue.at.topic).or_insert_with(|| Topic {
            id: queue.at.topic.0,
            name: survey.topics.get(&queue.at.topic).cloned(),
            queues: 0,
            messages: 0,
            files: 0,
            bytes: 0,
        });
        topic.queues += 1;
        topic.messages += queue.end.0;
        topic.files += queue.files;
        topic.bytes += queue.bytes;
    }
    topics.into_values().collect()
}

impl From<IndexSurvey> for Index {
    fn from(index: IndexSurvey) -> Self {
        Self {
            run_files: index.runs,
            sorted_files: index.sorted,
            items: index.items,
            bytes: index.bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_in_lower_case() {
        assert_eq!(
            [16, 3, 20, 250, 255].map(kind_name),
            ["append", "create_topic", "dead_letter", "kind_250", "void"]
        );
    }
}
