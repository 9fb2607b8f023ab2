//! Whether the files of a broker are sound.

mod advice;

pub use advice::places_are_damaged;

use super::log::within;
use crate::output::{Align, Show, Table};
use crate::units::{counted, size};
use serde::Serialize;
use sluice_core::command::Kind;
use sluice_store::repair::{command_in, way_on};
use sluice_store::survey::{CheckpointSurvey, Survey, Weight};
use std::path::Path;

/// What a verification has found.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    folder: String,
    sound: bool,
    damage: Vec<Damage>,
    /// Places beyond those that are listed.
    damage_unlisted: u64,
    /// What is lost with what is damaged of the log.
    lost: Vec<String>,
    /// Damaged places of the log of which `lost` does not tell.
    lost_unlisted: u64,
    /// What goes on without it.
    repair_command: Option<String>,
    /// What a start over these files would say that refuses them.
    start_refused: Option<String>,
    notes: Vec<Note>,
    checked: Checked,
    /// Whether one of meta.a and meta.b can be used: a start needs no more, and writes the other one again.
    #[serde(skip)]
    meta_is_usable: bool,
    /// Whether a start could make queue files and index again.
    #[serde(skip)]
    remade: Remade,
    /// Up to where checkpoints, queue files and index were compared with what the log adds up to.
    compared_to_offset: Option<u64>,
}

/// Whether queue files and index can be made again from the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remade {
    Yes,
    /// What stood before the log's start is in the checkpoint there alone, and that is not whole.
    NotWithoutBase,
    /// The log has lost frames, and a checkpoint behind them alone knows the state.
    NotAcrossALoss,
}

impl Remade {
    fn of(survey: &Survey) -> Self {
        let first = survey.log.first.physical;
        let is_base =
            |checkpoint: &CheckpointSurvey| checkpoint.whole && checkpoint.position.physical == first;
        if first.0 > 0 && !survey.checkpoints.iter().any(is_base) {
            Self::NotWithoutBase
        } else if survey
            .log
            .repaired
            .iter()
            .any(|repaired| !repaired.state_is_known)
        {
            Self::NotAcrossALoss
        } else {
            Self::Yes
        }
    }

    fn reason(self) -> Option<&'static str> {
        match self {
            Self::Yes => None,
            Self::NotWithoutBase => Some("the checkpoint at the log's start is not whole"),
            Self::NotAcrossALoss => Some("a repair stands in the log for what was lost"),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Damage {
    file: String,
    offset: u64,
    what: String,
    /// Whether a start without the file makes it again from the log.
    derived: bool,
    /// Whether nothing is lost with it: nobody needs it, or what stands around it tells what it was.
    harmless: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Note {
    file: String,
    what: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Checked {
    segments: u64,
    log_bytes: u64,
    frames: u64,
    commands: u64,
    messages: u64,
    checkpoints: u64,
    queues: u64,
    queue_files: u64,
    index_files: u64,
    index_items: u64,
}

impl Verdict {
    /// Of a folder that was surveyed; `lost` says what is lost with what is damaged of the log, from its first place on.
    pub fn new(folder: &Path, survey: Survey, lost: Vec<String>) -> Self {
        // Where state comes first, or no command helps, the refusal says so.
        let repair_command = match &survey.refused {
            Some(refused) => command_in(refused).map(str::to_owned),
            None => way_on(folder, &survey.log),
        };
        let remade = Remade::of(&survey);
        let segments = &survey.log.segments;
        let of_kind = |kind: Kind| {
            segments
                .iter()
                .filter_map(move |segment| segment.commands.get(&(kind as u8)))
                .sum()
        };
        let checked = Checked {
            segments: segments.len() as u64,
            log_bytes: survey.log.end.physical.0 - survey.log.first.physical.0,
            frames: segments.iter().map(|segment| segment.frames).sum(),
            commands: segments
                .iter()
                .flat_map(|segment| segment.commands.values())
                .sum(),
            messages: of_kind(Kind::Append),
            checkpoints: survey.checkpoints.len() as u64,
            queues: survey.queues.len() as u64,
            queue_files: survey.queues.iter().map(|queue| queue.files).sum(),
            index_files: survey.index.runs + survey.index.sorted,
            index_items: survey.index.items,
        };
        let damage = survey.findings.damage.into_iter().map(|damage| Damage {
            file: within(folder, &damage.file),
            offset: damage.offset,
            what: damage.what,
            derived: damage.weight == Weight::Derived,
            harmless: damage.weight == Weight::Harmless,
        });
        let notes = survey.findings.notes.into_iter().map(|note| Note {
            file: within(folder, &note.file),
            what: note.what,
        });
        let damage: Vec<Damage> = damage.collect();
        Self {
            folder: folder.display().to_string(),
            sound: damage.is_empty() && survey.refused.is_none(),
            damage,
            damage_unlisted: survey.findings.untold,
            lost_unlisted: survey.log.damage.len().saturating_sub(lost.len()) as u64,
            lost,
            repair_command,
            start_refused: survey.refused,
            notes: notes.collect(),
            checked,
            meta_is_usable: !survey.log.meta_is_lost,
            remade,
            compared_to_offset: survey.folded_to.map(|position| position.physical.0),
        }
    }
}

impl Show for Verdict {
    fn text(&self, _wide: bool) -> String {
        let mut parts = Vec::new();
        if !self.damage.is_empty() {
            let columns = [
                ("DAMAGED FILE", Align::Left),
                ("AT BYTE", Align::Right),
                ("WHAT", Align::Left),
            ];
            let mut table = Table::new("", &columns).whole();
            for damage in &self.damage {
                table.row([
                    damage.file.clone(),
                    damage.offset.to_string(),
                    damage.what.clone(),
                ]);
            }
            parts.push(table.render());
        }
        if self.damage_unlisted > 0 {
            parts.push(format!(
                "and {}",
                counted(self.damage_unlisted, "place more", "places more")
            ));
        }
        if !self.lost.is_empty() {
            let mut lost = self.lost.join("\n");
            if self.lost_unlisted > 0 {
                let more = counted(self.lost_unlisted, "place more", "places more");
                lost.push_str(&format!("\nand {more} of the log: `sluicectl log repair` with --dry-run tells what is lost with each"));
            }
            parts.push(lost);
        }
        if !self.notes.is_empty() {
            let notes: Vec<String> = self
                .notes
                .iter()
                .map(|note| format!("note: {}: {}", note.file, note.what))
                .collect();
            parts.push(notes.join("\n"));
        }
        let checked = &self.checked;
        let verdict = if self.sound { "sound" } else { "DAMAGED" };
        parts.push(format!(
            "{verdict}: {} ({}) with {}, {} and {}; {}; {} in {}; {} with {}",
            counted(checked.segments, "segment", "segments"),
            size(checked.log_bytes),
            counted(checked.frames, "frame", "frames"),
            counted(checked.commands, "command", "commands"),
            counted(checked.messages, "message", "messages"),
            counted(checked.checkpoints, "checkpoint", "checkpoints"),
            counted(checked.queues, "queue", "queues"),
            counted(checked.queue_files, "file", "files"),
            counted(checked.index_files, "index file", "index files"),
            counted(checked.index_items, "item", "items"),
        ));
        if self.compared_to_offset.is_none() {
            parts.push(
                "checkpoints, queue files and index were not compared with the log, for not all of it can be read".to_owned(),
            );
        }
        parts.join("\n\n")
    }
}

#[cfg(test)]
mod tests;
